"""What all messages have in common: days, instants, enums, and JSON with whole numbers."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from tulou_chassis.schemas import whole
from tulou_chassis.violations import InvalidFields, Violation
from tulou_credit.domain.records import civil_date


def value_of(kind: Any, name: str | None) -> Any:
    """The number of a value without its prefix, of "" and None that of UNSPECIFIED: MINOR → SEVERITY_MINOR."""
    return kind.Value(f"{_prefix(kind)}{name}") if name else 0


def name_of(kind: Any, value: int) -> str:
    """The name of a value without its prefix; "" of UNSPECIFIED: SEVERITY_MINOR → MINOR."""
    return str(kind.Name(value)).removeprefix(_prefix(kind)) if value else ""


def _prefix(kind: Any) -> str:
    return str(kind.Name(0)).removesuffix("UNSPECIFIED")


def day_to_proto(day: date | None) -> str:
    """YYYY-MM-DD, or "" for None."""
    return day.isoformat() if day else ""


def day_from_proto(text: str) -> date | None:
    """The day of a field that the guards have checked; None of an empty one."""
    return date.fromisoformat(text) if text else None


def day_or_today(text: str, now: datetime) -> date:
    """The day of a field, or that of `now` in Asia/Shanghai."""
    return day_from_proto(text) or civil_date(now)


def time_to_proto(time: datetime | None) -> Timestamp | None:
    """None stays None, which leaves a field unset."""
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def time_or_now(stamp: Timestamp, *, given: bool, now: datetime, field: str) -> datetime:
    """The instant of a field, or `now` where it was not given. Raises InvalidFields where it is beyond all days."""
    try:
        return stamp.ToDatetime(UTC) if given else now
    except (ValueError, OverflowError):
        zh, en = "须在公元 1 年至 9999 年之间。", "In the years 1 to 9999."
        raise InvalidFields([Violation(field, "range", zh, en)]) from None


def struct_to_proto(content: Mapping[str, Any]) -> Struct:
    """JSON as a message."""
    struct = Struct()
    struct.update(content)
    return struct


def struct_from_proto(struct: Struct) -> dict[str, Any]:
    """The message as JSON; whole numbers, which a message holds as doubles, become integers."""
    content: dict[str, Any] = whole(MessageToDict(struct))
    return content
