"""The legal clock of a case: its deadlines as a pure function of what happened to it.

Every deadline is in working days (行政许可法 art. 82). The day a clock starts is not counted; the last day is in time
to its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from tulou_approval.domain.rules import LICENCE_LAW
from tulou_approval.domain.rules import DeadlineKind as DeadlineKind  # part of this module's answers
from tulou_approval.domain.states import Action
from tulou_civics.calendar import DueDate, WorkCalendar
from tulou_civics.durations import Unit


class PauseGround(StrEnum):
    """The eight grounds on which the clock may stand still (行政许可法 art. 45)."""

    HEARING = "HEARING"
    TENDER = "TENDER"
    AUCTION = "AUCTION"
    INSPECTION = "INSPECTION"
    TESTING = "TESTING"
    QUARANTINE = "QUARANTINE"
    APPRAISAL = "APPRAISAL"
    EXPERT_REVIEW = "EXPERT_REVIEW"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a case, as far as its clocks care."""

    # The civil date in Asia/Shanghai.
    day: date
    action: Action
    # With PAUSE: why, and the working days it is planned to take.
    ground: PauseGround | None = None
    planned_days: int = 0
    # With EXTEND: working days added.
    extension_days: int = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of a clock from one act to the next: it holds the days after `start`, up to and with `end`."""

    start: date
    # None while the stretch is open; its days then reach to the day asked about.
    end: date | None
    counted: bool
    # Working days that count; 0 for a pause.
    days: int
    # Why the days do not count; None where they do.
    reason: PauseGround | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one deadline came about."""

    kind: DeadlineKind
    # The last day in time. Kept after the clock stopped, to show whether it was met. While the clock is paused: as if
    # the pause ended as planned, or today if that is over.
    due: DueDate
    rule_set: str
    legal_basis: str
    # The day the count starts from; not counted itself.
    start_date: date
    # In all, extension included.
    allowed_days: int
    unit: Unit
    # Up to the stop or the day asked about, pauses left out.
    used_days: int
    intervals: tuple[Interval, ...]
    paused: bool
    # The due day is over without the act, or the act came after it.
    overdue: bool
    # The day of the act that ended the clock.
    stop_date: date | None


_DECIDED = frozenset({Action.GRANT, Action.REFUSE, Action.WITHDRAW, Action.TERMINATE})

_STOPS: Mapping[DeadlineKind, frozenset[Action]] = {
    DeadlineKind.CORRECTION_NOTICE: frozenset(
        {
            Action.REQUEST_CORRECTION,
            Action.ACCEPT,
            Action.DEEM_ACCEPTED,
            Action.DECLINE,
            Action.WITHDRAW,
            Action.TERMINATE,
        }
    ),
    DeadlineKind.PROMISED_DECISION: _DECIDED,
    DeadlineKind.STATUTORY_DECISION: _DECIDED,
    DeadlineKind.DELIVERY: frozenset({Action.DELIVER}),
}


class _Clock:
    """One deadline's count while the steps are read in order."""

    def __init__(self, kind: DeadlineKind, start: date, allowed: int, calendar: WorkCalendar) -> None:
        self.stopped: date | None = None
        self._kind = kind
        self._start = start
        self._allowed = allowed
        self._calendar = calendar
        self._intervals: list[Interval] = []
        # The stretch that is open: the day it began after, and the days that were left then.
        self._since = start
        self._left = allowed
        # As the steps read so far have it; a pause moves it when it ends.
        self.due = self._due_after(start)
        self._pause: Step | None = None
        self._pause_in_time = False

    def read(self, step: Step) -> None:
        if self.stopped is not None:
            return
        if step.action in _STOPS[self._kind]:
            if self._pause:
                self._end_pause(step.day)
            self._close(step.day)
            self.stopped = step.day
        elif step.action == Action.PAUSE:
            self._begin_pause(step)
        elif step.action == Action.RESUME:
            self._end_pause(step.day)
        elif step.action == Action.EXTEND:
            self._extend(step)

    def explain(self, today: date) -> Explanation:
        due = self._due_on(today)
        intervals = [*self._intervals]
        if self.stopped is None:
            intervals.append(self._stretch(today, end=None))
        law = LICENCE_LAW.on(self._start)
        return Explanation(
            kind=self._kind,
            due=due,
            rule_set=law.name,
            legal_basis=law.rules.legal_basis[self._kind],
            start_date=self._start,
            allowed_days=self._allowed,
            unit=Unit.WORKING_DAY,
            used_days=sum(interval.days for interval in intervals),
            intervals=tuple(intervals),
            paused=self._pause is not None,
            overdue=(self.stopped or today) > due.date,
            stop_date=self.stopped,
        )

    def _begin_pause(self, step: Step) -> None:
        self._left -= self._calendar.workdays_between(self._since, step.day)
        self._close(step.day)
        self._pause = step
        # A limit that is over cannot stand still; on its last day it can, and then it ends on the day the pause does.
        self._pause_in_time = step.day <= self.due.date

    def _end_pause(self, day: date) -> None:
        self._close(day)
        self._pause = None
        if self._pause_in_time:
            # What was left when the pause began may have been counted in a year without a calendar.
            self.due = self._due_after(day, provisional=self.due.provisional)

    def _extend(self, step: Step) -> None:
        # Nor can a limit that is over be made longer: a promise broken before the extension stays broken.
        if step.day <= self.due.date:
            self._allowed += step.extension_days
            self._left += step.extension_days
            self.due = self._due_after(self._since)

    def _due_after(self, day: date, *, provisional: bool = False) -> DueDate:
        """The last day in time if the days left count from `day` on; `provisional` if `day` or their number is."""
        due = self._calendar.add_workdays(day, self._left)
        return DueDate(due.date, due.provisional or provisional)

    def _due_on(self, today: date) -> DueDate:
        if self._pause is None or not self._pause_in_time:
            return self.due
        planned = self._calendar.add_workdays(self._pause.day, self._pause.planned_days)
        return self._due_after(max(planned.date, today), provisional=planned.provisional)

    def _stretch(self, last: date, *, end: date | None) -> Interval:
        if self._pause:
            return Interval(self._since, end, counted=False, days=0, reason=self._pause.ground)
        days = self._calendar.workdays_between(self._since, last)
        return Interval(self._since, end, counted=True, days=days, reason=None)

    def _close(self, day: date) -> None:
        if day > self._since:
            self._intervals.append(self._stretch(day, end=day))
        self._since = day


def _read(
    steps: Sequence[Step], *, promised_days: int, statutory_days: int, calendar: WorkCalendar
) -> dict[DeadlineKind, _Clock]:
    clocks: dict[DeadlineKind, _Clock] = {}
    received = date.min
    for step in steps:
        for clock in clocks.values():
            clock.read(step)
        match step.action:
            case Action.SUBMIT | Action.RESUBMIT:
                received = step.day
                started = {DeadlineKind.CORRECTION_NOTICE: LICENCE_LAW.on(step.day).rules.notice_days}
            case Action.ACCEPT | Action.DEEM_ACCEPTED:
                started = {
                    DeadlineKind.PROMISED_DECISION: promised_days,
                    DeadlineKind.STATUTORY_DECISION: statutory_days,
                }
            case Action.GRANT:
                started = {DeadlineKind.DELIVERY: LICENCE_LAW.on(step.day).rules.delivery_days}
            case _:
                started = {}
        # Acceptance by silence reaches back to the day the material came in (art. 32(4)).
        start = received if step.action == Action.DEEM_ACCEPTED else step.day
        for kind, allowed in started.items():
            clocks[kind] = _Clock(kind, start, allowed, calendar)
    return clocks


def explain(
    steps: Sequence[Step], *, promised_days: int, statutory_days: int, calendar: WorkCalendar, today: date
) -> Mapping[DeadlineKind, Explanation]:
    """Every deadline the case has had, as seen on `today`, which is not before the last step.

    `steps` is a history the state machine allows, oldest first. The days are the item's, in working days; 0 promised
    days mean a decision on the day of acceptance.

    - To ask for corrections: from the submission, 5 days, until the organ accepts, declines or asks; afresh after a
      resubmission (行政许可法 art. 32(4)).
    - To decide, as promised and by law: from the acceptance, by silence from the day the material came in (art. 32(4)),
      until the decision. Special procedures are left out (art. 45), an extension is added (art. 42).
    - To deliver: from the grant, 10 days, until the result is handed over (art. 44).

    Raises NoRuleSet for a clock that starts before 2004-07-01.
    """
    clocks = _read(steps, promised_days=promised_days, statutory_days=statutory_days, calendar=calendar)
    return {kind: clock.explain(today) for kind, clock in clocks.items()}


def deadlines(
    steps: Sequence[Step], *, promised_days: int, statutory_days: int, calendar: WorkCalendar, today: date
) -> Mapping[DeadlineKind, DueDate]:
    """The due days of the clocks that have not ended, a paused one's as planned. Arguments as of `explain`."""
    explanations = explain(
        steps, promised_days=promised_days, statutory_days=statutory_days, calendar=calendar, today=today
    )
    return {kind: found.due for kind, found in explanations.items() if found.stop_date is None}


def deemed_acceptance_due(steps: Sequence[Step], *, calendar: WorkCalendar) -> DueDate | None:
    """From which day on the case counts as accepted by silence; None when no notice clock runs.

    That is the day after the last day to ask for corrections, a working day or not: a notice on the last day is in time
    (行政许可法 art. 32(4)). Provisional when a calendar not yet known may move it.
    """
    clock = _read(steps, promised_days=0, statutory_days=0, calendar=calendar).get(DeadlineKind.CORRECTION_NOTICE)
    if clock is None or clock.stopped is not None:
        return None
    return DueDate(clock.due.date + timedelta(days=1), clock.due.provisional)
