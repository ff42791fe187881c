"""Table of objections to records."""

from datetime import date, datetime

from sqlalchemy import Column, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime

_VERSION = Column("version", Integer, nullable=False)
_OPEN = text("state NOT IN ('CLOSED', 'WITHDRAWN')")


class Objection(SQLModel, table=True):
    """An objection (异议) of a record's subject, and what became of it."""

    __tablename__ = "credit_objection"

    id: str = Field(max_length=36, primary_key=True)
    record_id: str = Field(max_length=36, foreign_key="credit_record.id", index=True)
    subject_id: str = Field(max_length=36, foreign_key="credit_subject.id")
    # The record's: the department to which it is forwarded.
    source: str = Field(max_length=32)
    # The token's subject that filed it.
    filer: str = Field(max_length=128)
    # Here and in the opinion numbers of persons are masked.
    reason: str = Field(sa_type=Text)
    state: str = Field(max_length=12)
    # What the record said when it was filed.
    content_hash: str = Field(max_length=43)
    filed_on: date
    forwarded_on: date | None = None
    decided_on: date | None = None
    # The platform decided itself, about its own work.
    platform_error: bool = False
    opinion: str = Field(default="", sa_type=Text)
    record_withdrawn: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    history_sequence: int = 0
    history_hash: str = Field(default="", max_length=64)
    version: int = Field(default=1, sa_column=_VERSION)

    __mapper_args__ = {"version_id_col": _VERSION}
    __table_args__ = (
        # At most one of a record is open.
        Index("ux_credit_objection_open", "record_id", unique=True, postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_credit_objection_subject", "subject_id", "created_at", "id"),
        Index("ix_credit_objection_source", "source", "created_at", "id"),
        Index("ix_credit_objection_time", "created_at", "id"),
    )
