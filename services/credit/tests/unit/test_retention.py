"""From which day retention counts, and whether it is over."""

from datetime import date
from typing import Any

import pytest

from tulou_civics.calendar import WorkCalendar
from tulou_civics.durations import Duration, Unit
from tulou_credit.domain.catalogue import Category
from tulou_credit.domain.retention import is_over, retained_from

DECIDED, VALID_TO, UNTIL, LIFTED = date(2020, 3, 1), date(2022, 3, 1), date(2023, 6, 30), date(2021, 9, 1)
CALENDAR = WorkCalendar.load(())


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ({}, DECIDED),
        ({"valid_to": VALID_TO}, date(2022, 2, 28)),
        ({"public_from": DECIDED, "public_until": UNTIL}, UNTIL),
        ({"public_from": DECIDED, "public_until": UNTIL, "valid_to": VALID_TO}, UNTIL),
        ({"public_from": DECIDED, "public_until": date(2021, 1, 1), "valid_to": VALID_TO}, date(2022, 2, 28)),
        # Repair ends the publicity before its time.
        ({"public_from": DECIDED, "public_until": UNTIL, "lifted_on": LIFTED}, date(2021, 8, 31)),
        ({"public_from": DECIDED, "lifted_on": LIFTED}, date(2021, 8, 31)),
        # It is public without end.
        ({"public_from": DECIDED}, None),
        # What never was public is not kept for its publicity.
        ({"public_until": UNTIL}, DECIDED),
        # A state lasts until it is ended, an event stays true.
        ({"category": Category.REGISTRATION}, None),
        ({"category": Category.REGISTRATION, "valid_to": VALID_TO}, date(2022, 2, 28)),
        ({"category": Category.ABNORMAL_LIST}, None),
        ({"category": Category.ABNORMAL_LIST, "lifted_on": LIFTED}, date(2021, 8, 31)),
        ({"category": Category.JUDGMENT}, DECIDED),
        ({"withdrawn": True, "lifted_on": LIFTED, "valid_to": VALID_TO, "public_from": DECIDED}, LIFTED),
    ],
)
def test_retention_counts_from_the_last_of_decision_validity_and_publicity(
    told: dict[str, Any], day: date | None
) -> None:
    nothing = dict.fromkeys(("valid_to", "public_from", "public_until", "lifted_on"))
    given: dict[str, Any] = {"category": Category.ADMINISTRATION, "withdrawn": False, "decided_on": DECIDED, **nothing}
    assert retained_from(**given | told) == day


def test_the_last_day_of_the_retention_is_still_kept() -> None:
    five_years = Duration(5, Unit.YEAR)
    for today, over in ((date(2025, 3, 1), False), (date(2025, 3, 2), True)):
        assert is_over(DECIDED, five_years, today=today, calendar=CALENDAR) is over


def test_a_retention_past_the_calendar_never_ends() -> None:
    assert not is_over(date(9998, 1, 1), Duration(10, Unit.YEAR), today=date.max, calendar=CALENDAR)
