"""What every act on a case has in common: the row, the state machine, the history, the deadlines and the event."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from tulou_approval.domain import clock
from tulou_approval.domain.states import Action, State, next_state
from tulou_approval.models import Case, Counter, ItemVersion
from tulou_approval.queries import Among, get_case
from tulou_chassis.etags import check_etag
from tulou_chassis.events import emit
from tulou_chassis.history import Entry, Head, append
from tulou_chassis.keyring import Keyring
from tulou_chassis.principals import Principal
from tulou_chassis.tables import HistoryRecord
from tulou_chassis.upserts import insert_into
from tulou_civics.calendar import WorkCalendar

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
# The actor of what no person did.
TIMER: Final = Principal("timer", frozenset(), "", "", "")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What an operation works with beside the database: the keys and the calendar."""

    keyring: Keyring
    calendar: WorkCalendar


@dataclass(frozen=True, kw_only=True)
class CaseEvent:
    """Something that happened to a case: the event's name in events.proto and what it says beside the summary."""

    name: str
    case: Case
    facts: Mapping[str, Any] = field(default_factory=dict)


def civil_date(now: datetime) -> date:
    """The day in Asia/Shanghai."""
    return now.astimezone(SHANGHAI).date()


def load_case(session: Session, *, among: Among, case_id: str, etag: str) -> Case:
    """The case to act on, if it is among those rows and its newest version was read. Raises CaseNotFound, StaleEtag."""
    case = get_case(session, among=among, case_id=case_id, for_update=True)
    check_etag(etag, version=case.version)
    return case


def item_of(session: Session, case: Case) -> ItemVersion:
    """The version of the item the case was filed under; it is never deleted."""
    return session.exec(
        select(ItemVersion).where(ItemVersion.code == case.item_code, ItemVersion.version == case.item_version)
    ).one()


def act(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case: Case,
    action: Action,
    now: datetime,
    details: Mapping[str, Any] | None = None,
    event: str = "",
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Moves the case, adds to its history, computes its deadlines afresh and notes the event.

    Raises ActionNotAllowed.
    """
    case.state = next_state(State(case.state), action, instant=case.instant, extended=case.extended).value
    case.extended = case.extended or action is Action.EXTEND
    case.updated_at = now
    record(session, desk=desk, principal=principal, case=case, action=action.value, now=now, details=details or {})
    compute_deadlines(session, desk=desk, case=case, today=civil_date(now))
    session.add(case)
    if event:
        emit(session, CaseEvent(name=event, case=case, facts=facts or {}))


def record(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case: Case,
    action: str,
    now: datetime,
    details: Mapping[str, Any],
) -> None:
    """Adds an entry to the case's history."""
    head = append(
        session,
        desk.keyring,
        case.id,
        Head(case.history_sequence, case.history_hash),
        Entry(
            action=action,
            time=now,
            actor=principal.subject,
            organisation=principal.organisation,
            details={"state": case.state, **details},
        ),
    )
    case.history_sequence, case.history_hash = head.sequence, head.hash


def clock_steps(history: Sequence[HistoryRecord]) -> list[clock.Step]:
    """A history as the clock reads it."""
    return [_step(entry) for entry in history if entry.action in Action.__members__]


def _step(entry: HistoryRecord) -> clock.Step:
    details = json.loads(entry.details)
    return clock.Step(
        day=civil_date(entry.time),
        action=Action(entry.action),
        ground=clock.PauseGround(details["ground"]) if "ground" in details else None,
        planned_days=details.get("planned_days", 0),
        extension_days=details.get("extension_days", 0),
    )


def history_of(session: Session, case_id: str) -> Sequence[HistoryRecord]:
    """All entries, oldest first."""
    return session.exec(
        select(HistoryRecord).where(HistoryRecord.aggregate == case_id).order_by(col(HistoryRecord.sequence))
    ).all()


def explain_clocks(
    session: Session, *, desk: Desk, case: Case, today: date
) -> Mapping[clock.DeadlineKind, clock.Explanation]:
    """How every deadline of the case came about, from its history alone."""
    return clock.explain(
        clock_steps(history_of(session, case.id)),
        promised_days=case.promised_days,
        statutory_days=case.statutory_days,
        calendar=desk.calendar.for_region(case.region_code),
        today=today,
    )


def compute_deadlines(session: Session, *, desk: Desk, case: Case, today: date) -> bool:
    """Sets the case's deadlines from its history; gives whether they changed."""
    running = clock.deadlines(
        clock_steps(history_of(session, case.id)),
        promised_days=case.promised_days,
        statutory_days=case.statutory_days,
        calendar=desk.calendar.for_region(case.region_code),
        today=today,
    )
    before = (case.deadlines, case.next_due)
    case.deadlines = {kind.value: [due.date.isoformat(), due.provisional] for kind, due in running.items()}
    case.next_due = min((due.date for due in running.values()), default=None)
    case.calendar_version = desk.calendar.version
    return before != (case.deadlines, case.next_due)


def next_number(session: Session, name: str) -> int:
    """The next value of a running number; the row stays locked until the transaction ends, so none is given twice."""
    table = Counter.__table__  # type: ignore[attr-defined]
    statement = insert_into(session, table).values(name=name, value=1)
    raised = statement.on_conflict_do_update(index_elements=["name"], set_={"value": table.c.value + 1})
    value: int = session.connection().execute(raised.returning(table.c.value)).scalar_one()
    return value
