"""INSERT … ON CONFLICT, which both databases know and SQLAlchemy spells per dialect."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_into(session: Session, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can be told what to do on a conflict."""
    return (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(table)


def insert_missing(session: Session, model: type[SQLModel], **values: Any) -> bool:
    """Inserts the row unless one with its key is there; gives whether it did."""
    statement = insert_into(session, model.__table__).values(**values).on_conflict_do_nothing()  # type: ignore[attr-defined]
    return session.connection().execute(statement).rowcount == 1
