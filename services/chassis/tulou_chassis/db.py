"""The database of a server process. Reads and writes are plain functions on a SQLModel Session."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import Message
from sqlalchemy import Dialect, Engine, event, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn
from sqlmodel import Session

from tulou_chassis.calls import CURRENT, IdempotencyKey
from tulou_chassis.errors import REQUEST_ID_REUSED, Refusal
from tulou_chassis.events import Publisher, write_outbox
from tulou_chassis.hot import Hot
from tulou_chassis.tables import IdempotencyRecord

T = TypeVar("T")
SQLITE_READERS: Final = 4
_IDEMPOTENCY = IdempotencyRecord.__table__  # type: ignore[attr-defined]
_REMEMBER: Final = Hot(insert(_IDEMPOTENCY))


class Database:
    """`read` and `write`. PostgreSQL through asyncpg; SQLite through aiosqlite with one writer at a time."""

    def __init__(self, url: str, *, pool: int, publisher: Publisher) -> None:
        self._publisher = publisher
        # Set when the server begins to stop, for what reads without end.
        self.closing = asyncio.Event()
        # Of connections whose call was cancelled: done when their thread has come to its end.
        self._ended: list[asyncio.Future[Any]] = []
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            self.writer = _sqlite(parsed, size=1, begin="BEGIN IMMEDIATE", ended=self._ended)
            self.reader = _sqlite(parsed, size=SQLITE_READERS, begin=None, ended=self._ended)
        else:
            self.writer = create_async_engine(
                parsed.set(drivername="postgresql+asyncpg"),
                pool_size=pool,
                max_overflow=0,
                pool_timeout=5,
                connect_args={"timeout": 5, "command_timeout": 30},
                # An error's words go to the log, and the values of a row are nothing for a log.
                hide_parameters=True,
            )
            event.listen(self.writer.sync_engine, "do_connect", _connect_or_say_so)
            # One statement needs no transaction around it: BEGIN and COMMIT would be two more round trips.
            self.reader = self.writer.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that statements are traced on. PostgreSQL's reader is the writer with another option."""
        sqlite = self.writer.dialect.name == "sqlite"
        return (self.writer.sync_engine, self.reader.sync_engine) if sqlite else (self.writer.sync_engine,)

    async def read(self, query: Callable[[Session], T]) -> T:
        """Runs a query. Each statement sees its own snapshot."""

        def run() -> T:
            with self.reader.sync_engine.connect() as connection, Session(connection, autoflush=False) as session:
                return query(session)

        # What AsyncSession does, without a task of its own for closing the session (measured: 0.15 ms a call).
        return await greenlet_spawn(run)

    async def write(self, operation: Callable[[Session], T]) -> T:
        """Runs an operation in one transaction and keeps its answer under the call's request_id, in that transaction.

        The first answer is looked up only when the operation or the commit fails: a replay finds its own traces (a
        stale etag, a taken key), so the ordinary write pays one insert and no query. Raises what the operation raises,
        or Refusal with REQUEST_ID_REUSED.
        """
        call = CURRENT.get(None)
        key = call.idempotency if call else None

        def transaction() -> T:
            # Without autoflush a row is updated once, at the end, not once for every query in between.
            with (
                self.writer.sync_engine.begin() as connection,
                Session(connection, expire_on_commit=False, autoflush=False) as session,
            ):
                answer = operation(session)
                session.flush()
                now = datetime.now(UTC)
                write_outbox(session, self._publisher, now=now)
                if key is not None:
                    _REMEMBER.run(session, _record(key, cast(Message, answer), now))
            return answer

        try:
            return await greenlet_spawn(transaction)
        except Exception:
            # Whatever failed, a first answer that stands is the answer; without one the failure goes on its way.
            if key is not None and (first := await self.read(lambda session: _first_answer(session, key))) is not None:
                if first[0] != key.payload_hash:
                    raise Refusal(REQUEST_ID_REUSED) from None
                return call.response_type.FromString(first[1])  # type: ignore[union-attr, return-value]
            raise

    async def knows(self, key: IdempotencyKey) -> bool:
        """Whether a first answer stands under the key, whatever was asked then."""
        return await self.read(lambda session: _first_answer(session, key)) is not None

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self.reader.connect() as connection:
            await connection.execute(select(1))

    async def close(self) -> None:
        """Closes all connections."""
        await self.writer.dispose()
        await self.reader.dispose()
        if self._ended:
            await asyncio.wait(self._ended, timeout=10)


def _record(key: IdempotencyKey, answer: Message, now: datetime) -> dict[str, object]:
    return {
        "subject": key.subject,
        "method": key.method,
        "request_id": key.request_id,
        "payload_hash": key.payload_hash,
        "response": answer.SerializeToString(),
        "time": now,
    }


def _first_answer(session: Session, key: IdempotencyKey) -> tuple[bytes, bytes] | None:
    columns = _IDEMPOTENCY.c
    row = session.execute(
        select(columns.payload_hash, columns.response).where(
            columns.subject == key.subject, columns.method == key.method, columns.request_id == key.request_id
        )
    ).first()
    return (row[0], row[1]) if row else None


def _sqlite(url: URL, *, size: int, begin: str | None, ended: list[asyncio.Future[Any]]) -> AsyncEngine:
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
    )

    def stop(connection: Any) -> None:
        ended[:] = [*(one for one in ended if not one.done()), connection.driver_connection.stop()]

    # A cancelled call does not wait for its connection to close. SQLAlchemy's own way does, and when it is cancelled in
    # turn it stops the connection's thread twice: that leaves a task which waits for ever, also when the server ends.
    engine.dialect.do_terminate = stop  # type: ignore[assignment, method-assign]

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        prepare_sqlite(connection)

    if begin:

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql(begin)

    return engine


def _connect_or_say_so(dialect: Dialect, _record: object, arguments: Any, parameters: Any) -> Any:
    """Connects. What fails then is of many classes, and never the caller's fault."""
    try:
        return dialect.connect(*arguments, **parameters)
    except (dialect.loaded_dbapi.Error, OSError, TimeoutError) as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


def prepare_sqlite(connection: sqlite3.Connection) -> None:
    """Sets a fresh connection up: write-ahead log, ten seconds of patience, and no transactions of the driver's own."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
