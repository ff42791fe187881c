"""Table of files that objections and requests for repair rest on."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime


class Evidence(SQLModel, table=True):
    """A file whose content is in the blob store. It belongs to one objection or request, or waits for one a day."""

    __tablename__ = "credit_evidence"

    id: str = Field(max_length=36, primary_key=True)
    # The token's subject that brought it.
    owner: str = Field(max_length=128)
    # With numbers of persons masked.
    filename: str = Field(max_length=200)
    media_type: str = Field(max_length=100)
    size: int = Field(sa_type=BigInteger)
    sha256: str = Field(max_length=64, index=True)
    proceeding_id: str | None = Field(default=None, max_length=36, index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (
        Index(
            "ix_credit_evidence_unused",
            "created_at",
            postgresql_where=text("proceeding_id IS NULL"),
            sqlite_where=text("proceeding_id IS NULL"),
        ),
    )
