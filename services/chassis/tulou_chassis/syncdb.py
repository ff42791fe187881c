"""The database of a process without an event loop: worker, commands, tests. Same functions on a sync Session."""

import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic_core import from_json, to_json
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from tulou_chassis.events import Publication, Publisher, write_outbox
from tulou_chassis.hot import run_waiting
from tulou_chassis.postgresql import for_psycopg

T = TypeVar("T")
# In JSON columns. The standard library's way takes several times as long.
JSON: Final[Mapping[str, Any]] = {
    "json_serializer": lambda value: to_json(value).decode(),
    "json_deserializer": from_json,
}


def no_publisher(happened: object) -> Publication:
    """The publisher of a database through which nothing is published."""
    raise LookupError(f"{type(happened).__name__} happened, but this database was given no publisher")


class SyncDatabase:
    """`read` and `write`, through psycopg or sqlite3. It connects when it is first used."""

    def __init__(self, url: str, *, publisher: Publisher = no_publisher, pool: int = 10) -> None:
        self._publisher = publisher
        self._gate: AbstractContextManager[object] = nullcontext()
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            # SQLite has one writer at a time. Who waits for it in this process waits here: a greenlet that waited
            # inside SQLite would keep the one it waits for from going on.
            self._gate = threading.Lock()
            self.engine = sqlite_engine(parsed, pool=pool)
            self._reader = self.engine
        else:
            # A server never comes here, and does without psycopg's memory.
            from tulou_chassis.bounded import Connection

            known, arguments = for_psycopg(parsed)
            self.engine = create_engine(
                known,
                pool_size=pool,
                max_overflow=0,
                connect_args=arguments,
                # What a statement was given may be personal and has no place in an error's text.
                hide_parameters=True,
                **JSON,
            )
            event.listen(self.engine, "do_connect", lambda *given: Connection.connect(*given[2], **given[3]))
            # One statement needs no transaction around it: BEGIN and COMMIT would be two more round trips.
            self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = self.engine.execution_options(begin="BEGIN IMMEDIATE")

    def read(self, query: Callable[[Session], T]) -> T:
        """Runs a query. Each statement sees its own snapshot."""
        with Session(self._reader, autoflush=False) as session:
            return query(session)

    def write(self, operation: Callable[[Session], T]) -> T:
        """Runs an operation in one transaction, with the outbox rows of what it emitted. Not to be nested."""
        with self._gate, Session(self._writer, expire_on_commit=False, autoflush=False) as session, session.begin():
            answer = operation(session)
            session.flush()
            write_outbox(session, self._publisher, now=datetime.now(UTC))
            run_waiting(session)
        return answer

    def writable(self) -> bool:
        """Whether a transaction can be begun now."""
        try:
            self.write(lambda session: session.execute(select(1)))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()


def sqlite_engine(url: URL, *, pool: int) -> Engine:
    """An engine that begins transactions as its execution option "begin" says, and none without it."""
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
        **JSON,
    )
    event.listen(engine, "connect", lambda connection, _record: prepare_sqlite(connection))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def prepare_sqlite(connection: sqlite3.Connection) -> None:
    """Sets a fresh connection up: write-ahead log, ten seconds of patience, and no transactions of the driver's own."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    if begin := connection.get_execution_options().get("begin"):
        connection.exec_driver_sql(begin)
