"""Tables of who records are about."""

from datetime import date, datetime

from sqlalchemy import Column, Index, Integer, String, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import Serial, UtcDateTime

# SQLAlchemy counts it up with every change and refuses to write over a newer row.
_VERSION = Column("version", Integer, nullable=False)
# Ordered by code point, as SQLite does it: so that one index serves order and beginnings in both databases.
NameKey = String(200).with_variant(String(200, collation="C"), "postgresql")


def _characters(name: str) -> Index:
    """Finds a part of a name by its characters. SQLite has no such index and reads all names."""
    index = Index(name, text("string_to_array(name_key, NULL)"), postgresql_using="gin")
    return index.ddl_if(dialect="postgresql")


class Subject(SQLModel, table=True):
    """A subject (信用主体). What persons are known by is sealed; beside it what answers show, and what finds it."""

    __tablename__ = "credit_subject"

    id: str = Field(max_length=36, primary_key=True)
    kind: str = Field(max_length=12)
    # The credit code; None of a person, whose number is sealed.
    code: str | None = Field(default=None, max_length=18, unique=True)
    id_type: str = Field(default="", max_length=64)
    number_sealed: str = Field(default="", max_length=400)
    number_masked: str = Field(default="", max_length=64)
    # Of the type and the number.
    number_index: str | None = Field(default=None, max_length=43, unique=True)
    name: str = Field(max_length=256)
    name_key: str = Field(sa_type=NameKey)
    # The decisions that told the name are of these days: the first that did, and the newest.
    name_since: date
    told_on: date
    representative: str = Field(default="", max_length=256)
    representative_id_type: str = Field(default="", max_length=64)
    representative_sealed: str = Field(default="", max_length=400)
    representative_index: str = Field(default="", max_length=43)
    status: str = Field(max_length=12)
    # Today's code of the division where it is registered; empty if that is not in the city, and of persons.
    region_code: str = Field(default="", max_length=12)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    history_sequence: int = 0
    history_hash: str = Field(default="", max_length=64)
    version: int = Field(default=1, sa_column=_VERSION)

    __mapper_args__ = {"version_id_col": _VERSION}
    __table_args__ = (
        Index("ix_credit_subject_name", "name_key", "id"),
        Index("ix_credit_subject_region", "region_code", "name_key", "id"),
        _characters("ix_credit_subject_characters"),
    )


class FormerName(SQLModel, table=True):
    """A name a subject bore (曾用名), in the days [valid_from, valid_to) as far as decisions tell them."""

    __tablename__ = "credit_former_name"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    subject_id: str = Field(max_length=36, foreign_key="credit_subject.id", index=True)
    name: str = Field(max_length=256)
    name_key: str = Field(sa_type=NameKey, index=True)
    valid_from: date
    valid_to: date

    __table_args__ = (_characters("ix_credit_former_name_characters"),)
