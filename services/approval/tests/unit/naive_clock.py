"""A second, slow reading of the licence law to check the clock by: it lives through a case day by day.

行政许可法 art. 82: limits are in working days. Art. 32(4): five days to ask for corrections. Art. 42: the time to
decide, and what may be added. Art. 44: ten days to deliver. Art. 45: the time of a special procedure is not counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tulou_approval.domain.clock import Step


@dataclass(frozen=True)
class World:
    is_workday: Callable[[date], bool]
    # Whether the holidays of the day's year are published.
    is_known: Callable[[date], bool]
    today: date


@dataclass(frozen=True)
class Found:
    start: date
    stop: date | None
    allowed: int
    used: int
    due: date
    provisional: bool
    paused: bool
    overdue: bool


def notice_clock(steps: Sequence[Step], world: World) -> Found | None:
    """From the last time something was handed in until the organ says anything, or it ends otherwise."""
    began = _last(steps, "SUBMIT", "RESUBMIT")
    ends = ("REQUEST_CORRECTION", "ACCEPT", "DEEM_ACCEPTED", "DECLINE", "WITHDRAW", "TERMINATE")
    return None if began is None else _live(steps[began + 1 :], world, start=steps[began].day, allowed=5, ends=ends)


def decision_clock(steps: Sequence[Step], world: World, *, allowed: int) -> Found | None:
    """From the acceptance until the decision; where the organ was silent, from the day the material was received."""
    began = _last(steps, "ACCEPT", "DEEM_ACCEPTED")
    if began is None:
        return None
    accepted = steps[began].day
    if steps[began].action == "DEEM_ACCEPTED":
        received = _last(steps, "SUBMIT", "RESUBMIT")
        assert received is not None
        accepted = steps[received].day
    ends = ("GRANT", "REFUSE", "WITHDRAW", "TERMINATE")
    return _live(steps[began + 1 :], world, start=accepted, allowed=allowed, ends=ends)


def delivery_clock(steps: Sequence[Step], world: World) -> Found | None:
    """From the grant until the result is handed over."""
    began = _last(steps, "GRANT")
    if began is None:
        return None
    return _live(steps[began + 1 :], world, start=steps[began].day, allowed=10, ends=("DELIVER",))


def _last(steps: Sequence[Step], *actions: str) -> int | None:
    return max((index for index, step in enumerate(steps) if step.action in actions), default=None)


def _live(coming: Sequence[Step], world: World, *, start: date, allowed: int, ends: Sequence[str]) -> Found:
    stop = next((step.day for step in coming if step.action in ends), None)
    last_real_day = stop or world.today
    ahead: list[Step] = []
    for step in coming:
        if step.action in ends:
            break
        ahead.append(step)

    used = used_on_last_day = 0
    procedure = paused_on_last_day = False
    plan_left = 0
    # Whether a day was counted, or planned, of which nobody knows yet if it is a holiday.
    guessed = plan_guessed = False
    due: date | None = None

    day = start
    while due is None or day <= last_real_day:
        # Morning: the day the clock starts is not counted, nor a day before which a procedure ran overnight.
        if day > start and procedure:
            if plan_left > 0:
                plan_guessed = plan_guessed or not world.is_known(day)
            plan_left -= world.is_workday(day)
        elif day > start:
            if due is None:
                guessed = guessed or not world.is_known(day)
            used += world.is_workday(day)

        # Office hours.
        while ahead and ahead[0].day <= day:
            step = ahead.pop(0)
            if step.action == "PAUSE":
                procedure, plan_left, plan_guessed = True, step.planned_days, False
            elif step.action == "RESUME":
                procedure = False
            elif step.action == "EXTEND" and due is None:
                allowed += step.extension_days

        # Evening: nothing is known of what comes after the last real day. A clock that was stopped has no procedure any
        # more; a procedure that still runs is believed to end as planned, or tonight if it should have ended before.
        if day == last_real_day:
            used_on_last_day = used
            paused_on_last_day = procedure and stop is None
            procedure = paused_on_last_day
        if day >= last_real_day and procedure and plan_left <= 0:
            procedure = False
            guessed = guessed or (plan_guessed and due is None)

        # Night: what is used up is over, unless a procedure runs.
        if due is None and used >= allowed and not procedure:
            due = day
        day += timedelta(days=1)

    return Found(
        start=start,
        stop=stop,
        allowed=allowed,
        used=used_on_last_day,
        due=due,
        provisional=guessed,
        paused=paused_on_last_day,
        overdue=due < last_real_day,
    )
