"""Tables of what is known about subjects."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, Integer, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime

_VERSION = Column("version", Integer, nullable=False)


class Record(SQLModel, table=True):
    """A record (信用记录): which decision it tells of, and how it stands today. What it says is in its versions."""

    __tablename__ = "credit_record"

    id: str = Field(max_length=36, primary_key=True)
    subject_id: str = Field(max_length=36, foreign_key="credit_subject.id", index=True)
    type_code: str = Field(max_length=32)
    # Keyed hashes: what they are made of holds numbers of persons.
    natural_key: str = Field(max_length=43, unique=True)
    content_hash: str = Field(max_length=43)
    state: str = Field(max_length=12)
    # Marked while an objection (异议) is open.
    disputed: bool = False
    # The department that sent it first, when, and how many working days after the limit.
    source: str = Field(max_length=32)
    received_on: date
    days_late: int
    # Its publicity ended on its own; before that, the last public day that the timer waits for.
    archived_on: date | None = None
    archive_after: date | None = Field(default=None, index=True)
    # The number of the newest version.
    newest: int
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    history_sequence: int = 0
    history_hash: str = Field(default="", max_length=64)
    version: int = Field(default=1, sa_column=_VERSION)

    __mapper_args__ = {"version_id_col": _VERSION}
    __table_args__ = (Index("ix_credit_record_source", "source", "received_on"),)


class RecordVersion(SQLModel, table=True):
    """What a record said for some time. Of a written version only `known_to` is ever set, until its retention is over.

    It is true of the days [valid_from, valid_to), and it is what was known in the time [known_from, known_to).
    """

    __tablename__ = "credit_record_version"

    record_id: str = Field(max_length=36, primary_key=True, foreign_key="credit_record.id")
    number: int = Field(primary_key=True)
    subject_id: str = Field(max_length=36)
    type_code: str = Field(max_length=32)
    type_version: int
    content_hash: str = Field(max_length=43)
    # With numbers of persons masked; the fields in which there were any are in `sealed`, as JSON.
    content: dict[str, Any] = Field(sa_type=JSON)
    sealed: str
    organ_code: str = Field(max_length=18)
    organ_name: str = Field(max_length=200)
    decided_on: date
    valid_from: date
    valid_to: date | None = None
    # Of a penalty: its class, the rule set that gave it, and the last day on which it may not be repaired.
    severity: str | None = Field(default=None, max_length=20)
    rule_set: str = Field(default="", max_length=16)
    minimum_end: date | None = None
    # The first and last public days. Never public where the first is None; without end where the last is.
    public_from: date | None = None
    public_until: date | None = None
    # The first day on which it is not shown for another reason than time: withdrawal, repair.
    lifted_on: date | None = None
    # The department that sent this version, and in which import and row.
    source: str = Field(max_length=32)
    origin: str = Field(max_length=64)
    known_from: datetime = Field(sa_type=UtcDateTime)
    known_to: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (
        Index("ix_credit_version_subject", "subject_id", "decided_on", "record_id"),
        # At most one version of a record is what is known today.
        Index(
            "ux_credit_version_known",
            "record_id",
            unique=True,
            postgresql_where=text("known_to IS NULL"),
            sqlite_where=text("known_to IS NULL"),
        ),
    )
