"""Tables of files that come in."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime

_IMPORT_VERSION = Column("version", Integer, nullable=False)
_ROW_VERSION = Column("version", Integer, nullable=False)


class Import(SQLModel, table=True):
    """A file, and how many of its rows are taken. The counts are written with the rows that they count."""

    __tablename__ = "credit_import"

    id: str = Field(max_length=36, primary_key=True)
    # The department that sends it.
    source: str = Field(max_length=32)
    # With numbers of persons masked.
    file_name: str = Field(max_length=200)
    # Of the file as it was sent, and its bytes; it lies sealed under `id` until the import has ended.
    sha256: str = Field(max_length=64)
    size: int = Field(sa_type=BigInteger)
    # What the sender says of a text file; empty if nothing.
    encoding: str = Field(max_length=16)
    state: str = Field(max_length=12)
    cancel_asked: bool = False
    # How many rows from the file's beginning are taken or in quarantine: reading goes on behind them.
    rows_done: int = 0
    rows_created: int = 0
    rows_unchanged: int = 0
    rows_superseded: int = 0
    rows_quarantined: int = 0
    # Characters of the cells in quarantine, which are kept up to a bound.
    kept_characters: int = Field(default=0, sa_type=BigInteger)
    # How often it was begun or gone on with since rows were last taken.
    starts: int = 0
    # The span that it was begun in: its runs go on with that trace.
    traceparent: str = Field(default="", max_length=64)
    # Why it failed: breaches as {"row", "field", "reason", "detail"}.
    failure: list[dict[str, Any]] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # When rows were last taken.
    updated_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    version: int = Field(default=1, sa_column=_IMPORT_VERSION)

    __mapper_args__ = {"version_id_col": _IMPORT_VERSION}
    __table_args__ = (
        Index("ix_credit_import_source", "source", "created_at", "id"),
        Index("ix_credit_import_state", "state", "created_at", "id"),
    )


class QuarantinedRow(SQLModel, table=True):
    """A row that was not taken."""

    __tablename__ = "credit_quarantine"

    import_id: str = Field(max_length=36, primary_key=True, foreign_key="credit_import.id")
    row: int = Field(primary_key=True)
    # The columns of the data standard that it has.
    kind: str = Field(max_length=12)
    edition: str = Field(max_length=8)
    state: str = Field(max_length=12)
    # What is wrong, as {"field", "reason", "detail"}: no cell's text.
    breaches: list[dict[str, Any]] = Field(sa_type=JSON)
    # The cells by column name as they were sent, as JSON, sealed as a whole. Empty once the row is settled, and where
    # an import has kept too many.
    cells: str
    # It could not be told apart into cells for certain: only the whole row sent anew can be taken.
    misread: bool
    record_id: str | None = Field(default=None, max_length=36)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    version: int = Field(default=1, sa_column=_ROW_VERSION)

    __mapper_args__ = {"version_id_col": _ROW_VERSION}
