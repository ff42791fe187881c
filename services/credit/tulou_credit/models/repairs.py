"""Table of requests for repair."""

from datetime import date, datetime

from sqlalchemy import Column, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime

_VERSION = Column("version", Integer, nullable=False)
_OPEN = text("state IN ('SUBMITTED', 'ACCEPTED', 'EXTENDED')")


class Repair(SQLModel, table=True):
    """A request for repair (信用修复申请) of a record's subject, and what became of it."""

    __tablename__ = "credit_repair"

    id: str = Field(max_length=36, primary_key=True)
    record_id: str = Field(max_length=36, foreign_key="credit_record.id", index=True)
    subject_id: str = Field(max_length=36, foreign_key="credit_subject.id")
    # The record's: who determined it decides (谁认定谁修复).
    source: str = Field(max_length=32)
    # The token's subject that submitted it.
    filer: str = Field(max_length=128)
    state: str = Field(max_length=16)
    # The day on which the breach was corrected and the last duty fulfilled, as the subject says.
    corrected_on: date
    # The public credit promise (信用承诺) was made.
    promise: bool
    submitted_on: date
    accepted_on: date | None = None
    decided_on: date | None = None
    extended: bool = False
    # Why it was last decided on so; numbers of persons are masked.
    opinion: str = Field(default="", sa_type=Text)
    # The day on which its material was found to be false.
    false_material_on: date | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    history_sequence: int = 0
    history_hash: str = Field(default="", max_length=64)
    version: int = Field(default=1, sa_column=_VERSION)

    __mapper_args__ = {"version_id_col": _VERSION}
    __table_args__ = (
        # At most one of a record is undecided.
        Index("ux_credit_repair_open", "record_id", unique=True, postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("ix_credit_repair_subject", "subject_id", "created_at", "id"),
        Index("ix_credit_repair_source", "source", "created_at", "id"),
        Index("ix_credit_repair_time", "created_at", "id"),
    )
