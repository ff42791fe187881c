"""What the worker's tests and the services they host both know: notes that handlers leave, and what is published."""

from pathlib import Path

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlmodel import Session

from tulou.type.v1.event_pb2 import Event
from tulou_chassis.events import Publication

# Not SQLModel's: what is declared there belongs to every service that the same process imports.
METADATA = MetaData()
TICK_SECONDS = 1.5
# With one revision, 0001, that makes nothing; tests make what they need.
MIGRATIONS = Path(__file__).parents[2] / "migrations"
# That something took effect, in the order in which it did.
NOTES = Table(
    "test_note",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("handler", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("text", String, nullable=False),
)
# What a test has switched on.
SWITCHES = Table("test_switch", METADATA, Column("name", String, primary_key=True))


def note(session: Session, handler: str, subject: str, text: str) -> None:
    """Leaves a note."""
    session.connection().execute(insert(NOTES), {"handler": handler, "subject": subject, "text": text})


def noted(session: Session, handler: str) -> list[tuple[str, str]]:
    """The handler's notes as (subject, text), in order."""
    columns = NOTES.c
    rows = select(columns.subject, columns.text).where(columns.handler == handler).order_by(columns.id)
    return [(row.subject, row.text) for row in session.connection().execute(rows)]


def count(session: Session) -> dict[str, int]:
    """Notes by handler."""
    if "uncountable" in switched_on(session):
        raise RuntimeError("notes cannot be counted")
    rows = select(NOTES.c.handler, func.count().label("number")).group_by(NOTES.c.handler)
    return {row.handler: row.number for row in session.connection().execute(rows)}


def switched_on(session: Session) -> set[str]:
    """The names of what is on."""
    return set(session.connection().execute(select(SWITCHES.c.name)).scalars())


def publication(happened: object) -> Publication:
    """What is emitted in these tests is (subject, payload)."""
    assert isinstance(happened, tuple)
    subject, payload = happened
    return Publication(subject=subject, region="350600", payload=payload)


def text_of(event: Event) -> str:
    """The payload's value."""
    payload: Message = StringValue() if event.type == "StringValue" else Int64Value()
    event.data.Unpack(payload)
    return str(payload.value)
