"""What the department's staff does until the decision: pre-review, correction, acceptance, review, pause, extension."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from tulou_approval.domain.cases import (
    CompetentOrganMissing,
    CorrectionEmpty,
    CorrectionEntriesInvalid,
    CorrectionEntry,
    EntryProblem,
    check_correction,
    check_decline,
    check_extension,
    check_reviewers,
)
from tulou_approval.domain.clock import PauseGround
from tulou_approval.domain.credit import NOT_ASKED, CreditCheck
from tulou_approval.domain.rules import DeadlineKind
from tulou_approval.domain.states import Action, State, next_state
from tulou_approval.models import Case
from tulou_approval.operations.acts import Desk, act, civil_date, explain_clocks, item_of, load_case
from tulou_approval.operations.credit import apply_check
from tulou_approval.operations.documents import DocumentKind, issue
from tulou_approval.queries import handled_cases
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation

GROUNDS: Final = {
    PauseGround.HEARING: "听证",
    PauseGround.TENDER: "招标",
    PauseGround.AUCTION: "拍卖",
    PauseGround.INSPECTION: "检验",
    PauseGround.TESTING: "检测",
    PauseGround.QUARANTINE: "检疫",
    PauseGround.APPRAISAL: "鉴定",
    PauseGround.EXPERT_REVIEW: "专家评审",
}
_PROBLEMS: Final = {
    EntryProblem.NO_REQUIREMENT: ("须写明补正要求。", "Say what to do."),
    EntryProblem.NO_SUBJECT: ("须指明材料或表单字段。", "Name a material or a form field."),
    EntryProblem.TWO_SUBJECTS: ("材料与表单字段只能指明一项。", "Name a material or a form field, not both."),
    EntryProblem.UNKNOWN_MATERIAL: ("该事项没有此材料。", "The item asks for no such material."),
}


def start_pre_review(
    session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, now: datetime
) -> Case:
    """Window staff takes the case for pre-review. Raises CaseNotFound, StaleEtag, ActionNotAllowed."""
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    act(session, desk=desk, principal=principal, case=case, action=Action.PRE_REVIEW, now=now)
    return case


def request_correction(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    entries: Sequence[CorrectionEntry],
    now: datetime,
) -> Case:
    """Gives the one-time notice of everything to correct (行政许可法 art. 32(4)).

    Raises CaseNotFound, StaleEtag, ActionNotAllowed, CorrectionAlreadyUsed, InvalidFields.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    _check_allowed(case, Action.REQUEST_CORRECTION)
    materials = item_of(session, case).content.get("materials", ())
    codes = {rule["code"] for rule in materials}
    try:
        check_correction(entries, material_codes=codes, used=case.correction is not None)
    except CorrectionEmpty:
        raise InvalidFields([Violation("entries", "required", "必填。", "Required.")]) from None
    except CorrectionEntriesInvalid as error:
        problems = error.problems.items()
        raise InvalidFields(
            [Violation(f"entries[{index}]", problem.value.lower(), *_PROBLEMS[problem]) for index, problem in problems]
        ) from None
    today = civil_date(now)
    case.correction = {
        "entries": [
            {"material_code": e.material_code, "form_field": e.form_field, "requirement": e.requirement}
            for e in entries
        ],
        "notice_date": today.isoformat(),
    }
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.REQUEST_CORRECTION,
        now=now,
        details={"entries": len(entries)},
        event="CaseCorrectionRequested",
        facts={"entry_count": len(entries)},
    )
    listed = "；".join(f"{i}. {e.material_code or e.form_field}：{e.requirement}" for i, e in enumerate(entries, 1))
    issue(session, case=case, kind=DocumentKind.CORRECTION_NOTICE, day=today, entries=listed)
    return case


def accept_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    now: datetime,
    credit: CreditCheck = NOT_ASKED,
) -> Case:
    """Accepts the case; the decision clock starts (行政许可法 art. 32(5)). Credit may shorten its promise.

    Raises CaseNotFound, StaleEtag, ActionNotAllowed.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    today = civil_date(now)
    case.acceptance = {"accept_date": today.isoformat(), "deemed": False, "record_time": now.isoformat()}
    details = apply_check(session, case=case, check=credit, now=now)
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.ACCEPT,
        now=now,
        details=details,
        event="CaseAccepted",
        facts={"deemed": False, "accept_date": today.isoformat(), "handling": case.handling},
    )
    issue(session, case=case, kind=DocumentKind.ACCEPTANCE, day=today, accept_date=today, deemed="")
    return case


def decline_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    reason: str,
    licence_not_needed: bool,
    competent_organ: str,
    now: datetime,
) -> Case:
    """Does not accept the case and names the right organ (行政许可法 art. 32(1), (2)).

    Raises CaseNotFound, StaleEtag, ActionNotAllowed, InvalidFields.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    _check_allowed(case, Action.DECLINE)
    try:
        check_decline(licence_not_needed=licence_not_needed, competent_organ=competent_organ)
    except CompetentOrganMissing:
        zh, en = "不予受理须告知有权机关。", "Who declines must name the organ that is competent."
        raise InvalidFields([Violation("competent_organ", "required_unless_licence_not_needed", zh, en)]) from None
    organ = "" if licence_not_needed else competent_organ
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.DECLINE,
        now=now,
        details={"reason": reason, "licence_not_needed": licence_not_needed, "competent_organ": organ},
        event="CaseDeclined",
        facts={"competent_organ": organ},
    )
    told = f"请向{organ}申请。" if organ else "该事项依法不需要取得行政许可。"
    issue(session, case=case, kind=DocumentKind.NON_ACCEPTANCE, day=civil_date(now), reason=reason, organ=told)
    return case


def start_review(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    reviewers: Sequence[str],
    now: datetime,
) -> Case:
    """Begins the review, with two reviewers or more where the facts are checked (行政许可法 art. 34).

    Raises CaseNotFound, StaleEtag, ActionNotAllowed, TooFewReviewers.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    _check_allowed(case, Action.START_REVIEW)
    check_reviewers(reviewers, substantive_check=bool(item_of(session, case).content.get("substantive_check")))
    case.reviewers = list(reviewers)
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.START_REVIEW,
        now=now,
        details={"reviewers": list(reviewers)},
        event="CaseReviewStarted",
    )
    return case


def pause_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    ground: PauseGround,
    notice_number: str,
    planned_days: int,
    reason: str,
    now: datetime,
) -> Case:
    """Stops the clock for a special procedure the applicant is told of in writing (行政许可法 art. 45).

    Raises CaseNotFound, StaleEtag, ActionNotAllowed.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    facts: dict[str, Any] = {"ground": ground.value, "notice_number": notice_number, "planned_days": planned_days}
    today = civil_date(now)
    case.procedure = {**facts, "start_date": today.isoformat(), "end_date": ""}
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.PAUSE,
        now=now,
        details={**facts, "reason": reason},
        event="CasePaused",
        facts={"ground": ground},
    )
    issue(
        session,
        case=case,
        kind=DocumentKind.SPECIAL_PROCEDURE,
        day=today,
        ground=GROUNDS[ground],
        days=planned_days,
        reason=reason,
    )
    return case


def resume_case(
    session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, result: str, now: datetime
) -> Case:
    """Ends the special procedure; the clock runs again. Raises CaseNotFound, StaleEtag, ActionNotAllowed."""
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    if case.procedure:
        case.procedure = {**case.procedure, "end_date": civil_date(now).isoformat()}
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.RESUME,
        now=now,
        details={"result": result},
        event="CaseResumed",
    )
    return case


def extend_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    days: int,
    reason: str,
    approved_by: str,
    now: datetime,
) -> Case:
    """Extends the time to decide, once, with the head's approval (行政许可法 art. 42).

    Raises CaseNotFound, StaleEtag, ActionNotAllowed, ExtensionTooLong, ExtensionTooLate, HeadApprovalMissing.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    _check_allowed(case, Action.EXTEND)
    today = civil_date(now)
    clocks = explain_clocks(session, desk=desk, case=case, today=today)
    check_extension(
        days, statutory=clocks[DeadlineKind.STATUTORY_DECISION], approved_by=approved_by, reviewers=case.reviewers
    )
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.EXTEND,
        now=now,
        details={"extension_days": days, "reason": reason, "approved_by": approved_by},
        event="CaseExtended",
        facts={"days": days},
    )
    issue(session, case=case, kind=DocumentKind.EXTENSION, day=today, days=days, reason=reason)
    return case


def terminate_case(
    session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, reason: str, now: datetime
) -> Case:
    """Ends the case without a decision. Raises CaseNotFound, StaleEtag, ActionNotAllowed."""
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.TERMINATE,
        now=now,
        details={"reason": reason},
        event="CaseTerminated",
    )
    issue(session, case=case, kind=DocumentKind.TERMINATION, day=civil_date(now), reason=reason)
    return case


def _check_allowed(case: Case, action: Action) -> None:
    """Says first that the state does not allow the action, before anything about its arguments."""
    next_state(State(case.state), action, instant=case.instant, extended=case.extended)
