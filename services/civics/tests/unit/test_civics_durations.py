"""Durations in working days, calendar days, months and years."""

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tulou_civics.calendar import DueDate, WorkCalendar
from tulou_civics.durations import Duration, Unit

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CALENDAR = WorkCalendar.load()


@pytest.mark.parametrize(
    ("start", "amount", "unit", "end"),
    [
        ("2026-02-13", 5, Unit.WORKING_DAY, "2026-02-27"),
        ("2026-02-13", 5, Unit.CALENDAR_DAY, "2026-02-18"),
        ("2026-01-15", 1, Unit.MONTH, "2026-02-15"),
        ("2026-01-31", 1, Unit.MONTH, "2026-02-28"),
        ("2024-01-31", 1, Unit.MONTH, "2024-02-29"),
        ("2026-01-31", 2, Unit.MONTH, "2026-03-31"),
        ("2026-12-31", 2, Unit.MONTH, "2027-02-28"),
        ("2026-11-30", 1, Unit.MONTH, "2026-12-30"),
        ("2026-12-15", 12, Unit.MONTH, "2027-12-15"),
        ("2024-02-29", 1, Unit.YEAR, "2025-02-28"),
        ("2024-02-29", 4, Unit.YEAR, "2028-02-29"),
        ("2026-10-01", 0, Unit.MONTH, "2026-10-01"),
    ],
)
def test_a_duration_ends_on_its_day(start: str, amount: int, unit: Unit, end: str) -> None:
    due = Duration(amount, unit).end(dt.date.fromisoformat(start), CALENDAR)
    assert due == DueDate(dt.date.fromisoformat(end), provisional=False)


def test_only_working_days_are_provisional() -> None:
    start = dt.date(2026, 12, 31)
    assert Duration(1, Unit.WORKING_DAY).end(start, CALENDAR).provisional
    assert not any(
        Duration(1, unit).end(start, CALENDAR).provisional for unit in (Unit.CALENDAR_DAY, Unit.MONTH, Unit.YEAR)
    )


@unhurried
@given(start=st.dates(dt.date(1949, 10, 1), dt.date(2100, 1, 1)), years=st.integers(0, 100))
def test_a_year_is_twelve_months(start: dt.date, years: int) -> None:
    assert Duration(years, Unit.YEAR).end(start, CALENDAR) == Duration(12 * years, Unit.MONTH).end(start, CALENDAR)


@unhurried
@given(start=st.dates(dt.date(1949, 10, 1), dt.date(2100, 1, 1)), months=st.integers(0, 1200))
def test_months_keep_the_day_or_take_the_months_last(start: dt.date, months: int) -> None:
    end = Duration(months, Unit.MONTH).end(start, CALENDAR).date
    assert 12 * (end.year - start.year) + end.month - start.month == months
    is_last_of_month = (end + dt.timedelta(days=1)).month != end.month
    assert end.day == start.day or (end.day < start.day and is_last_of_month)


@pytest.mark.parametrize("amount", [-1, 5001])
def test_amounts_out_of_bounds_are_refused(amount: int) -> None:
    with pytest.raises(ValueError, match="0 to 5000"):
        Duration(amount, Unit.MONTH)


@pytest.mark.parametrize("unit", Unit)
def test_an_end_past_the_year_9999_is_refused(unit: Unit) -> None:
    with pytest.raises(ValueError, match=r"out of range|ordinal must be"):
        Duration(5000, unit).end(dt.date(9999, 12, 1), CALENDAR)
