"""Cases and what belongs to them."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from tulou.approval.v1 import approval_service_pb2 as pb
from tulou.approval.v1 import case_pb2, item_pb2
from tulou_approval.convert.credit import credit_check_to_proto, handling_from_proto, handling_to_proto
from tulou_approval.domain.cases import CorrectionEntry
from tulou_approval.domain.clock import Explanation, PauseGround
from tulou_approval.domain.rules import DeadlineKind
from tulou_approval.domain.states import Action, State, allowed_actions
from tulou_approval.models import Case, CaseDocument, MaterialFile, Notice, PublishedGrant
from tulou_approval.operations.acts import civil_date
from tulou_approval.operations.cases import Applicant
from tulou_approval.queries import HANDLERS, OVERSEERS, CaseFilter
from tulou_chassis.etags import etag_of
from tulou_chassis.locales import EN
from tulou_chassis.principals import Principal
from tulou_chassis.schemas import whole
from tulou_chassis.tables import HistoryRecord
from tulou_chassis.violations import InvalidFields, Violation
from tulou_civics.divisions import covers

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEADLINE_FIELDS: Final = {
    DeadlineKind.CORRECTION_NOTICE: "correction_notice",
    DeadlineKind.PROMISED_DECISION: "promised_decision",
    DeadlineKind.STATUTORY_DECISION: "statutory_decision",
    DeadlineKind.DELIVERY: "delivery",
}
_APPLICANT_ACTIONS: Final = frozenset({Action.UPDATE, Action.SUBMIT, Action.RESUBMIT, Action.WITHDRAW})
_CLERK_ACTIONS: Final = frozenset(
    {
        Action.PRE_REVIEW,
        Action.REQUEST_CORRECTION,
        Action.ACCEPT,
        Action.DECLINE,
        Action.CERTIFY,
        Action.DELIVER,
        Action.CLOSE,
    }
)
_APPROVER_ACTIONS: Final = _CLERK_ACTIONS | {
    Action.START_REVIEW,
    Action.PAUSE,
    Action.RESUME,
    Action.EXTEND,
    Action.GRANT,
    Action.REFUSE,
    Action.TERMINATE,
}
# Which of the actions that a state allows a role may do; a test holds it against the access rules of the protos.
ROLE_ACTIONS: Final[Mapping[str, frozenset[Action]]] = {
    "citizen": _APPLICANT_ACTIONS,
    "enterprise": _APPLICANT_ACTIONS,
    "clerk": _CLERK_ACTIONS,
    "approver": _APPROVER_ACTIONS,
}


def state_to_proto(state: str) -> case_pb2.CaseState.ValueType:
    """DRAFT → CASE_STATE_DRAFT."""
    return case_pb2.CaseState.Value(f"CASE_STATE_{state}")


def case_to_proto(case: Case, principal: Principal, *, with_form: bool = True) -> case_pb2.Case:
    """The case as the caller may see it: numbers masked, with what the caller may do next."""
    proto = case_pb2.Case(
        id=case.id,
        number=case.number or "",
        state=state_to_proto(case.state),
        item_code=case.item_code,
        item_version=case.item_version,
        item_name=case.item_name,
        title=case.title,
        region_code=case.region_code,
        department_code=case.department_code,
        applicant=case_pb2.Applicant(
            subject_type=item_pb2.SubjectType.Value(f"SUBJECT_TYPE_{case.subject_type}"),
            name=case.applicant_name,
            identity_number=case.identity_masked,
            phone=case.phone_masked,
            agent_name=case.agent_name,
        ),
        extended=case.extended,
        create_time=_instant(case.created_at),
        update_time=_instant(case.updated_at),
        submit_time=_instant(case.submitted_at),
        etag=etag_of(case.version),
        allowed_actions=_allowed(case, principal),
        handling=handling_to_proto(case.handling),
    )
    if case.credit_check:
        staff = bool(principal.roles & (HANDLERS | OVERSEERS))
        subject_id = case.credit_subject_id if staff else ""
        proto.credit_check.CopyFrom(credit_check_to_proto(case.credit_check, subject_id=subject_id))
        proto.turned_ordinary_by = case.turned_ordinary_by if staff else ""
    if with_form and case.form:
        proto.form.update(case.form)
    for kind, (due, provisional) in case.deadlines.items():
        deadline = getattr(proto.deadlines, _DEADLINE_FIELDS[DeadlineKind(kind)])
        deadline.due_date, deadline.provisional = due, provisional
    if case.acceptance:
        ParseDict(case.acceptance, proto.acceptance)
    if case.decision:
        ParseDict(case.decision, proto.decision)
    if case.licence:
        ParseDict(case.licence, proto.licence)
    if case.correction:
        ParseDict(case.correction, proto.correction_notice)
    if case.procedure:
        ParseDict({**case.procedure, "ground": f"PAUSE_GROUND_{case.procedure['ground']}"}, proto.special_procedure)
    return proto


def applicant_from_proto(proto: case_pb2.Applicant) -> Applicant:
    """Who applies."""
    return Applicant(
        subject_type=item_pb2.SubjectType.Name(proto.subject_type).removeprefix("SUBJECT_TYPE_"),
        name=proto.name,
        identity_number=proto.identity_number,
        phone=proto.phone,
        agent_name=proto.agent_name,
    )


def form_from_proto(proto: Struct) -> dict[str, Any]:
    """A form as a plain dict. Whole numbers come back as integers, which JSON Schema tells from fractions."""
    return {key: whole(value) for key, value in MessageToDict(proto).items()}


def changes_from_proto(proto: case_pb2.Case, mask: FieldMask) -> dict[str, Any]:
    """What an update changes. Raises InvalidFields for a path that cannot be changed and for a missing new value."""
    values: dict[str, Any] = {
        "title": proto.title,
        "form": form_from_proto(proto.form),
        "applicant.phone": proto.applicant.phone,
        "applicant.agent_name": proto.applicant.agent_name,
    }
    check_mask(mask, values)
    for path in mask.paths:
        if path in {"title", "applicant.phone"} and not values[path]:
            raise InvalidFields([Violation(f"case.{path}", "required", "必填。", "Required.")])
    return {path.removeprefix("applicant."): values[path] for path in mask.paths}


def check_mask(mask: FieldMask, known: Collection[str]) -> None:
    """Raises InvalidFields unless the mask names fields that can be changed, and at least one."""
    if not mask.paths or not set(mask.paths) <= set(known):
        names = sorted(known)
        violation = Violation(
            "update_mask", "known_paths", f"只能是：{'、'.join(names)}。", f"Only {', '.join(names)}."
        )
        raise InvalidFields([violation])


def filter_from_proto(request: pb.ListCasesRequest) -> CaseFilter:
    """Which cases to list."""
    return CaseFilter(
        state=case_pb2.CaseState.Name(request.state).removeprefix("CASE_STATE_") if request.state else "",
        item_code=request.item_code,
        region_code=request.region_code,
        number=request.number,
        due_before=date.fromisoformat(request.due_before) if request.due_before else None,
        open_only=request.open_only,
        handling=handling_from_proto(request.handling),
    )


def correction_from_proto(proto: case_pb2.CorrectionEntry) -> CorrectionEntry:
    """One thing to correct."""
    return CorrectionEntry(proto.material_code, proto.form_field, proto.requirement)


def ground_from_proto(ground: case_pb2.PauseGround.ValueType) -> PauseGround:
    """PAUSE_GROUND_HEARING → HEARING."""
    return PauseGround(case_pb2.PauseGround.Name(ground).removeprefix("PAUSE_GROUND_"))


def history_to_proto(record: HistoryRecord) -> case_pb2.HistoryEntry:
    """One entry."""
    details = json.loads(record.details)
    return case_pb2.HistoryEntry(
        sequence=record.sequence,
        action=record.action,
        state=state_to_proto(details.pop("state")),
        time=_instant(record.time),
        actor=record.actor,
        department_code=record.organisation,
        details=struct(details),
        hash=record.hash,
    )


def document_to_proto(document: CaseDocument) -> case_pb2.CaseDocument:
    """One document."""
    return case_pb2.CaseDocument(
        number=document.number,
        kind=case_pb2.DocumentKind.Value(f"DOCUMENT_KIND_{document.kind}"),
        text=document.text,
        issue_date=document.issue_date.isoformat(),
    )


def material_to_proto(file: MaterialFile) -> case_pb2.MaterialFile:
    """One file."""
    return case_pb2.MaterialFile(
        id=file.id,
        material_code=file.material_code,
        filename=file.filename,
        media_type=file.media_type,
        size=file.size,
        sha256=file.sha256,
        upload_time=_instant(file.uploaded_at),
        superseded=file.superseded,
    )


def clock_to_proto(found: Explanation) -> case_pb2.ClockExplanation:
    """How one deadline came about."""
    return case_pb2.ClockExplanation(
        kind=case_pb2.DeadlineKind.Value(f"DEADLINE_KIND_{found.kind}"),
        deadline=case_pb2.Deadline(due_date=found.due.date.isoformat(), provisional=found.due.provisional),
        rule_set=found.rule_set,
        legal_basis=found.legal_basis,
        start_date=found.start_date.isoformat(),
        allowed_days=found.allowed_days,
        unit=case_pb2.DayUnit.Value(f"DAY_UNIT_{found.unit}"),
        used_days=found.used_days,
        intervals=[
            case_pb2.ClockInterval(
                start_date=interval.start.isoformat(),
                end_date=interval.end.isoformat() if interval.end else "",
                counted=interval.counted,
                days=interval.days,
                reason=f"special procedure: {interval.reason.lower().replace('_', ' ')}" if interval.reason else "",
            )
            for interval in found.intervals
        ],
        paused=found.paused,
        overdue=found.overdue,
        stop_date=found.stop_date.isoformat() if found.stop_date else "",
    )


def tracking_to_proto(case: Case, history: Sequence[HistoryRecord]) -> pb.TrackCaseResponse:
    """How a case stands, without a word about the person."""
    steps = [
        (json.loads(record.details)["state"], civil_date(record.time).isoformat())
        for record in history
        if record.action in Action.__members__ and record.action != Action.UPDATE
    ]
    answer = pb.TrackCaseResponse(
        number=case.number or "",
        item_name=case.item_name,
        state=state_to_proto(case.state),
        submit_date=civil_date(case.submitted_at).isoformat() if case.submitted_at else "",
        steps=[pb.TrackStep(state=state_to_proto(state), date=day) for state, day in steps],
    )
    if case.deadlines:
        due, provisional = min(case.deadlines.values())
        answer.next_deadline.due_date, answer.next_deadline.provisional = due, provisional
    return answer


_NOTICES: Final[Mapping[str, tuple[str, str]]] = {
    "CaseSubmitted": ("您申报的“{item}”已收到。", "Your application for {item} has been received."),
    "CaseCorrectionRequested": (
        "您申报的“{item}”需要补正，请查看补正告知书。",
        "Your application for {item} needs corrections.",
    ),
    "CaseAccepted": ("您申报的“{item}”已受理。", "Your application for {item} has been accepted."),
    "CaseDeclined": ("您申报的“{item}”不予受理，请查看通知书。", "Your application for {item} has not been accepted."),
    "CasePaused": (
        "您申报的“{item}”进入特别程序，办理期限暂停计算。",
        "The time for {item} stands still for a special procedure.",
    ),
    "CaseResumed": ("您申报的“{item}”特别程序已结束。", "The special procedure of {item} has ended."),
    "CaseExtended": (
        "您申报的“{item}”办理期限已延长，请查看告知书。",
        "The time to decide on {item} has been extended.",
    ),
    "CaseGranted": ("您申报的“{item}”已准予。", "Your application for {item} has been granted."),
    "CaseRefused": ("您申报的“{item}”不予许可，请查看决定书。", "Your application for {item} has been refused."),
    "CaseCertified": ("您申报的“{item}”已制证。", "The document for {item} has been issued."),
    "CaseDelivered": ("您申报的“{item}”办理结果已送达。", "The result of {item} has been delivered."),
    "CaseTerminated": ("您申报的“{item}”已终止办理，请查看通知书。", "Your application for {item} has been ended."),
    "CaseHandlingChanged.ORDINARY": (
        "您申报的“{item}”因信用状况变化转为一般办理，承诺期限已重新计算。",
        "The application for {item} is handled ordinarily from now on, for your credit standing has changed.",
    ),
    "CaseHandlingChanged.SIMPLIFIED": (
        "您申报的“{item}”信用已恢复，转为简化办理。",
        "Your credit is restored: the application for {item} is handled in the simplified way again.",
    ),
}
# The events an applicant is told of.
NOTIFIED: Final = tuple(dict.fromkeys(name.partition(".")[0] for name in _NOTICES))


def notice_type(event_type: str, payload: Any) -> str:
    """What a notice about the event is kept as."""
    if event_type == "CaseHandlingChanged":
        return f"{event_type}.{handling_from_proto(payload.handling)}"
    return event_type


def notice_to_proto(notice: Notice, *, locale: str) -> case_pb2.Notice:
    """A notice in the language asked for."""
    chinese, english = _NOTICES[notice.type]
    return case_pb2.Notice(
        id=notice.id,
        case_id=notice.case_id,
        case_number=notice.case_number,
        text=(english if locale == EN else chinese).format(item=notice.item_name),
        time=_instant(notice.time),
    )


def grant_to_proto(grant: PublishedGrant) -> case_pb2.PublishedGrant:
    """An entry of the public register."""
    return case_pb2.PublishedGrant(
        case_number=grant.case_number,
        item_name=grant.item_name,
        applicant_name=grant.applicant_name,
        department_code=grant.department_code,
        document_number=grant.document_number,
        decision_date=grant.decision_date.isoformat(),
    )


def struct(content: Mapping[str, Any]) -> Struct:
    """A plain dict as a Struct."""
    made = Struct()
    # Measured on a form of nine fields: 11 µs, where ParseDict takes 57.
    made.update(dict(content))
    return made


def _allowed(case: Case, principal: Principal) -> list[case_pb2.CaseAction.ValueType]:
    owned = case.owner == principal.subject
    handled = principal.organisation == case.department_code and covers(principal.region, case.region_code)
    return _possible(principal.roles, owned, handled, case.state, case.instant, case.extended, bool(case.correction))


@lru_cache(maxsize=4096)
def _possible(
    roles: frozenset[str], owned: bool, handled: bool, state: str, instant: bool, extended: bool, corrected: bool
) -> list[case_pb2.CaseAction.ValueType]:
    mine = frozenset().union(
        *(
            actions
            for role, actions in ROLE_ACTIONS.items()
            # An applicant's actions are for the owner alone, staff's for the department that handles the case.
            if role in roles and (owned if actions is _APPLICANT_ACTIONS else handled)
        )
    )
    if corrected:
        # There is one notice only.
        mine -= {Action.REQUEST_CORRECTION}
    possible = allowed_actions(State(state), instant=instant, extended=extended)
    return [case_pb2.CaseAction.Value(f"CASE_ACTION_{action}") for action in possible if action in mine]


def _instant(value: datetime | None) -> Timestamp | None:
    if value is None:
        return None
    # FromDatetime takes eight times as long, and a page of a list has forty of them.
    since = value - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)
