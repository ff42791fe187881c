"""What happens to records (信用记录)."""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from tulou_civics.calendar import WorkCalendar

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
# Working days from the decision to its publication (发改办财金〔2018〕424号).
PUBLICATION_DAYS: Final = 7
# A calendar counts no further, and who is that late is late enough.
_COUNTED: Final = timedelta(days=10_000)


class RecordState(StrEnum):
    """Whether the decision that a record tells of stands. FORGOTTEN: its retention is over, what it said gone."""

    CURRENT = "CURRENT"
    WITHDRAWN = "WITHDRAWN"
    FORGOTTEN = "FORGOTTEN"


class Outcome(StrEnum):
    """What putting a decision did. UNCHANGED: its content is known, also when a correction has replaced it since."""

    CREATED = "CREATED"
    UNCHANGED = "UNCHANGED"
    SUPERSEDED = "SUPERSEDED"


class WithdrawalReason(StrEnum):
    """Why a decision is no longer shown: 被撤销, 被变更, 确认违法, 确认无效 (行政处罚法 art. 48), 报送有误."""

    REVOKED = "REVOKED"
    CHANGED = "CHANGED"
    UNLAWFUL = "UNLAWFUL"
    VOID = "VOID"
    SENT_BY_MISTAKE = "SENT_BY_MISTAKE"


def civil_date(now: datetime) -> date:
    """The day in Asia/Shanghai."""
    return now.astimezone(SHANGHAI).date()


def days_late(*, decided_on: date, received_on: date, calendar: WorkCalendar) -> int:
    """Working days by which a decision came after the seventh; 0 in time. Counted for 10,000 days at most."""
    since = max(decided_on, received_on - _COUNTED)
    return max(0, calendar.workdays_between(since, received_on) - PUBLICATION_DAYS)
