"""The gRPC edge of the published list of measures."""

from sqlmodel import Session

from tulou.credit.v1 import measure_service_pb2 as pb
from tulou.credit.v1 import measure_service_pb2_grpc
from tulou_chassis.calls import current_principal
from tulou_credit import measure_queries
from tulou_credit.convert import measures as to
from tulou_credit.convert.values import day_or_today
from tulou_credit.domain.records import civil_date
from tulou_credit.operations import measures
from tulou_credit.servicer.base import Context, Servicer, now


class MeasureServicer(Servicer, measure_service_pb2_grpc.MeasureServiceServicer):
    """MeasureService."""

    async def ListMeasures(self, request: pb.ListMeasuresRequest, context: Context) -> pb.ListMeasuresResponse:
        today = civil_date(now())
        found = await self._database.read(lambda session: measure_queries.list_measures(session, on=today))
        wanted = [each for each in found if not request.purpose or request.purpose in each.purposes]
        return pb.ListMeasuresResponse(measures=[to.listed_to_proto(each) for each in wanted])

    async def PublishMeasure(self, request: pb.PublishMeasureRequest, context: Context) -> pb.PublishMeasureResponse:
        principal = current_principal()
        measure = to.measure_from_proto(request.measure)

        def transaction(session: Session) -> pb.PublishMeasureResponse:
            listed = measures.publish(session, principal=principal, measure=measure, now=now())
            return pb.PublishMeasureResponse(measure=to.listed_to_proto(listed))

        return await self._write(transaction)

    async def WithdrawMeasure(self, request: pb.WithdrawMeasureRequest, context: Context) -> pb.WithdrawMeasureResponse:
        principal, at = current_principal(), now()
        withdrawn_on = day_or_today(request.withdrawn_on, at)

        def transaction(session: Session) -> pb.WithdrawMeasureResponse:
            listed = measures.withdraw(
                session,
                principal=principal,
                code=request.code,
                etag=request.etag,
                withdrawn_on=withdrawn_on,
                now=at,
            )
            return pb.WithdrawMeasureResponse(measure=to.listed_to_proto(listed))

        return await self._write(transaction)
