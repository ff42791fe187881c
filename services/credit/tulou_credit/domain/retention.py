"""How long what is recorded is kept (信用信息保存期限)."""

from datetime import date, timedelta

from tulou_civics.calendar import WorkCalendar
from tulou_civics.durations import Duration
from tulou_credit.domain.catalogue import Category

# What is a state and lasts until something ends it; the others tell of something that happened, and stay true.
_STATES = frozenset({Category.REGISTRATION, Category.PROFESSION, Category.ABNORMAL_LIST, Category.SERIOUS_LIST})
_DAY = timedelta(days=1)


def retained_from(
    *,
    category: Category,
    withdrawn: bool,
    decided_on: date,
    valid_to: date | None,
    public_from: date | None,
    public_until: date | None,
    lifted_on: date | None,
) -> date | None:
    """The day after which retention counts: the last of the decision, of its validity and of its publicity.

    Of what was withdrawn it is the day of that. None while a state lasts or a publicity has no end. `valid_to` and
    `lifted_on` are the first days on which it is not so any more.
    """
    if withdrawn:
        return lifted_on
    lifted = lifted_on and lifted_on - _DAY
    days = [decided_on]
    if valid_to is not None:
        days.append(valid_to - _DAY)
    elif category in _STATES:
        if lifted is None:
            return None
        days.append(lifted)
    if public_from is not None:
        ends = [end for end in (public_until, lifted) if end is not None]
        if not ends:
            return None
        days.append(min(ends))
    return max(days)


def is_over(start: date, retention: Duration, *, today: date, calendar: WorkCalendar) -> bool:
    """Whether the last day of the retention that counts after `start` has passed."""
    try:
        return today > retention.end(start, calendar).date
    except ValueError:
        # Past the year 9999.
        return False
