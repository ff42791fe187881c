"""What a case takes from the applicant's credit: at its acceptance, and while it runs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from tulou_approval.domain.credit import ChangeReason, CreditCheck, Handling, Outcome, handling_of
from tulou_approval.domain.states import Action, ActionNotAllowed, State, next_state
from tulou_approval.models import ApplicantStanding, Case
from tulou_approval.operations.acts import CaseEvent, Desk, civil_date, compute_deadlines, item_of, record
from tulou_approval.queries import CaseNotFound, get_case, handled_cases
from tulou_chassis.etags import check_etag
from tulou_chassis.events import emit
from tulou_chassis.principals import Principal
from tulou_chassis.upserts import insert_missing
from tulou_chassis.violations import StaleEtag

# The actor of what follows from the applicant's credit.
CREDIT: Final = Principal("credit", frozenset(), "", "", "")
# Accepted and not decided.
_RUNNING: Final = (State.ACCEPTED, State.UNDER_REVIEW, State.SPECIAL_PROCEDURE, State.EXTENDED)


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whom to ask the credit service about."""

    subject_type: str
    number: str = field(repr=False)
    name: str = field(repr=False)


def question_for(session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str) -> Question | None:
    """The applicant of a case about to be accepted; None where it cannot be, and the acceptance will say why."""
    try:
        case = get_case(session, among=handled_cases(principal), case_id=case_id)
        check_etag(etag, version=case.version)
        next_state(State(case.state), Action.ACCEPT, instant=case.instant, extended=case.extended)
    except (CaseNotFound, StaleEtag, ActionNotAllowed):
        return None
    number = desk.keyring.decrypt(case.identity_sealed, context=f"case_file.identity:{case.id}")
    return Question(subject_type=case.subject_type, number=number, name=case.applicant_name)


def apply_check(session: Session, *, case: Case, check: CreditCheck, now: datetime) -> dict[str, Any]:
    """Sets how the case is handled and what it promises by what was found; gives what the history says of it."""
    if check.outcome is Outcome.APPLIED:
        item = item_of(session, case)
        simplified_days = item.content.get("simplified_days", 0)
        case.handling = handling_of(check, simplified_days=simplified_days).value
        if case.handling == Handling.SIMPLIFIED:
            # What was told between the check and now knows nothing of this case.
            told = _standing(session, check.subject_id)
            if told.standing == "SERIOUS":
                case.handling, case.turned_ordinary_by = Handling.ORDINARY.value, told.record_id
            else:
                case.promised_days = simplified_days
    case.credit_subject_id = check.subject_id
    case.credit_check = {
        "outcome": check.outcome.value,
        "time": now.isoformat(),
        "standing": check.standing,
        "measures": [asdict(measure) for measure in check.measures],
    }
    measures = [measure.code for measure in check.measures]
    return {"handling": case.handling, "credit_check": check.outcome.value, "measures": measures}


def follow_standing(
    session: Session, *, desk: Desk, subject_id: str, standing: str, record_id: str, now: datetime
) -> Sequence[str]:
    """Turns the running cases of a subject whose standing has changed; gives the ids of those that were turned.

    On the serious-default list (SERIOUS) simplified cases become ordinary; when the subject is in GOOD standing again,
    those become simplified again that a listing had turned. `record_id` is the record that moved the standing.
    """
    told = _standing(session, subject_id)
    told.standing, told.record_id = standing, record_id
    session.add(told)
    rules = {"SERIOUS": col(Case.handling) == Handling.SIMPLIFIED, "GOOD": col(Case.turned_ordinary_by) != ""}
    if standing not in rules:
        return []
    cases = session.exec(
        select(Case)
        .where(
            Case.credit_subject_id == subject_id,
            Case.credit_subject_id != "",
            col(Case.state).in_(_RUNNING),
            rules[standing],
        )
        .order_by(Case.id)
        .with_for_update()
    ).all()
    turn = _turn_ordinary if standing == "SERIOUS" else _turn_simplified
    return [case.id for case in cases if turn(session, desk, case, record_id, now)]


def _standing(session: Session, subject_id: str) -> ApplicantStanding:
    """What was told last of the subject, locked: who accepts a case and who follows a change wait for one another, so
    that the later sees what the earlier did."""
    insert_missing(session, ApplicantStanding, credit_subject_id=subject_id, standing="", record_id="")
    query = select(ApplicantStanding).where(ApplicantStanding.credit_subject_id == subject_id)
    return session.exec(query.with_for_update()).one()


def _turn_ordinary(session: Session, desk: Desk, case: Case, record_id: str, now: datetime) -> bool:
    before = case.deadlines
    case.handling, case.turned_ordinary_by = Handling.ORDINARY.value, record_id
    case.promised_days = item_of(session, case).promised_days
    compute_deadlines(session, desk=desk, case=case, today=civil_date(now))
    _note(session, desk, case, ChangeReason.LISTED, {"deadlines_before": before, "record_id": record_id}, now)
    return True


def _turn_simplified(session: Session, desk: Desk, case: Case, record_id: str, now: datetime) -> bool:
    before, ordinary, today = case.deadlines, case.promised_days, civil_date(now)
    case.promised_days = item_of(session, case).content["simplified_days"]
    compute_deadlines(session, desk=desk, case=case, today=today)
    if case.deadlines["PROMISED_DECISION"][0] < today.isoformat():
        # Its time is over: nobody can promise it again.
        case.promised_days = ordinary
        compute_deadlines(session, desk=desk, case=case, today=today)
        return False
    case.handling, case.turned_ordinary_by = Handling.SIMPLIFIED.value, ""
    _note(session, desk, case, ChangeReason.RESTORED, {"deadlines_before": before, "record_id": record_id}, now)
    return True


def _note(
    session: Session, desk: Desk, case: Case, reason: ChangeReason, details: dict[str, Any], now: datetime
) -> None:
    details |= {"handling": case.handling, "deadlines": case.deadlines}
    action = f"TURN_{case.handling}"
    record(session, desk=desk, principal=CREDIT, case=case, action=action, now=now, details=details)
    case.updated_at = now
    session.add(case)
    emit(
        session,
        CaseEvent(name="CaseHandlingChanged", case=case, facts={"handling": case.handling, "reason": reason}),
    )
