"""The published list of incentives and restrictions."""

from datetime import date, datetime

from sqlalchemy import JSON, Column, Index, Integer, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime

_REVISION = Column("revision", Integer, nullable=False)


class PublishedMeasure(SQLModel, table=True):
    """One version of a measure (奖惩措施), on the list from `published_on` through `withdrawn_on`."""

    __tablename__ = "credit_measure"

    code: str = Field(max_length=32, primary_key=True)
    version: int = Field(primary_key=True)
    kind: str = Field(max_length=12)
    standing: str = Field(max_length=8)
    purposes: list[str] = Field(sa_type=JSON)
    zh: str = Field(max_length=200)
    en: str = Field(max_length=300)
    legal_basis: str = Field(max_length=500)
    published_on: date
    withdrawn_on: date | None = None
    # Who did it, as tokens name them; empty of what a city begins with.
    published_by: str = Field(max_length=128)
    withdrawn_by: str = Field(default="", max_length=128)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    revision: int = Field(default=1, sa_column=_REVISION)

    __mapper_args__ = {"version_id_col": _REVISION}
    # At most one version of a measure has no end.
    __table_args__ = (
        Index(
            "ux_credit_measure_open",
            "code",
            unique=True,
            postgresql_where=text("withdrawn_on IS NULL"),
            sqlite_where=text("withdrawn_on IS NULL"),
        ),
    )
