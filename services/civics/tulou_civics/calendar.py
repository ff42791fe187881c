"""The working calendar: which days count, and when a limit in working days ends (行政许可法 art. 82)."""

from __future__ import annotations

import datetime as dt
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

from tulou_civics.calendar_files import SATURDAY, CalendarFileError, Override, read
from tulou_civics.divisions import current_code

__all__ = ["MAX_WORKDAYS", "CalendarFileError", "DueDate", "Override", "WorkCalendar"]

MAX_WORKDAYS = 5000

# Holidays whose date needs no notice: 全国年节及纪念日放假办法 art. 2 (2024). The others follow the lunar calendar or
# are moved by the State Council's yearly notice.
_FIXED_HOLIDAYS = {(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)}


@dataclass(frozen=True, slots=True)
class DueDate:
    """The last day of a limit; provisional when a year without a calendar was counted: loading it may move the day."""

    date: dt.date
    provisional: bool


@dataclass(frozen=True, eq=False)
class WorkCalendar:
    """Working days, seen from one region ("" is the whole country).

    `moved` holds the days that differ from Monday to Friday in the known years: True for work, False for off.
    `overrides` holds those of every region, so that a view for another region can be taken from any view.
    """

    known_years: frozenset[int]
    moved: Mapping[dt.date, bool] = field(repr=False)
    overrides: tuple[Override, ...] = ()
    region: str = ""
    _tables: dict[int, list[int]] = field(default_factory=dict, init=False, repr=False)
    _views: dict[str, WorkCalendar] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def load(cls, files: Sequence[Path] = ()) -> WorkCalendar:
        """The calendar of the `chinesecalendar` package, overlaid by calendar files.

        A year in a file replaces the package's; of two files that say something about the same year, or about the same
        day and region, the later one holds. Raises CalendarFileError.
        """
        years = dict(_package_years())
        overrides: dict[tuple[dt.date, str], Override] = {}
        for content in map(read, files):
            years |= content.years
            overrides |= {(each.day, each.region): each for each in content.overrides}
        moved: dict[dt.date, bool] = {}
        for year in sorted(years):
            moved |= years[year]
        return cls(frozenset(years), moved, tuple(overrides[key] for key in sorted(overrides)))

    def for_region(self, code: str) -> WorkCalendar:
        """The calendar as it holds in a division, former codes included: nearer overrides go before wider ones.

        Raises UnknownDivision when it has not the form of a code.
        """
        today = current_code(code)
        # Divisions with the same nearest override share one view and its tables.
        nearest = next((region for region in self._override_regions if today.startswith(region)), "")
        if nearest == self.region:
            return self
        return self._views.setdefault(nearest, replace(self, region=nearest))

    @cached_property
    def version(self) -> str:
        """A short text that changes when, and only when, what this view is made of changes.

        The whole country's also changes with any region's override, so one comparison tells that something did.
        """
        overrides = self._applied if self.region else self.overrides
        content = (
            sorted(self.known_years),
            sorted((str(day), working) for day, working in self.moved.items()),
            [(str(each.day), each.region, each.working) for each in overrides],
        )
        return hashlib.sha256(repr(content).encode()).hexdigest()[:12]

    def is_provisional(self, day: dt.date) -> bool:
        """Whether the day's year has no calendar yet: then only weekends and fixed-date holidays count as off."""
        return day.year not in self.known_years

    def is_workday(self, day: dt.date) -> bool:
        """Whether the day counts as a working day; in a year without a calendar as far as can be known."""
        table, ordinal = self._workdays(day.year), day.toordinal()
        index = bisect_left(table, ordinal)
        return index < len(table) and table[index] == ordinal

    def add_workdays(self, start: dt.date, days: int) -> DueDate:
        """The day on which a limit of `days` working days (0 to 5000) ends; `start` is day 0 and not counted.

        Provisional when a day after `start`, up to the due date, lies in a year without a calendar.
        Raises ValueError outside the bounds or past the year 9999.
        """
        if not 0 <= days <= MAX_WORKDAYS:
            raise ValueError(f"days must be 0 to {MAX_WORKDAYS}, not {days}")
        if days == 0:
            return DueDate(start, provisional=False)
        year, table = start.year, self._workdays(start.year)
        index = bisect_right(table, start.toordinal()) + days - 1
        while index >= len(table):
            index -= len(table)
            year += 1
            table = self._workdays(year)
        first_counted_year = (start + dt.timedelta(days=1)).year
        provisional = not self.known_years.issuperset(range(first_counted_year, year + 1))
        return DueDate(dt.date.fromordinal(table[index]), provisional)

    def workdays_between(self, start: dt.date, end: dt.date) -> int:
        """The number of working days after `start` up to and including `end`; 0 when `end` is not after `start`.

        Raises ValueError when they lie more than 10,000 calendar days apart, further than 5000 working days reach.
        """
        if end <= start:
            return 0
        if (end - start).days > 2 * MAX_WORKDAYS:
            raise ValueError(f"{start} and {end} lie more than {2 * MAX_WORKDAYS} days apart")
        whole_years = sum(len(self._workdays(year)) for year in range(start.year, end.year))
        until_end = bisect_right(self._workdays(end.year), end.toordinal())
        until_start = bisect_right(self._workdays(start.year), start.toordinal())
        return whole_years + until_end - until_start

    @cached_property
    def _override_regions(self) -> tuple[str, ...]:
        return tuple(sorted({each.region for each in self.overrides}, key=len, reverse=True))

    @cached_property
    def _applied(self) -> tuple[Override, ...]:
        """The overrides that hold here, wider regions first; of nested regions the code of one starts the other's."""
        here = [each for each in self.overrides if self.region.startswith(each.region)]
        return tuple(sorted(here, key=lambda each: len(each.region)))

    @cached_property
    def _exceptions(self) -> Mapping[dt.date, bool]:
        return {**self.moved, **{each.day: each.working for each in self._applied}}

    def _workdays(self, year: int) -> list[int]:
        """The ordinals of the year's working days, made once: limits are counted on every write."""
        if year not in self._tables:
            first, end = dt.date(year, 1, 1).toordinal(), dt.date(year, 12, 31).toordinal() + 1
            self._tables[year] = [day for day in range(first, end) if self._works(dt.date.fromordinal(day))]
        return self._tables[year]

    def _works(self, day: dt.date) -> bool:
        exception = self._exceptions.get(day)
        if exception is not None:
            return exception
        fixed_holiday = self.is_provisional(day) and (day.month, day.day) in _FIXED_HOLIDAYS
        return day.weekday() < SATURDAY and not fixed_holiday


@cache
def _package_years() -> Mapping[int, Mapping[dt.date, bool]]:
    # Imported here: a process that only needs divisions or identifiers should not pay for 20 years of holidays.
    from chinese_calendar.constants import holidays, workdays

    years: dict[int, dict[dt.date, bool]] = {day.year: {} for day in holidays}
    for day in holidays:
        if day.weekday() < SATURDAY:
            years[day.year][day] = False
    for day in workdays:
        years[day.year][day] = True
    return years
