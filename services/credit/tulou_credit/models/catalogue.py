"""Tables of what may be recorded."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, Integer, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime

_REVISION = Column("revision", Integer, nullable=False)


class RecordType(SQLModel, table=True):
    """One version of an entry of the catalogue (信用信息目录)."""

    __tablename__ = "credit_record_type"

    code: str = Field(max_length=32, primary_key=True)
    version: int = Field(primary_key=True)
    state: str = Field(max_length=12)
    name: str = Field(max_length=100)
    category: str = Field(max_length=16)
    openness: str = Field(max_length=20)
    # Codes of the departments that may send it; "*" is every one.
    sources: list[str] = Field(sa_type=JSON)
    # The kinds of subjects it may be about.
    subject_kinds: list[str] = Field(sa_type=JSON)
    # Sent only with the person's written consent.
    by_consent: bool
    content_schema: dict[str, Any] = Field(sa_type=JSON)
    retention_amount: int
    retention_unit: str = Field(max_length=12)
    publicity: str = Field(max_length=16)
    published_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revision: int = Field(default=1, sa_column=_REVISION)

    __mapper_args__ = {"version_id_col": _REVISION}
    # At most one version of a code is in force, and one in the making.
    __table_args__ = (
        Index(
            "ux_credit_type_published",
            "code",
            unique=True,
            postgresql_where=text("state = 'PUBLISHED'"),
            sqlite_where=text("state = 'PUBLISHED'"),
        ),
        Index(
            "ux_credit_type_draft",
            "code",
            unique=True,
            postgresql_where=text("state = 'DRAFT'"),
            sqlite_where=text("state = 'DRAFT'"),
        ),
    )
