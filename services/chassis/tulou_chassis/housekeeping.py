"""What is thrown away after its time: first answers, inbox entries and published outbox rows. Little by little."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Table, delete, select, tuple_
from sqlmodel import Session

from tulou_chassis import outbox
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import IdempotencyRecord, InboxEntry

# A delete of more would keep other writers waiting on SQLite.
CHUNK: Final = 500
IDEMPOTENCY_DAYS: Final = 7
# How long it is known that a handler took an event in.
INBOX_DAYS: Final = 90
OUTBOX_DAYS: Final = 90
# An event may be published again while it is younger: then it arrives, even after days without a broker, where it is
# still known whether it was taken in.
REPUBLISH_DAYS: Final = 80
_IDEMPOTENCY = IdempotencyRecord.__table__  # type: ignore[attr-defined]
_INBOX = InboxEntry.__table__  # type: ignore[attr-defined]


def clean(
    database: SyncDatabase, *, now: datetime, idempotency_days: int, inbox_days: int, outbox_days: int
) -> dict[str, int]:
    """Deletes what is older than that many days; gives how many rows of which table went."""

    def rows_of(table: Table, days: int) -> Callable[[Session], int]:
        return lambda session: _delete_oldest(session, table, before=now - timedelta(days=days))

    def published(session: Session) -> int:
        return outbox.prune(session, before=now - timedelta(days=outbox_days), limit=CHUNK)

    jobs = {
        "idempotency": rows_of(_IDEMPOTENCY, idempotency_days),
        "inbox": rows_of(_INBOX, inbox_days),
        "outbox": published,
    }
    return {name: _until_done(database, job) for name, job in jobs.items()}


def _until_done(database: SyncDatabase, job: Callable[[Session], int]) -> int:
    total = 0
    while gone := database.write(job):
        total += gone
    return total


def _delete_oldest(session: Session, table: Table, *, before: datetime) -> int:
    keys = list(table.primary_key.columns)
    oldest = select(*keys).where(table.c.time < before).order_by(table.c.time).limit(CHUNK)
    return session.connection().execute(delete(table).where(tuple_(*keys).in_(oldest))).rowcount
