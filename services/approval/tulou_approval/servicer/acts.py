"""The gRPC edge of what changes a case: map in, call, map out. The guards have checked role and fields before."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.message import Message
from sqlmodel import Session

from tulou.approval.v1 import approval_service_pb2 as pb
from tulou.approval.v1 import approval_service_pb2_grpc
from tulou_approval.convert import cases as to
from tulou_approval.domain.credit import NOT_ASKED
from tulou_approval.models import Case
from tulou_approval.operations import cases, credit, decisions, handling
from tulou_approval.operations.acts import Desk
from tulou_approval.servicer.credit import CreditDesk
from tulou_chassis.calls import current_principal
from tulou_chassis.db import Database

# What grpc.aio hands to a method; nothing of it is used, since the guards have taken from it what counts.
Context = Any
UPDATABLE: Final = ("title", "form", "applicant.phone", "applicant.agent_name")
R = TypeVar("R", bound=Message)


class ActRequest(Protocol):
    """What the request of every act on a case carries."""

    @property
    def case_id(self) -> str: ...

    @property
    def etag(self) -> str: ...


class CaseActs(approval_service_pb2_grpc.ApprovalServiceServicer):
    """The writing RPCs of ApprovalService."""

    _database: Database
    _desk: Desk
    # None where the city has no credit service.
    _credit: CreditDesk | None

    async def CreateCase(self, request: pb.CreateCaseRequest, context: Context) -> pb.CreateCaseResponse:
        principal = current_principal()

        def transaction(session: Session) -> pb.CreateCaseResponse:
            case = cases.create_case(
                session,
                desk=self._desk,
                principal=principal,
                item_code=request.case.item_code,
                title=request.case.title,
                region_code=request.case.region_code,
                applicant=to.applicant_from_proto(request.case.applicant),
                form=to.form_from_proto(request.case.form),
                now=datetime.now(UTC),
            )
            session.flush()
            return pb.CreateCaseResponse(case=to.case_to_proto(case, principal))

        return await self._database.write(transaction)

    async def UpdateCase(self, request: pb.UpdateCaseRequest, context: Context) -> pb.UpdateCaseResponse:
        changes = to.changes_from_proto(request.case, request.update_mask)
        return await self._act(request, pb.UpdateCaseResponse, cases.update_case, changes=changes)

    async def SubmitCase(self, request: pb.SubmitCaseRequest, context: Context) -> pb.SubmitCaseResponse:
        return await self._act(request, pb.SubmitCaseResponse, cases.submit_case)

    async def StartPreReview(self, request: pb.StartPreReviewRequest, context: Context) -> pb.StartPreReviewResponse:
        return await self._act(request, pb.StartPreReviewResponse, handling.start_pre_review)

    async def RequestCorrection(
        self, request: pb.RequestCorrectionRequest, context: Context
    ) -> pb.RequestCorrectionResponse:
        return await self._act(
            request,
            pb.RequestCorrectionResponse,
            handling.request_correction,
            entries=[to.correction_from_proto(entry) for entry in request.entries],
        )

    async def ResubmitCase(self, request: pb.ResubmitCaseRequest, context: Context) -> pb.ResubmitCaseResponse:
        return await self._act(request, pb.ResubmitCaseResponse, cases.resubmit_case)

    async def AcceptCase(self, request: pb.AcceptCaseRequest, context: Context) -> pb.AcceptCaseResponse:
        check = NOT_ASKED
        if self._credit is not None:
            principal = current_principal()
            question = await self._database.read(
                lambda session: credit.question_for(
                    session, desk=self._desk, principal=principal, case_id=request.case_id, etag=request.etag
                )
            )
            if question is not None:
                check = await self._credit.check(question)
        return await self._act(request, pb.AcceptCaseResponse, handling.accept_case, credit=check)

    async def DeclineCase(self, request: pb.DeclineCaseRequest, context: Context) -> pb.DeclineCaseResponse:
        return await self._act(
            request,
            pb.DeclineCaseResponse,
            handling.decline_case,
            reason=request.reason,
            licence_not_needed=request.licence_not_needed,
            competent_organ=request.competent_organ,
        )

    async def StartReview(self, request: pb.StartReviewRequest, context: Context) -> pb.StartReviewResponse:
        return await self._act(
            request, pb.StartReviewResponse, handling.start_review, reviewers=list(request.reviewers)
        )

    async def PauseCase(self, request: pb.PauseCaseRequest, context: Context) -> pb.PauseCaseResponse:
        return await self._act(
            request,
            pb.PauseCaseResponse,
            handling.pause_case,
            ground=to.ground_from_proto(request.ground),
            notice_number=request.notice_number,
            planned_days=request.planned_days,
            reason=request.reason,
        )

    async def ResumeCase(self, request: pb.ResumeCaseRequest, context: Context) -> pb.ResumeCaseResponse:
        return await self._act(request, pb.ResumeCaseResponse, handling.resume_case, result=request.result)

    async def ExtendCase(self, request: pb.ExtendCaseRequest, context: Context) -> pb.ExtendCaseResponse:
        return await self._act(
            request,
            pb.ExtendCaseResponse,
            handling.extend_case,
            days=request.days,
            reason=request.reason,
            approved_by=request.approved_by,
        )

    async def GrantCase(self, request: pb.GrantCaseRequest, context: Context) -> pb.GrantCaseResponse:
        return await self._act(request, pb.GrantCaseResponse, decisions.grant_case, opinion=request.opinion)

    async def RefuseCase(self, request: pb.RefuseCaseRequest, context: Context) -> pb.RefuseCaseResponse:
        return await self._act(
            request, pb.RefuseCaseResponse, decisions.refuse_case, reasons=request.reasons, remedies=request.remedies
        )

    async def CertifyCase(self, request: pb.CertifyCaseRequest, context: Context) -> pb.CertifyCaseResponse:
        return await self._act(request, pb.CertifyCaseResponse, decisions.certify_case)

    async def DeliverCase(self, request: pb.DeliverCaseRequest, context: Context) -> pb.DeliverCaseResponse:
        return await self._act(
            request,
            pb.DeliverCaseResponse,
            decisions.deliver_case,
            method=pb.DeliveryMethod.Name(request.method).removeprefix("DELIVERY_METHOD_"),
            recipient=request.recipient,
        )

    async def CloseCase(self, request: pb.CloseCaseRequest, context: Context) -> pb.CloseCaseResponse:
        return await self._act(request, pb.CloseCaseResponse, decisions.close_case)

    async def WithdrawCase(self, request: pb.WithdrawCaseRequest, context: Context) -> pb.WithdrawCaseResponse:
        return await self._act(request, pb.WithdrawCaseResponse, cases.withdraw_case, reason=request.reason)

    async def TerminateCase(self, request: pb.TerminateCaseRequest, context: Context) -> pb.TerminateCaseResponse:
        return await self._act(request, pb.TerminateCaseResponse, handling.terminate_case, reason=request.reason)

    async def RevealApplicant(self, request: pb.RevealApplicantRequest, context: Context) -> pb.RevealApplicantResponse:
        principal = current_principal()

        def transaction(session: Session) -> pb.RevealApplicantResponse:
            identity_number, phone = decisions.reveal_applicant(
                session,
                desk=self._desk,
                principal=principal,
                case_id=request.case_id,
                purpose=request.purpose,
                now=datetime.now(UTC),
            )
            return pb.RevealApplicantResponse(identity_number=identity_number, phone=phone)

        return await self._database.write(transaction)

    async def _act(self, request: ActRequest, answer: type[R], operation: Callable[..., Case], **arguments: Any) -> R:
        """Runs an operation on the request's case and answers with the case after it."""
        principal = current_principal()

        def transaction(session: Session) -> R:
            case = operation(
                session,
                desk=self._desk,
                principal=principal,
                case_id=request.case_id,
                etag=request.etag,
                now=datetime.now(UTC),
                **arguments,
            )
            # The answer's etag is the version that the flush gives.
            session.flush()
            return answer(case=to.case_to_proto(case, principal))

        return await self._database.write(transaction)
