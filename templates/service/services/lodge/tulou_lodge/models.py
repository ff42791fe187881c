"""The tables of the lodge service."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from tulou_chassis.tables import UtcDateTime


class Note(SQLModel, table=True):
    """A note (留言)."""

    # Begins with the service's name: one worker process may hold the tables of several services.
    __tablename__ = "lodge_note"

    id: str = Field(max_length=36, primary_key=True)
    text: str = Field(max_length=2000)
    author: str = Field(max_length=128)
    region_code: str = Field(max_length=12)
    created_at: datetime = Field(sa_type=UtcDateTime)
    filed: bool = False
    history_sequence: int
    history_hash: str = Field(max_length=64)
