"""What is no longer to be kept is emptied: of a record stays that it was, when, and of which type and subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, update
from sqlmodel import Session, col, select

from tulou_civics.durations import Duration, Unit
from tulou_credit.domain.catalogue import Category
from tulou_credit.domain.records import RecordState, civil_date
from tulou_credit.domain.retention import is_over, retained_from
from tulou_credit.models import Record, RecordType, RecordVersion
from tulou_credit.operations.records import TIMER, note
from tulou_credit.queries import get_record
from tulou_credit.wiring import House

# No unit is shorter than that.
_SHORTEST: Final = {Unit.WORKING_DAY: 1, Unit.CALENDAR_DAY: 1, Unit.MONTH: 28, Unit.YEAR: 365}


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """How many records were emptied, and the last one that was looked at; None when there was none."""

    count: int
    last: str | None


def forget_due(session: Session, *, after: str, now: datetime, limit: int, house: House) -> Forgotten:
    """Empties those of the next `limit` records behind the id `after` whose retention is over.

    The retention is the one of the catalogue's version that the record was taken by. Keyed hashes stay, so that who
    sends a forgotten decision again changes nothing.
    """
    today = civil_date(now)
    types = {(entry.code, entry.version): entry for entry in session.exec(select(RecordType))}
    retentions = {key: Duration(entry.retention_amount, Unit(entry.retention_unit)) for key, entry in types.items()}
    rows = _candidates(session, retentions, after, today, limit)
    count = 0
    for row in rows:
        kind = (row.type_code, row.type_version)
        start = retained_from(
            category=Category(types[kind].category),
            withdrawn=row.state == RecordState.WITHDRAWN,
            decided_on=row.decided_on,
            valid_to=row.valid_to,
            public_from=row.public_from,
            public_until=row.public_until,
            lifted_on=row.lifted_on,
        )
        if start is not None and is_over(start, retentions[kind], today=today, calendar=house.calendar):
            count += _forget(session, row, now, house)
    return Forgotten(count=count, last=rows[-1].id if rows else None)


def _candidates(
    session: Session, retentions: dict[tuple[str, int], Duration], after: str, today: date, limit: int
) -> Sequence[Any]:
    """Records that are old enough by the day of their decision, which is the first that retention can count from."""
    old: list[ColumnElement[bool]] = [
        and_(
            col(RecordVersion.type_code) == code,
            col(RecordVersion.type_version) == version,
            col(RecordVersion.decided_on) < today - timedelta(days=retention.amount * _SHORTEST[retention.unit]),
        )
        for (code, version), retention in retentions.items()
        if retention.amount * _SHORTEST[retention.unit] < today.toordinal()
    ]
    query = (
        select(
            Record.id,
            Record.state,
            Record.newest,
            RecordVersion.type_code,
            RecordVersion.type_version,
            RecordVersion.decided_on,
            RecordVersion.valid_to,
            RecordVersion.public_from,
            RecordVersion.public_until,
            RecordVersion.lifted_on,
        )  # type: ignore[call-overload]
        .join(
            RecordVersion, and_(col(RecordVersion.record_id) == Record.id, col(RecordVersion.number) == Record.newest)
        )
        .where(Record.id > after, Record.state != RecordState.FORGOTTEN.value, or_(*old))
        .order_by(col(Record.id))
        .limit(limit)
    )
    return session.exec(query).all() if old else []


def _forget(session: Session, row: Any, now: datetime, house: House) -> bool:
    record = get_record(session, record_id=row.id, for_update=True)
    if (record.newest, record.state) != (row.newest, row.state) or record.disputed:
        # Something else is known of it since, or someone objects to it.
        return False
    session.execute(
        update(RecordVersion).where(col(RecordVersion.record_id) == record.id).values(content={}, sealed="")
    )
    record.state, record.archive_after, record.updated_at = RecordState.FORGOTTEN.value, None, now
    note(session, record, "FORGET", TIMER, "", {}, now, house)
    session.flush()
    return True
