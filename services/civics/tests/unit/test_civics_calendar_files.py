"""Calendar files that must be refused, each with the key that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from tulou_civics.calendar import CalendarFileError, WorkCalendar

HOLIDAYS = ["2027-01-01", "2027-10-01"]


def year(**changes: Any) -> dict[str, Any]:
    fields = {"source": "test", "holidays": HOLIDAYS, "workdays": [], **changes}
    return {"years": {"2027": {key: value for key, value in fields.items() if value is not None}}}


def override(day: str = "2026-09-28", **changes: Any) -> dict[str, Any]:
    fields = {"working": False, "reason": "test", **changes}
    return {"overrides": {day: {key: value for key, value in fields.items() if value is not None}}}


def refusal(path: Path) -> CalendarFileError:
    with pytest.raises(CalendarFileError) as refused:
        WorkCalendar.load([path])
    return refused.value


@pytest.mark.parametrize(
    ("content", "key", "why"),
    [
        ([], "(file)", "must be an object"),
        ({"year": {}}, "(file).year", "unknown key"),
        ({"years": []}, "years", "must be an object"),
        ({"years": {"27": {}}}, "years.27", "not a year"),
        ({"years": {"2027": []}}, "years.2027", "must be an object"),
        (year(holiday=[]), "years.2027.holiday", "unknown key"),
        (year(source=None), "years.2027.source", "text"),
        (year(source=" "), "years.2027.source", "text"),
        (year(holidays=None), "years.2027.holidays", "list"),
        (year(workdays="2027-01-02"), "years.2027.workdays", "list"),
        (year(holidays=["2027-13-01"]), "years.2027.holidays[0]", "not a date"),
        (year(holidays=["20270101"]), "years.2027.holidays[0]", "not a date"),
        (year(holidays=[20270101]), "years.2027.holidays[0]", "not a date"),
        (year(holidays=[*HOLIDAYS, "2028-01-03"]), "years.2027.holidays[2]", "not in 2027"),
        (year(holidays=[*HOLIDAYS, "2026-11-30"]), "years.2027.holidays[2]", "not in 2027"),
        (year(holidays=[*HOLIDAYS, "2027-10-02"]), "years.2027.holidays[2]", "Monday to Friday"),
        (year(workdays=["2027-10-08"]), "years.2027.workdays[0]", "Saturday or Sunday"),
        (year(holidays=[*HOLIDAYS, "2027-10-01"]), "years.2027.holidays[2]", "twice"),
        (year(holidays=["2027-01-01"]), "years.2027.holidays", "2027-10-01 is missing"),
        (override(day="28 September"), "overrides.28 September", "not a date"),
        (override(working="no"), "overrides.2026-09-28.working", "true or false"),
        (override(working=None), "overrides.2026-09-28.working", "true or false"),
        (override(reason=None), "overrides.2026-09-28.reason", "text"),
        (override(city="3506"), "overrides.2026-09-28.city", "unknown key"),
        (override(region=3506), "overrides.2026-09-28.region", "text"),
        (override(region=""), "overrides.2026-09-28.region", "text"),
        (override(region="Zhangzhou"), "overrides.2026-09-28.region", "unknown division"),
        (override(region="3605"), "overrides.2026-09-28.region", "no division of the city"),
        ({"overrides": {"2026-09-28": [False]}}, "overrides.2026-09-28", "must be an object"),
    ],
)
def test_a_bad_file_is_refused_by_naming_the_key(tmp_path: Path, content: Any, key: str, why: str) -> None:
    path = tmp_path / "calendar.json"
    path.write_text(json.dumps(content))
    error = refusal(path)
    assert error.key == key
    assert why in str(error)
    assert str(path) in str(error)


def test_the_smallest_good_files_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "calendar.json"
    for content in ({}, year(), override(), override(region="3506")):
        path.write_text(json.dumps(content))
        WorkCalendar.load([path])


def test_a_date_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calendar.json"
    one = '"2026-09-28": {"working": false, "reason": "test"}'
    path.write_text(f'{{"overrides": {{{one}, {one}}}}}')
    assert refusal(path).key == "2026-09-28"


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calendar.json"
    assert refusal(path).key == "(file)"
    path.write_text("years: 2027")
    assert refusal(path).key == "(file)"
    path.write_bytes(b"\xff\xfe")
    assert refusal(path).key == "(file)"
