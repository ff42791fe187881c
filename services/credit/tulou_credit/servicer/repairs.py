"""The gRPC edge of credit repair."""

from collections.abc import Callable
from datetime import date
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from sqlmodel import Session

from tulou.credit.v1 import repair_pb2, repair_service_pb2_grpc
from tulou.credit.v1 import repair_service_pb2 as pb
from tulou_chassis import paging
from tulou_chassis.calls import CURRENT, current_principal
from tulou_credit.convert import proceedings as to
from tulou_credit.models import Repair
from tulou_credit.operations import repairs
from tulou_credit.proceedings_queries import evidence_of, get_repair, list_repairs
from tulou_credit.servicer.base import Context, Servicer, now

R = TypeVar("R", bound=Message)


class ActRequest(Protocol):
    """What the request of every act on a repair carries."""

    @property
    def repair_id(self) -> str: ...

    @property
    def etag(self) -> str: ...


class RepairServicer(Servicer, repair_service_pb2_grpc.RepairServiceServicer):
    """RepairService."""

    async def GetRepairConditions(
        self, request: pb.GetRepairConditionsRequest, context: Context
    ) -> pb.GetRepairConditionsResponse:
        principal, locale = current_principal(), CURRENT.get().locale
        unmet = await self._database.read(
            lambda session: repairs.conditions(
                session, principal=principal, record_id=request.record_id, now=now(), house=self._house
            )
        )
        return pb.GetRepairConditionsResponse(unmet=[to.unmet_to_proto(each, locale=locale) for each in unmet])

    async def SubmitRepair(self, request: pb.SubmitRepairRequest, context: Context) -> pb.SubmitRepairResponse:
        principal = current_principal()
        corrected_on = date.fromisoformat(request.corrected_on)

        def transaction(session: Session) -> pb.SubmitRepairResponse:
            submitted = repairs.submit(
                session,
                principal=principal,
                record_id=request.record_id,
                corrected_on=corrected_on,
                promise=request.promise,
                evidence_ids=request.evidence_ids,
                now=now(),
                house=self._house,
            )
            return pb.SubmitRepairResponse(repair=self._told(session, submitted))

        return await self._write(transaction)

    async def GetRepair(self, request: pb.GetRepairRequest, context: Context) -> pb.GetRepairResponse:
        principal = current_principal()

        def query(session: Session) -> pb.GetRepairResponse:
            found = get_repair(session, principal=principal, repair_id=request.repair_id, house=self._house)
            return pb.GetRepairResponse(repair=self._told(session, found))

        return await self._database.read(query)

    async def ListRepairs(self, request: pb.ListRepairsRequest, context: Context) -> pb.ListRepairsResponse:
        principal = current_principal()
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)

        def query(session: Session) -> pb.ListRepairsResponse:
            found = list_repairs(
                session,
                principal=principal,
                state=to.repair_state_from_proto(request.state),
                record_id=request.record_id or None,
                after=after,
                limit=size + 1,
                house=self._house,
            )
            files = evidence_of(session, proceeding_ids=[each.id for each in found])
            answer = pb.ListRepairsResponse(
                repairs=[to.repair_to_proto(each, files[each.id], self._house) for each in found[:size]]
            )
            if len(found) > size:
                answer.next_page_token = paging.next_token(request, [found[size - 1].created_at, found[size - 1].id])
            return answer

        return await self._database.read(query)

    async def AcceptRepair(self, request: pb.AcceptRepairRequest, context: Context) -> pb.AcceptRepairResponse:
        return await self._act(request, pb.AcceptRepairResponse, repairs.accept)

    async def DeclineRepair(self, request: pb.DeclineRepairRequest, context: Context) -> pb.DeclineRepairResponse:
        return await self._act(request, pb.DeclineRepairResponse, repairs.decline, opinion=request.opinion)

    async def ExtendRepair(self, request: pb.ExtendRepairRequest, context: Context) -> pb.ExtendRepairResponse:
        return await self._act(request, pb.ExtendRepairResponse, repairs.extend, opinion=request.opinion)

    async def GrantRepair(self, request: pb.GrantRepairRequest, context: Context) -> pb.GrantRepairResponse:
        return await self._act(request, pb.GrantRepairResponse, repairs.grant, opinion=request.opinion)

    async def RefuseRepair(self, request: pb.RefuseRepairRequest, context: Context) -> pb.RefuseRepairResponse:
        return await self._act(request, pb.RefuseRepairResponse, repairs.refuse, opinion=request.opinion)

    async def WithdrawRepair(self, request: pb.WithdrawRepairRequest, context: Context) -> pb.WithdrawRepairResponse:
        return await self._act(request, pb.WithdrawRepairResponse, repairs.withdraw)

    async def RevokeRepair(self, request: pb.RevokeRepairRequest, context: Context) -> pb.RevokeRepairResponse:
        return await self._act(request, pb.RevokeRepairResponse, repairs.revoke, opinion=request.opinion)

    async def _act(self, request: ActRequest, answer: type[R], operation: Callable[..., Repair], **arguments: Any) -> R:
        """Runs an operation on the request's repair and answers with the repair after it."""
        principal = current_principal()

        def transaction(session: Session) -> R:
            found = operation(
                session,
                principal=principal,
                repair_id=request.repair_id,
                etag=request.etag,
                now=now(),
                house=self._house,
                **arguments,
            )
            return answer(repair=self._told(session, found))

        return await self._write(transaction)

    def _told(self, session: Session, found: Repair) -> repair_pb2.Repair:
        # The answer's etag is the version that the flush gives.
        session.flush()
        files = evidence_of(session, proceeding_ids=[found.id])[found.id]
        return to.repair_to_proto(found, files, self._house)
