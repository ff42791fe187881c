"""Random histories that the state machine allows, each clock counted twice: by the service and by naive_clock."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from services.approval.tests.unit.naive_clock import Found, World, decision_clock, delivery_clock, notice_clock
from tulou_approval.domain.clock import Explanation, PauseGround, Step, deadlines, deemed_acceptance_due, explain
from tulou_approval.domain.rules import DeadlineKind
from tulou_approval.domain.states import Action, State, allowed_actions, next_state
from tulou_civics.calendar import DueDate, WorkCalendar

CALENDAR = WorkCalendar.load()
# How a history begins; the rest is left to chance. Left to chance alone, few would come to what matters to a clock.
OPENINGS = [
    line.split()
    for line in """
    UPDATE SUBMIT PRE_REVIEW
    SUBMIT DECLINE
    SUBMIT REQUEST_CORRECTION RESUBMIT
    SUBMIT ACCEPT START_REVIEW REFUSE
    SUBMIT ACCEPT START_REVIEW PAUSE
    SUBMIT DEEM_ACCEPTED START_REVIEW EXTEND PAUSE
    SUBMIT ACCEPT START_REVIEW PAUSE RESUME EXTEND
    SUBMIT ACCEPT START_REVIEW PAUSE RESUME PAUSE RESUME GRANT
    """.strip().splitlines()
]


@dataclass(frozen=True)
class History:
    steps: tuple[Step, ...]
    promised_days: int
    statutory_days: int
    today: date


def world(today: date) -> World:
    return World(CALENDAR.is_workday, lambda day: day.year in CALENDAR.known_years, today)


def gaps(draw: st.DrawFn) -> timedelta:
    # Same day, next days, or long enough to run into holidays and over limits.
    return timedelta(days=draw(st.one_of(st.just(0), st.integers(1, 7), st.integers(8, 40))))


@st.composite
def histories(draw: st.DrawFn) -> History:
    instant = draw(st.booleans())
    statutory_days = draw(st.integers(1, 45))
    promised_days = 0 if instant else draw(st.integers(1, statutory_days))
    # 2026 more often than others, to reach the year without a calendar.
    day = draw(st.one_of(st.dates(date(2005, 1, 1), date(2026, 12, 31)), st.dates(date(2026, 9, 1), date(2027, 3, 1))))
    state, extended, corrected = State.DRAFT, False, False
    steps: list[Step] = []
    opening = draw(st.sampled_from(OPENINGS))
    for number in range(len(opening) + draw(st.integers(0, 8))):
        actions = [
            action
            for action in allowed_actions(state, instant=instant, extended=extended)
            if not (action == Action.REQUEST_CORRECTION and corrected)
        ]
        if not actions:
            break
        action = Action[opening[number]] if number < len(opening) else draw(st.sampled_from(actions))
        day += gaps(draw)
        if action == Action.DEEM_ACCEPTED:
            silence = notice_clock(steps, world(day))
            assert silence is not None
            day = max(day, silence.due + timedelta(days=1))
        steps.append(
            Step(
                day,
                action,
                ground=draw(st.sampled_from(PauseGround)) if action == Action.PAUSE else None,
                planned_days=draw(st.integers(1, 40)) if action == Action.PAUSE else 0,
                extension_days=draw(st.integers(1, 10)) if action == Action.EXTEND else 0,
            )
        )
        state = next_state(state, action, instant=instant, extended=extended)
        extended = extended or action == Action.EXTEND
        corrected = corrected or action == Action.REQUEST_CORRECTION
    return History(tuple(steps), promised_days, statutory_days, day + gaps(draw))


def as_found(explanation: Explanation) -> Found:
    return Found(
        start=explanation.start_date,
        stop=explanation.stop_date,
        allowed=explanation.allowed_days,
        used=explanation.used_days,
        due=explanation.due.date,
        provisional=explanation.due.provisional,
        paused=explanation.paused,
        overdue=explanation.overdue,
    )


def naive_answers(history: History) -> dict[DeadlineKind, Found]:
    steps, here = history.steps, world(history.today)
    answers = {
        DeadlineKind.CORRECTION_NOTICE: notice_clock(steps, here),
        DeadlineKind.PROMISED_DECISION: decision_clock(steps, here, allowed=history.promised_days),
        DeadlineKind.STATUTORY_DECISION: decision_clock(steps, here, allowed=history.statutory_days),
        DeadlineKind.DELIVERY: delivery_clock(steps, here),
    }
    return {kind: found for kind, found in answers.items() if found is not None}


def check_intervals(explanation: Explanation, today: date) -> None:
    """They join from the start to the end, and each says truly how many of its days count."""
    ends = [interval.end or today for interval in explanation.intervals]
    for interval, end in zip(explanation.intervals, ends, strict=True):
        days = [interval.start + timedelta(days=n) for n in range(1, (end - interval.start).days + 1)]
        assert interval.days == (sum(map(CALENDAR.is_workday, days)) if interval.counted else 0)
        assert interval.counted == (interval.reason is None)
        assert interval.end is None or interval.end > interval.start
    assert all(before.end == after.start for before, after in pairwise(explanation.intervals))
    if explanation.intervals:
        assert explanation.intervals[0].start == explanation.start_date
        assert explanation.intervals[-1].end == explanation.stop_date
    else:
        assert explanation.stop_date == explanation.start_date
    assert sum(interval.days for interval in explanation.intervals) == explanation.used_days


def test_the_clock_agrees_with_a_naive_day_by_day_counter_on_random_histories() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(histories())
    def check(history: History) -> None:
        limits = {"promised_days": history.promised_days, "statutory_days": history.statutory_days}

        found = explain(history.steps, **limits, calendar=CALENDAR, today=history.today)

        naive = naive_answers(history)
        assert {kind: as_found(explanation) for kind, explanation in found.items()} == naive
        for explanation in found.values():
            check_intervals(explanation, history.today)
        running = {kind: DueDate(each.due, each.provisional) for kind, each in naive.items() if each.stop is None}
        assert deadlines(history.steps, **limits, calendar=CALENDAR, today=history.today) == running
        notice = running.get(DeadlineKind.CORRECTION_NOTICE)
        silence = notice and DueDate(notice.date + timedelta(days=1), notice.provisional)
        assert deemed_acceptance_due(history.steps, calendar=CALENDAR) == silence

        seen["histories"] += 1
        seen.update({step.action for step in history.steps})
        seen.update(
            word
            for each in naive.values()
            for word, is_so in (
                ("overdue", each.overdue),
                ("in time", each.stop is not None and not each.overdue),
                ("paused today", each.paused),
                ("provisional", each.provisional),
            )
            if is_so
        )

    check()

    # The agreement is worth something only if the histories went everywhere.
    assert seen["histories"] >= 200
    rare = {
        word: seen[word] for word in (*Action, "overdue", "in time", "paused today", "provisional") if seen[word] < 5
    }
    assert not rare
