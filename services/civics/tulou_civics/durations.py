"""Durations that keep their unit: a 日 of 行政许可法 is a working day (art. 82), elsewhere it may be a calendar day."""

from __future__ import annotations

import calendar as gregorian
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tulou_civics.calendar import DueDate, WorkCalendar

MAX_AMOUNT = 5000


class Unit(StrEnum):
    """What a duration counts: 工作日, 自然日, 月, 年."""

    WORKING_DAY = "WORKING_DAY"
    CALENDAR_DAY = "CALENDAR_DAY"
    MONTH = "MONTH"
    YEAR = "YEAR"


@dataclass(frozen=True, slots=True)
class Duration:
    """An amount of one unit, 0 to 5000. Raises ValueError outside that."""

    amount: int
    unit: Unit

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= MAX_AMOUNT:
            raise ValueError(f"amount must be 0 to {MAX_AMOUNT}, not {self.amount}")

    def end(self, start: date, calendar: WorkCalendar) -> DueDate:
        """The last day of the duration; `start` is not counted (民法典 art. 201).

        Months and years end on the same day of the month, or on the month's last day where it has no such day
        (民法典 art. 202). The end is not moved off a holiday (art. 203): whether it is depends on the rule that uses
        it. Only working days can be provisional. Raises ValueError past the year 9999.
        """
        match self.unit:
            case Unit.WORKING_DAY:
                return calendar.add_workdays(start, self.amount)
            case Unit.CALENDAR_DAY:
                return DueDate(date.fromordinal(start.toordinal() + self.amount), provisional=False)
            case Unit.MONTH:
                return DueDate(_months_after(start, self.amount), provisional=False)
            case Unit.YEAR:
                return DueDate(_months_after(start, 12 * self.amount), provisional=False)


def _months_after(start: date, months: int) -> date:
    years, month_index = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month_index + 1
    return date(year, month, min(start.day, gregorian.monthrange(year, month)[1]))
