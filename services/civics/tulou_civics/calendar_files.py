"""Calendar files: years newer than the `chinesecalendar` package knows, and local overrides (README has an example)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tulou_civics.divisions import UnknownDivision, current_code, divisions

SATURDAY = 5


class CalendarFileError(ValueError):
    """A calendar file cannot be used; the message names the file, the key in it and what is wrong."""

    def __init__(self, path: Path, key: str, why: str) -> None:
        super().__init__(f"{path}: {key}: {why}")
        self.path = path
        self.key = key


@dataclass(frozen=True, slots=True)
class Override:
    """One day that a region works or has off against the calendar; the region "" is everywhere."""

    day: date
    region: str
    working: bool
    reason: str


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """`years` holds for each year the days that differ from Monday to Friday: True for work, False for off."""

    years: Mapping[int, Mapping[date, bool]]
    overrides: tuple[Override, ...]


def read(path: Path) -> CalendarFile:
    """Read and check one calendar file. Raises CalendarFileError."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise CalendarFileError(path, key, "stands there twice")
        return dict(pairs)

    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except CalendarFileError:
        raise
    except (OSError, ValueError) as error:
        raise CalendarFileError(path, "(file)", str(error)) from error
    top = _object(path, "(file)", content, allowed={"years", "overrides"})
    years = _object(path, "years", top.get("years", {}))
    overrides = _object(path, "overrides", top.get("overrides", {}))
    return CalendarFile(
        years={_year(path, key): _days(path, key, value) for key, value in years.items()},
        overrides=tuple(
            _override(path, key, each)
            for key, value in overrides.items()
            # Two counties may close on the same day for reasons of their own.
            for each in (value if isinstance(value, list) else [value])
        ),
    )


def _year(path: Path, key: str) -> int:
    if not (len(key) == 4 and key.isascii() and key.isdigit() and key > "1949"):
        raise CalendarFileError(path, f"years.{key}", "not a year")
    return int(key)


def _days(path: Path, year_key: str, value: object) -> dict[date, bool]:
    key = f"years.{year_key}"
    fields = _object(path, key, value, allowed={"holidays", "workdays", "source"})
    _text(path, f"{key}.source", fields.get("source"))
    days: dict[date, bool] = {}
    for name, working in (("holidays", False), ("workdays", True)):
        listed = fields.get(name)
        if not isinstance(listed, list):
            raise CalendarFileError(path, f"{key}.{name}", "must be a list of dates")
        for index, item in enumerate(listed):
            item_key = f"{key}.{name}[{index}]"
            day = _date(path, item_key, item)
            # A year's notice may move the days around New Year's Eve too, as 2019's did with 29 and 31 December 2018.
            if day.year != int(year_key) and (day.year, day.month) != (int(year_key) - 1, 12):
                raise CalendarFileError(path, item_key, f"{day} is not in {year_key} or the December before")
            if (day.weekday() >= SATURDAY) is not working:
                expected = "Saturday or Sunday" if working else "Monday to Friday"
                raise CalendarFileError(path, item_key, f"{day} must be a {expected}")
            if day in days:
                raise CalendarFileError(path, item_key, f"{day} stands there twice")
            days[day] = working
    # These three are holidays in every year, so a list without them was cut short; better provisional than wrong.
    for month, number in ((1, 1), (5, 1), (10, 1)):
        fixed = date(int(year_key), month, number)
        if fixed.weekday() < SATURDAY and fixed not in days:
            raise CalendarFileError(path, f"{key}.holidays", f"{fixed} is missing")
    return days


def _override(path: Path, day_key: str, value: object) -> Override:
    key = f"overrides.{day_key}"
    day = _date(path, key, day_key)
    fields = _object(path, key, value, allowed={"working", "reason", "region"})
    working = fields.get("working")
    if not isinstance(working, bool):
        raise CalendarFileError(path, f"{key}.working", "must be true or false")
    region = ""
    if "region" in fields:
        given = _text(path, f"{key}.region", fields["region"])
        try:
            region = current_code(given)
        except UnknownDivision as error:
            raise CalendarFileError(path, f"{key}.region", str(error)) from error
        if region not in divisions():
            raise CalendarFileError(path, f"{key}.region", f"{given!r} is no division of the city")
    return Override(day, region, working, _text(path, f"{key}.reason", fields.get("reason")))


def _object(path: Path, key: str, value: object, allowed: set[str] | None = None) -> dict[str, object]:
    if not isinstance(value, dict):
        raise CalendarFileError(path, key, "must be an object")
    for name in value:
        if allowed is not None and name not in allowed:
            raise CalendarFileError(path, f"{key}.{name}", f"unknown key; known are {', '.join(sorted(allowed))}")
    return value


def _text(path: Path, key: str, value: object) -> str:
    if not (isinstance(value, str) and value.strip()):
        raise CalendarFileError(path, key, "must be a text that is not empty")
    return value


def _date(path: Path, key: str, value: object) -> date:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise CalendarFileError(path, key, f"{value!r} is not a date of the form YYYY-MM-DD")
    return day
