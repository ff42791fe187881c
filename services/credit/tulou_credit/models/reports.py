"""Reports, as they were given out."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime


class Report(SQLModel, table=True):
    """A credit report (信用报告). Never changed: it says what was known when it was made."""

    __tablename__ = "credit_report"

    id: str = Field(max_length=36, primary_key=True)
    subject_id: str = Field(max_length=36, foreign_key="credit_subject.id")
    kind: str = Field(max_length=12)
    purpose: str = Field(max_length=64)
    # Who had it made: as the token names them, and for which organisation.
    made_by: str = Field(max_length=128)
    organisation: str = Field(max_length=32)
    free_of_charge: bool
    # The query that was kept of it, where one had to be.
    query_id: str | None = Field(default=None, max_length=36)
    # What it says, as JSON, sealed; and the SHA-256 of that JSON.
    snapshot: str
    sha256: str = Field(max_length=64)
    # The verification code: what finds it, and the code itself, sealed.
    code_index: str = Field(max_length=43, unique=True)
    code_sealed: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    history_sequence: int = 0
    history_hash: str = Field(default="", max_length=64)

    __table_args__ = (
        Index("ix_credit_report_subject", "subject_id", "created_at", "id"),
        Index("ix_credit_report_maker", "made_by", "created_at", "id"),
    )
