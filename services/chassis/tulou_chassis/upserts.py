"""INSERT … ON CONFLICT, which both databases know and SQLAlchemy spells per dialect."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_into(session: Session, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can be told what to do on a conflict."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_missing(session: Session, model: type[SQLModel], **values: Any) -> bool:
    """Inserts the row unless one with its key is there; gives whether it did."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    statement = insert_into(session, table).values(**values).on_conflict_do_nothing()
    # Not by rowcount, which is unknown for an INSERT through psycopg.
    return session.connection().execute(statement.returning(*table.primary_key)).first() is not None
