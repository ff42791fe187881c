"""Events: recorded in the outbox beside the change, carried in the CloudEvents envelope `tulou.type.v1.Event`."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import insert
from sqlmodel import Session
from tulou.type.v1.event_pb2 import Event

from tulou_chassis.tables import OutboxEvent

TYPE_URL = "type.googleapis.com/"
_PROPAGATOR = TraceContextTextMapPropagator()
# The plain table, because rows that are only ever appended need nothing of the ORM (measured: half the time of an insert).
_OUTBOX = OutboxEvent.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class Change:
    """An event as the domain records it: what happened, to which aggregate, where."""

    subject: str
    region: str
    payload: Message


def record(session: Session, change: Change, *, now: datetime) -> None:
    """Writes the event in the caller's transaction. It carries the trace context of the running span."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    session.connection().execute(
        insert(_OUTBOX),
        {
            "event_id": str(uuid.uuid4()),
            "type": change.payload.DESCRIPTOR.name,
            "subject": change.subject,
            "region": change.region,
            "time": now,
            "traceparent": carrier.get("traceparent", ""),
            "data": Any(
                type_url=TYPE_URL + change.payload.DESCRIPTOR.full_name, value=change.payload.SerializeToString()
            ).SerializeToString(),
        },
    )


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
