"""The gRPC edge of objections."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from sqlmodel import Session

from tulou.credit.v1 import objection_pb2, objection_service_pb2_grpc
from tulou.credit.v1 import objection_service_pb2 as pb
from tulou_chassis import paging
from tulou_chassis.calls import current_principal
from tulou_credit.convert import proceedings as to
from tulou_credit.models import Objection
from tulou_credit.operations import objections
from tulou_credit.proceedings_queries import evidence_of, get_objection, list_objections
from tulou_credit.servicer.base import Context, Servicer, now

R = TypeVar("R", bound=Message)


class ActRequest(Protocol):
    """What the request of every act on an objection carries."""

    @property
    def objection_id(self) -> str: ...

    @property
    def etag(self) -> str: ...


class ObjectionServicer(Servicer, objection_service_pb2_grpc.ObjectionServiceServicer):
    """ObjectionService."""

    async def FileObjection(self, request: pb.FileObjectionRequest, context: Context) -> pb.FileObjectionResponse:
        principal = current_principal()

        def transaction(session: Session) -> pb.FileObjectionResponse:
            filed = objections.file(
                session,
                principal=principal,
                record_id=request.record_id,
                reason=request.reason,
                evidence_ids=request.evidence_ids,
                now=now(),
                house=self._house,
            )
            return pb.FileObjectionResponse(objection=self._told(session, filed))

        return await self._write(transaction)

    async def GetObjection(self, request: pb.GetObjectionRequest, context: Context) -> pb.GetObjectionResponse:
        principal = current_principal()

        def query(session: Session) -> pb.GetObjectionResponse:
            found = get_objection(session, principal=principal, objection_id=request.objection_id, house=self._house)
            return pb.GetObjectionResponse(objection=self._told(session, found))

        return await self._database.read(query)

    async def ListObjections(self, request: pb.ListObjectionsRequest, context: Context) -> pb.ListObjectionsResponse:
        principal = current_principal()
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)

        def query(session: Session) -> pb.ListObjectionsResponse:
            found = list_objections(
                session,
                principal=principal,
                state=to.objection_state_from_proto(request.state),
                record_id=request.record_id or None,
                after=after,
                limit=size + 1,
                house=self._house,
            )
            files = evidence_of(session, proceeding_ids=[each.id for each in found])
            answer = pb.ListObjectionsResponse(
                objections=[to.objection_to_proto(each, files[each.id], self._house) for each in found[:size]]
            )
            if len(found) > size:
                answer.next_page_token = paging.next_token(request, [found[size - 1].created_at, found[size - 1].id])
            return answer

        return await self._database.read(query)

    async def ForwardObjection(
        self, request: pb.ForwardObjectionRequest, context: Context
    ) -> pb.ForwardObjectionResponse:
        return await self._act(request, pb.ForwardObjectionResponse, objections.forward)

    async def DecideObjection(self, request: pb.DecideObjectionRequest, context: Context) -> pb.DecideObjectionResponse:
        return await self._act(
            request,
            pb.DecideObjectionResponse,
            objections.decide,
            uphold=request.upheld,
            opinion=request.opinion,
            withdraw_record=request.withdraw_record,
        )

    async def CloseObjection(self, request: pb.CloseObjectionRequest, context: Context) -> pb.CloseObjectionResponse:
        return await self._act(request, pb.CloseObjectionResponse, objections.close)

    async def WithdrawObjection(
        self, request: pb.WithdrawObjectionRequest, context: Context
    ) -> pb.WithdrawObjectionResponse:
        return await self._act(request, pb.WithdrawObjectionResponse, objections.withdraw)

    async def _act(
        self, request: ActRequest, answer: type[R], operation: Callable[..., Objection], **arguments: Any
    ) -> R:
        """Runs an operation on the request's objection and answers with the objection after it."""
        principal = current_principal()

        def transaction(session: Session) -> R:
            found = operation(
                session,
                principal=principal,
                objection_id=request.objection_id,
                etag=request.etag,
                now=now(),
                house=self._house,
                **arguments,
            )
            return answer(objection=self._told(session, found))

        return await self._write(transaction)

    def _told(self, session: Session, found: Objection) -> objection_pb2.Objection:
        # The answer's etag is the version that the flush gives.
        session.flush()
        files = evidence_of(session, proceeding_ids=[found.id])[found.id]
        return to.objection_to_proto(found, files, self._house)
