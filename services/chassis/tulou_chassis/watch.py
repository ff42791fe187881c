"""A service's events as a stream, from a cursor on: what is there at once, what comes when it comes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from sqlmodel import Session, col, select

from tulou.type.v1.event_pb2 import Event
from tulou_chassis.db import Database
from tulou_chassis.events import envelope
from tulou_chassis.tables import OutboxEvent

BATCH: Final = 200
POLL_SECONDS: Final = 0.5
# A stream ends by itself now and then, so that its token is checked again.
MAX_SECONDS: Final = 3600.0


async def watch_outbox(
    database: Database, *, source: str, region: str, after: int, types: Sequence[str]
) -> AsyncIterator[Event]:
    """Events of a region behind the position `after`, in order, until an hour is over or the server stops.

    Only events that the relay has given a position are seen: positions follow the order of commits, so a cursor never
    steps over an event.
    """
    end = time.monotonic() + MAX_SECONDS

    def query(session: Session, position: int) -> Sequence[OutboxEvent]:
        found = select(OutboxEvent).where(
            col(OutboxEvent.position) > position, col(OutboxEvent.region).startswith(region, autoescape=True)
        )
        if types:
            found = found.where(col(OutboxEvent.type).in_(types))
        return session.exec(found.order_by(col(OutboxEvent.position)).limit(BATCH)).all()

    while time.monotonic() < end and not database.closing.is_set():
        position = after
        rows = await database.read(lambda session, behind=position: query(session, behind))  # type: ignore[misc]
        for row in rows:
            after = row.position or after
            yield envelope(row, source=source)
        if len(rows) < BATCH:
            with suppress(TimeoutError):
                await asyncio.wait_for(database.closing.wait(), POLL_SECONDS)
