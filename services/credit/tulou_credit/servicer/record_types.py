"""The gRPC edge of the catalogue."""

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message
from sqlmodel import Session

from tulou.credit.v1 import record_type_service_pb2 as pb
from tulou.credit.v1 import record_type_service_pb2_grpc
from tulou_chassis.calls import current_principal
from tulou_credit import queries
from tulou_credit.convert import record_types as to
from tulou_credit.models import RecordType
from tulou_credit.operations import catalogue
from tulou_credit.servicer.base import Context, Servicer, now

R = TypeVar("R", bound=Message)


class RecordTypeServicer(Servicer, record_type_service_pb2_grpc.RecordTypeServiceServicer):
    """RecordTypeService."""

    async def ListRecordTypes(self, request: pb.ListRecordTypesRequest, context: Context) -> pb.ListRecordTypesResponse:
        found = await self._database.read(queries.list_types)
        return pb.ListRecordTypesResponse(types=[to.type_to_proto(each) for each in found])

    async def GetRecordType(self, request: pb.GetRecordTypeRequest, context: Context) -> pb.GetRecordTypeResponse:
        found = await self._database.read(lambda session: queries.get_type(session, code=request.code))
        return pb.GetRecordTypeResponse(type=to.type_to_proto(found))

    async def DraftRecordType(self, request: pb.DraftRecordTypeRequest, context: Context) -> pb.DraftRecordTypeResponse:
        principal, entry = current_principal(), to.entry_from_proto(request.type)
        return await self._change(
            pb.DraftRecordTypeResponse, lambda session: catalogue.draft(session, principal=principal, entry=entry)
        )

    async def PublishRecordType(
        self, request: pb.PublishRecordTypeRequest, context: Context
    ) -> pb.PublishRecordTypeResponse:
        principal = current_principal()

        return await self._change(
            pb.PublishRecordTypeResponse,
            lambda session: catalogue.publish(
                session, principal=principal, code=request.code, etag=request.etag, now=now()
            ),
        )

    async def RetireRecordType(
        self, request: pb.RetireRecordTypeRequest, context: Context
    ) -> pb.RetireRecordTypeResponse:
        principal = current_principal()

        return await self._change(
            pb.RetireRecordTypeResponse,
            lambda session: catalogue.retire(
                session, principal=principal, code=request.code, etag=request.etag, now=now()
            ),
        )

    async def _change(self, answer: type[R], operation: Callable[[Session], RecordType]) -> R:
        """Runs an operation and answers with the version after it."""

        def transaction(session: Session) -> R:
            found = operation(session)
            # The answer's etag is the revision that the flush gives.
            session.flush()
            return answer(type=to.type_to_proto(found))

        return await self._write(transaction)
