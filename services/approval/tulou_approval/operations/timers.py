"""What happens by the passing of time, each case in a transaction of its own, so that one cannot stop the rest."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from tulou_approval.domain.clock import deemed_acceptance_due
from tulou_approval.domain.credit import NOT_ASKED
from tulou_approval.domain.states import TERMINAL, Action
from tulou_approval.models import Case
from tulou_approval.operations.acts import (
    TIMER,
    CaseEvent,
    Desk,
    act,
    civil_date,
    clock_steps,
    compute_deadlines,
    history_of,
    record,
)
from tulou_approval.operations.credit import apply_check
from tulou_approval.operations.documents import DocumentKind, issue
from tulou_chassis.events import emit

BATCH = 500


def cases_overdue_for_notice(session: Session, *, now: datetime) -> Sequence[str]:
    """Ids of cases on which the organ may have stayed silent too long."""
    return session.exec(
        select(Case.id)
        .where(col(Case.state).in_(["SUBMITTED", "PRE_REVIEW"]), col(Case.next_due) < civil_date(now))
        .order_by(col(Case.next_due))
        .limit(BATCH)
    ).all()


def deem_accepted(session: Session, *, desk: Desk, case_id: str, now: datetime) -> bool:
    """Accepts a case by the organ's silence, from the day its material came in (行政许可法 art. 32(4)).

    Gives whether it did: a case that was acted on meanwhile, or whose deadline is provisional, is left alone.
    """
    case = session.get_one(Case, case_id, with_for_update=True)
    history = history_of(session, case_id)
    due = deemed_acceptance_due(clock_steps(history), calendar=desk.calendar.for_region(case.region_code))
    today = civil_date(now)
    # A provisional deadline may turn out to be later, and an acceptance cannot be taken back.
    if case.state not in {"SUBMITTED", "PRE_REVIEW"} or due is None or due.provisional or today < due.date:
        return False
    received = max(step.day for step in clock_steps(history) if step.action in {Action.SUBMIT, Action.RESUBMIT})
    case.acceptance = {"accept_date": received.isoformat(), "deemed": True, "record_time": now.isoformat()}
    details = apply_check(session, case=case, check=NOT_ASKED, now=now)
    act(
        session,
        desk=desk,
        principal=TIMER,
        case=case,
        action=Action.DEEM_ACCEPTED,
        now=now,
        details={**details, "accept_date": received.isoformat()},
        event="CaseAccepted",
        facts={"deemed": True, "accept_date": received.isoformat(), "handling": case.handling},
    )
    told = "逾期未告知补正，依法自收到申请材料之日起即为受理。"
    issue(session, case=case, kind=DocumentKind.ACCEPTANCE, day=today, accept_date=received, deemed=told)
    return True


def cases_of_other_calendars(session: Session, *, desk: Desk) -> Sequence[str]:
    """Ids of cases with running deadlines that were computed with another calendar than today's."""
    return session.exec(
        select(Case.id)
        .where(
            col(Case.next_due).is_not(None),
            Case.calendar_version != desk.calendar.version,
            col(Case.state).not_in([state.value for state in TERMINAL]),
        )
        .limit(BATCH)
    ).all()


def recompute_deadlines(session: Session, *, desk: Desk, case_id: str, now: datetime) -> bool:
    """Computes a case's deadlines with today's calendar; a change goes into the history. Gives whether any changed."""
    case = session.get_one(Case, case_id, with_for_update=True)
    before = {"deadlines_before": case.deadlines}
    changed = compute_deadlines(session, desk=desk, case=case, today=civil_date(now))
    if changed:
        details = {**before, "deadlines": case.deadlines}
        record(session, desk=desk, principal=TIMER, case=case, action="RECOMPUTE", now=now, details=details)
        case.updated_at = now
        emit(session, CaseEvent(name="CaseDeadlinesRecomputed", case=case))
    session.add(case)
    return changed
