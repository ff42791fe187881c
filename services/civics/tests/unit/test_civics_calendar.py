"""The working calendar: the published years, counting, years without a calendar, local overrides."""

import datetime as dt
import json
from pathlib import Path

import chinese_calendar
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tulou_civics.calendar import DueDate, WorkCalendar
from tulou_civics.divisions import UnknownDivision

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DATA = Path(__file__).parent.parent / "data"
PUBLISHED = json.loads((DATA / "calendar_2016_2026.json").read_text(encoding="utf-8"))["years"]
CALENDAR = WorkCalendar.load()
WITH_2027 = WorkCalendar.load([DATA / "invented_2027.json"])
TYPHOON = WorkCalendar.load([DATA / "invented_typhoon.json"])


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def days_of(year: int) -> list[dt.date]:
    first = dt.date(year, 1, 1)
    return [first + dt.timedelta(days=n) for n in range((dt.date(year + 1, 1, 1) - first).days)]


def naive_is_workday(date: dt.date) -> bool:
    """Asks the package about every single day; in years it does not know, the rule written out once more."""
    if 2004 <= date.year <= 2026:
        return bool(chinese_calendar.is_workday(date))
    return date.weekday() < 5 and f"{date:%m%d}" not in ("0101", "0501", "0502", "1001", "1002", "1003")


def naive_add(start: dt.date, days: int) -> DueDate:
    date, unknown = start, False
    while days:
        date += dt.timedelta(days=1)
        unknown = unknown or not 2004 <= date.year <= 2026
        days -= naive_is_workday(date)
    return DueDate(date, unknown)


@pytest.mark.parametrize("year", PUBLISHED)
def test_every_day_of_a_published_year_is_as_published(year: str) -> None:
    holidays, makeup = PUBLISHED[year]["weekday_holidays"], PUBLISHED[year]["makeup_workdays"]
    for date in days_of(int(year)):
        expected = str(date) in makeup or (date.weekday() < 5 and str(date) not in holidays)
        assert CALENDAR.is_workday(date) is expected, date


@pytest.mark.parametrize(
    ("year", "workdays"),
    list(enumerate([250, 249, 250, 250, 249, 250, 249, 249, 251, 248, 248], start=2016)),
)
def test_a_published_year_has_its_number_of_workdays(year: int, workdays: int) -> None:
    assert CALENDAR.workdays_between(dt.date(year - 1, 12, 31), dt.date(year, 12, 31)) == workdays


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2016-02-05", 5, "2016-02-17"),
        ("2016-01-29", 20, "2016-03-02"),
        ("2016-09-30", 20, "2016-11-02"),
        ("2016-12-20", 30, "2017-02-06"),
        ("2025-12-31", 20, "2026-01-29"),
        ("2026-01-15", 45, "2026-03-25"),
        ("2026-02-13", 5, "2026-02-27"),
        ("2026-04-30", 10, "2026-05-18"),
        ("2026-09-18", 45, "2026-11-26"),
        ("2026-09-30", 20, "2026-11-03"),
    ],
)
def test_worked_examples_end_on_their_day(start: str, days: int, due: str) -> None:
    assert CALENDAR.add_workdays(day(start), days) == DueDate(day(due), provisional=False)
    assert CALENDAR.workdays_between(day(start), day(due)) == days


@pytest.mark.parametrize(
    ("first", "notice"),
    [
        # Make-up Sunday 4 February, work up to New Year's Eve, off from the 10th to the 17th, make-up Sunday the 18th.
        ("2024-02-04", "1 11111 00000000 1 11111 00"),
        # Make-up Sunday 26 January, off from the 28th to 4 February, make-up Saturday the 8th.
        ("2025-01-26", "1 1 00000000 111 1 0 11111 00"),
        # Make-up Saturday 14 February, off from the 15th to the 23rd, make-up Saturday the 28th.
        ("2026-02-09", "11111 1 000000000 1111 1 0 11111 00"),
    ],
)
def test_spring_festival_weeks_are_off_with_their_makeup_days(first: str, notice: str) -> None:
    expected = [mark == "1" for mark in notice if mark != " "]
    assert [CALENDAR.is_workday(day(first) + dt.timedelta(days=n)) for n in range(len(expected))] == expected


@given(
    start=st.dates(dt.date(2003, 1, 1), dt.date(2030, 12, 31)),
    days=st.integers(0, 400),
)
@unhurried
def test_adding_equals_a_naive_day_by_day_counter(start: dt.date, days: int) -> None:
    assert CALENDAR.add_workdays(start, days) == naive_add(start, days)


@given(
    start=st.dates(dt.date(2003, 1, 1), dt.date(2030, 12, 31)),
    length=st.integers(-10, 800),
)
@unhurried
def test_counting_equals_a_naive_day_by_day_counter(start: dt.date, length: int) -> None:
    naive = sum(naive_is_workday(start + dt.timedelta(days=n)) for n in range(1, length + 1))
    assert CALENDAR.workdays_between(start, start + dt.timedelta(days=length)) == naive


@given(start=st.dates(dt.date(1990, 1, 1), dt.date(2060, 12, 31)), days=st.integers(0, 5000))
@unhurried
def test_counting_back_gives_the_days_that_were_added(start: dt.date, days: int) -> None:
    assert CALENDAR.workdays_between(start, CALENDAR.add_workdays(start, days).date) == days


def test_the_longest_limit_equals_the_naive_counter() -> None:
    assert CALENDAR.add_workdays(dt.date(2005, 3, 1), 5000) == naive_add(dt.date(2005, 3, 1), 5000)


@pytest.mark.parametrize("days", [-1, 5001])
def test_days_out_of_bounds_are_refused(days: int) -> None:
    with pytest.raises(ValueError, match="0 to 5000"):
        CALENDAR.add_workdays(dt.date(2026, 1, 1), days)


def test_a_span_longer_than_any_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 10000 days"):
        CALENDAR.workdays_between(dt.date(1, 1, 1), dt.date(9999, 12, 31))


def test_no_time_ends_on_the_start_day_even_when_it_is_off_or_its_year_unknown() -> None:
    assert CALENDAR.add_workdays(dt.date(2026, 10, 1), 0) == DueDate(dt.date(2026, 10, 1), provisional=False)
    assert CALENDAR.add_workdays(dt.date(2028, 1, 1), 0) == DueDate(dt.date(2028, 1, 1), provisional=False)


def test_2027_is_provisional_with_weekends_and_fixed_holidays_off() -> None:
    assert 2026 in CALENDAR.known_years
    assert 2027 not in CALENDAR.known_years
    assert CALENDAR.is_provisional(dt.date(2027, 1, 1))
    assert not CALENDAR.is_provisional(dt.date(2026, 12, 31))
    off = [each for each in days_of(2027) if each.weekday() < 5 and not CALENDAR.is_workday(each)]
    assert off == [dt.date(2027, 1, 1), dt.date(2027, 10, 1)]
    off = [each for each in days_of(2029) if each.weekday() < 5 and not CALENDAR.is_workday(each)]
    assert [f"{each:%m%d}" for each in off] == ["0101", "0501", "0502", "1001", "1002", "1003"]


def test_a_deadline_is_provisional_only_when_it_reaches_into_an_unknown_year() -> None:
    assert CALENDAR.add_workdays(dt.date(2026, 12, 30), 1) == DueDate(dt.date(2026, 12, 31), provisional=False)
    assert CALENDAR.add_workdays(dt.date(2026, 12, 30), 2) == DueDate(dt.date(2027, 1, 4), provisional=True)
    # The start day is not counted, so an unknown year that ends with it does not matter.
    assert not CALENDAR.add_workdays(dt.date(2003, 12, 31), 5).provisional
    assert CALENDAR.add_workdays(dt.date(2003, 12, 30), 5).provisional


def test_loading_2027_moves_a_provisional_deadline_and_settles_it() -> None:
    start = dt.date(2026, 12, 21)
    assert CALENDAR.add_workdays(start, 40) == DueDate(dt.date(2027, 2, 16), provisional=True)
    # New Year's make-up Sunday 27 December and Saturday 6 February gain two days, the festival's five days are lost.
    assert WITH_2027.add_workdays(start, 40) == DueDate(dt.date(2027, 2, 19), provisional=False)
    assert WITH_2027.known_years == CALENDAR.known_years | {2027}


def test_a_loaded_year_may_move_the_december_before_it() -> None:
    assert not CALENDAR.is_workday(dt.date(2026, 12, 27))
    assert WITH_2027.is_workday(dt.date(2026, 12, 27))


def test_a_file_replaces_the_year_of_the_package(tmp_path: Path) -> None:
    file = tmp_path / "corrected.json"
    holidays = ["2026-01-01", "2026-05-01", "2026-10-01"]
    file.write_text(json.dumps({"years": {"2026": {"source": "test", "holidays": holidays, "workdays": []}}}))
    corrected = WorkCalendar.load([file])
    off = [str(each) for each in days_of(2026) if each.weekday() < 5 and not corrected.is_workday(each)]
    assert off == holidays
    assert not corrected.is_workday(dt.date(2026, 1, 4))


def test_a_typhoon_closes_only_its_region() -> None:
    closed = dt.date(2026, 9, 28)
    assert not TYPHOON.for_region("3506").is_workday(closed)
    assert not TYPHOON.for_region("350600").is_workday(closed)
    assert not TYPHOON.for_region("350602005").is_workday(closed)
    assert TYPHOON.for_region("350203").is_workday(closed)
    assert TYPHOON.is_workday(closed)
    before = dt.date(2026, 9, 25)
    assert TYPHOON.add_workdays(before, 1).date == closed
    assert TYPHOON.for_region("350602").add_workdays(before, 1).date == dt.date(2026, 9, 29)
    assert TYPHOON.for_region("350626").add_workdays(before, 1).date == dt.date(2026, 9, 30)


def test_an_override_of_a_former_code_holds_for_the_division_of_today_and_the_other_way_round() -> None:
    closed = dt.date(2026, 9, 29)
    assert not TYPHOON.for_region("350604").is_workday(closed)
    assert not TYPHOON.for_region("350681100").is_workday(closed)
    assert TYPHOON.for_region("350605").is_workday(closed)


def test_nearer_overrides_go_before_wider_ones_and_everywhere_is_the_widest(tmp_path: Path) -> None:
    file = tmp_path / "overrides.json"
    saturday = {
        "2026-11-14": [
            {"working": False, "reason": "test", "region": "350602005"},
            {"working": True, "reason": "test"},
            {"working": False, "reason": "test", "region": "3506"},
            {"working": True, "reason": "test", "region": "350602"},
        ]
    }
    file.write_text(json.dumps({"overrides": saturday}))
    calendar, date = WorkCalendar.load([file]), dt.date(2026, 11, 14)
    assert calendar.is_workday(date)
    assert calendar.for_region("350100").is_workday(date)
    assert not calendar.for_region("350603").is_workday(date)
    assert calendar.for_region("350602").is_workday(date)
    assert not calendar.for_region("350602005").is_workday(date)
    assert calendar.for_region("350602005").for_region("350602").is_workday(date)


def test_the_later_of_two_files_holds(tmp_path: Path) -> None:
    lifted = tmp_path / "lifted.json"
    override = {"working": True, "reason": "the typhoon turned away", "region": "3506"}
    lifted.write_text(json.dumps({"overrides": {"2026-09-28": override}}))
    calendar = WorkCalendar.load([DATA / "invented_typhoon.json", lifted])
    assert calendar.for_region("3506").is_workday(dt.date(2026, 9, 28))
    assert not calendar.for_region("350626").is_workday(dt.date(2026, 9, 29))


def test_a_view_needs_a_division_code() -> None:
    with pytest.raises(UnknownDivision):
        TYPHOON.for_region("")


def test_regions_without_an_override_of_their_own_share_a_view() -> None:
    assert TYPHOON.for_region("350602") is TYPHOON.for_region("350627101")
    assert TYPHOON.for_region("350100") is TYPHOON


def test_the_version_is_stable_and_changes_with_every_year_and_override() -> None:
    assert WorkCalendar.load().version == CALENDAR.version
    assert len({CALENDAR.version, WITH_2027.version, TYPHOON.version}) == 3
    assert TYPHOON.for_region("3506").version != TYPHOON.for_region("350626").version


def test_the_version_of_a_region_does_not_change_with_overrides_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    override = {"working": False, "reason": "test", "region": "350629"}
    elsewhere.write_text(json.dumps({"overrides": {"2026-09-30": override}}))
    both = WorkCalendar.load([DATA / "invented_typhoon.json", elsewhere])
    assert both.version != TYPHOON.version
    assert both.for_region("350602").version == TYPHOON.for_region("350602").version
    assert both.for_region("350629").version != TYPHOON.for_region("350629").version
