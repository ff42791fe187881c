"""Tables of who may see what is not public, and who did."""

from datetime import date, datetime

from sqlalchemy import JSON, Column, Index, Integer
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime

_VERSION = Column("version", Integer, nullable=False)


class Authorisation(SQLModel, table=True):
    """A written authorisation (书面授权) of a subject for queries about what is not public of it."""

    __tablename__ = "credit_authorisation"

    id: str = Field(max_length=36, primary_key=True)
    grantor_id: str = Field(max_length=36, foreign_key="credit_subject.id")
    # The token's subject that granted it.
    granted_by: str = Field(max_length=128)
    # The code of a department or partner, or the credit code of an enterprise.
    grantee: str = Field(max_length=32)
    purpose: str = Field(max_length=64)
    # Codes of record types.
    scope: list[str] = Field(sa_type=JSON)
    # Both days included.
    valid_from: date
    valid_to: date
    # Any number where it is None.
    uses_max: int | None = None
    uses: int = 0
    # SHA-256 of the signed document, hexadecimal, and by which way it came.
    proof: str = Field(max_length=64)
    channel: str = Field(max_length=16)
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    history_sequence: int = 0
    history_hash: str = Field(default="", max_length=64)
    version: int = Field(default=1, sa_column=_VERSION)

    # Two that count one use at once: the second is refused.
    __mapper_args__ = {"version_id_col": _VERSION}
    __table_args__ = (
        Index("ix_credit_authorisation_grantor", "grantor_id", "created_at", "id"),
        Index("ix_credit_authorisation_grantee", "grantee", "created_at", "id"),
    )


class QueryLog(SQLModel, table=True):
    """A query for what is not public that was answered: who asked about whom, what for, by which right."""

    __tablename__ = "credit_query"

    id: str = Field(max_length=36, primary_key=True)
    subject_id: str = Field(max_length=36, foreign_key="credit_subject.id")
    # The organisation asked for; empty for a citizen, who asks for itself.
    asker: str = Field(max_length=32)
    actor: str = Field(max_length=128)
    basis: str = Field(max_length=16)
    authorisation_id: str | None = Field(default=None, max_length=36, foreign_key="credit_authorisation.id")
    purpose: str = Field(max_length=64)
    record_types: list[str] = Field(sa_type=JSON)
    asked_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (
        Index("ix_credit_query_subject", "subject_id", "asked_at", "id"),
        Index("ix_credit_query_time", "asked_at", "id"),
    )
