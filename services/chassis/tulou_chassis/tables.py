"""The tables that every service's database holds beside its own."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Index, Integer, LargeBinary, TypeDecorator, text
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An instant in UTC. SQLite has no time zones, so what comes back naive is UTC by agreement."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Nothing for PostgreSQL, whose drivers give instants with their zone."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


# SQLite counts up only a column that is exactly INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")


class OutboxEvent(SQLModel, table=True):
    """One event, written in the transaction of the change it tells of."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    event_id: str = Field(max_length=36, unique=True)
    type: str = Field(max_length=64)
    subject: str = Field(max_length=64)
    region: str = Field(max_length=12)
    time: datetime = Field(sa_type=UtcDateTime)
    traceparent: str = Field(max_length=64)
    data: bytes = Field(sa_type=LargeBinary)
    # Given by the relay, in the order in which commits became visible: ids alone would let a reader step over a row
    # whose transaction took longer.
    position: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    published_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (
        Index(
            "ix_outbox_unpublished",
            "id",
            postgresql_where=text("published_at IS NULL"),
            sqlite_where=text("published_at IS NULL"),
        ),
    )


class InboxEntry(SQLModel, table=True):
    """That a handler has taken an event in, written in the transaction of what the handler did."""

    __tablename__ = "inbox"

    event_id: str = Field(max_length=36, primary_key=True)
    handler: str = Field(max_length=100, primary_key=True)
    time: datetime = Field(sa_type=UtcDateTime, index=True)


class DeadLetter(SQLModel, table=True):
    """An event that a handler failed on until its tries were used up."""

    __tablename__ = "dead_letter"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    event_id: str = Field(max_length=36, index=True)
    handler: str = Field(max_length=100)
    envelope: bytes = Field(sa_type=LargeBinary)
    error: str = Field(max_length=500)
    attempts: int
    time: datetime = Field(sa_type=UtcDateTime)
    replay_requested_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    replayed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class IdempotencyRecord(SQLModel, table=True):
    """The first answer to a request_id, written in the transaction of the change it answered."""

    __tablename__ = "idempotency"

    subject: str = Field(max_length=128, primary_key=True)
    method: str = Field(max_length=120, primary_key=True)
    request_id: str = Field(max_length=36, primary_key=True)
    payload_hash: bytes = Field(sa_type=LargeBinary)
    response: bytes = Field(sa_type=LargeBinary)
    time: datetime = Field(sa_type=UtcDateTime, index=True)


class Lease(SQLModel, table=True):
    """Who may do a job that one process at a time may do, and until when."""

    __tablename__ = "lease"

    name: str = Field(max_length=100, primary_key=True)
    holder: str = Field(max_length=64)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    # When the job was last done with success; none where it never was, or where nobody asks.
    succeeded_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class HistoryRecord(SQLModel, table=True):
    """One entry of an aggregate's history; `hash` covers the entry and the hash before it, under the key named."""

    __tablename__ = "history"

    aggregate: str = Field(max_length=64, primary_key=True)
    sequence: int = Field(primary_key=True)
    time: datetime = Field(sa_type=UtcDateTime)
    action: str = Field(max_length=40)
    actor: str = Field(max_length=128)
    organisation: str = Field(max_length=32)
    details: str
    key_id: str = Field(max_length=32)
    hash: str = Field(max_length=64)
