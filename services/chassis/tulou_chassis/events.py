"""Events: noted by operations, written to the outbox beside the change, carried in `tulou.type.v1.Event`."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from sqlalchemy import insert
from sqlmodel import Session

from tulou.type.v1.event_pb2 import Event
from tulou_chassis.tables import OutboxEvent
from tulou_chassis.telemetry import traceparent

TYPE_URL = "type.googleapis.com/"
# The plain table: rows that are only ever appended need nothing of the ORM (measured: half the time of an insert).
_OUTBOX = OutboxEvent.__table__  # type: ignore[attr-defined]
_PENDING = "tulou_events"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """An event as it is published: its payload, the aggregate it is about, and the region whose partners may see it."""

    subject: str
    region: str
    payload: Message


Publisher = Callable[[object], Publication]


def emit(session: Session, happened: object) -> None:
    """Notes what happened; the edge that owns the transaction turns it into a publication before the commit."""
    session.info.setdefault(_PENDING, []).append(happened)


def write_outbox(session: Session, publisher: Publisher, *, now: datetime) -> None:
    """Writes what was noted in the session to the outbox, with the trace context of the running span."""
    happened = session.info.pop(_PENDING, None)
    if not happened:
        return
    running = traceparent()
    rows = [_row(publisher(one), running, now) for one in happened]
    session.connection().execute(insert(_OUTBOX), rows)


def _row(publication: Publication, traceparent: str, now: datetime) -> dict[str, object]:
    payload = publication.payload
    packed = Any(type_url=TYPE_URL + payload.DESCRIPTOR.full_name, value=payload.SerializeToString())
    return {
        "event_id": str(uuid.uuid4()),
        "type": payload.DESCRIPTOR.name,
        "subject": publication.subject,
        "region": publication.region,
        "time": now,
        "traceparent": traceparent,
        "data": packed.SerializeToString(),
    }


def envelope(row: OutboxEvent, *, source: str) -> Event:
    """The row as it travels."""
    event = Event(
        id=row.event_id,
        source=source,
        type=row.type,
        subject=row.subject,
        traceparent=row.traceparent,
        position=row.position or 0,
    )
    event.time.FromDatetime(row.time)
    event.data.ParseFromString(row.data)
    return event
