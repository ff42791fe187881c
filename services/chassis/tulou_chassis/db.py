"""The database of a server process. Reads and writes are plain functions on a SQLModel Session."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast

from google.protobuf.message import Message
from sqlalchemy import Connection, Dialect, Engine, event, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn
from sqlmodel import Session

from tulou_chassis.calls import CURRENT, IdempotencyKey
from tulou_chassis.errors import REQUEST_ID_REUSED, Refusal
from tulou_chassis.events import Publisher, write_outbox
from tulou_chassis.hot import Hot, run_waiting
from tulou_chassis.postgresql import be_patient, for_asyncpg
from tulou_chassis.syncdb import JSON, sqlite_engine
from tulou_chassis.tables import IdempotencyRecord

T = TypeVar("T")
SQLITE_READERS: Final = 2
# How long a call waits for a connection that others have.
POOL_SECONDS: Final = 5
# Of SQLite's virtual machine, which takes tens of millions a second: some milliseconds.
QUICK_STEPS: Final = 100_000
_IDEMPOTENCY = IdempotencyRecord.__table__  # type: ignore[attr-defined]
_REMEMBER: Final = Hot(insert(_IDEMPOTENCY))


class _Runner(Protocol):
    """Runs what waits for a database without keeping the event loop waiting."""

    def __call__(self, run: Callable[[], T], /) -> Awaitable[T]: ...


class Database:
    """`read` and `write`. PostgreSQL through asyncpg; SQLite through sqlite3, with one writer at a time."""

    def __init__(self, url: str, *, pool: int, publisher: Publisher) -> None:
        self._publisher = publisher
        # Set when the server begins to stop, for what reads without end.
        self.closing = asyncio.Event()
        parsed = make_url(url)
        self._reader: _Kept | _Quick
        self._looker: _Kept | _Quick
        self._writer: Engine
        self._writing: _Runner
        self._thread: ThreadPoolExecutor | None = None
        if parsed.get_backend_name() == "sqlite":
            self._reader = self._looker = _Quick(parsed)
            self._writer = sqlite_engine(parsed, pool=1).execution_options(begin="BEGIN IMMEDIATE")
            # A whole transaction in a thread: one way there and back, where a driver for asyncio takes one a statement.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
            self._writing = cast(_Runner, partial(_in_thread, self._thread))
        else:
            # Two pools, because to change a connection over and back at each use costs a tenth of a read.
            self._reader = _Kept(parsed, pool)
            self._looker = _Kept(parsed, 1)
            self._writer = _postgresql(parsed, pool=pool)
            # What AsyncSession does, without a task of its own for closing the session (measured: 0.15 ms a call).
            self._writing = cast(_Runner, greenlet_spawn)

    @property
    def engines(self) -> tuple[Engine, ...]:
        """All there are."""
        return (*self._reader.engines, self._writer)

    async def read(self, query: Callable[[Session], T]) -> T:
        """Runs a query, perhaps twice. Each statement sees its own snapshot."""
        return await self._reader.read(query)

    async def write(self, operation: Callable[[Session], T]) -> T:
        """Runs an operation in one transaction and keeps its answer under the call's request_id, in that transaction.

        The first answer is looked up only when the operation or the commit fails: a replay finds its own traces (a
        stale etag, a taken key), so the ordinary write pays one insert and no query. Raises what the operation raises,
        or Refusal with REQUEST_ID_REUSED.
        """
        call = CURRENT.get(None)
        key = call.idempotency if call else None
        given_up = threading.Event()

        def transaction() -> T:
            with self._writer.begin() as connection:
                # Without autoflush a row is updated once, at the end, not once for every query in between.
                session = Session(connection, expire_on_commit=False, autoflush=False)
                answer = operation(session)
                session.flush()
                now = datetime.now(UTC)
                write_outbox(session, self._publisher, now=now)
                if key is not None:
                    _REMEMBER.later(session, _record(key, cast(Message, answer), now))
                run_waiting(session)
                if given_up.is_set():
                    raise TimeoutError
            return answer

        try:
            return await self._writing(transaction)
        except asyncio.CancelledError:
            # A thread cannot be cancelled. It sees this before it commits.
            given_up.set()
            raise
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

    async def look(self, query: Callable[[Session], T]) -> T:
        """Runs a query as `read` does, but never behind others: that all connections are busy does not hold it up."""
        return await self._looker.read(query)

    async def close(self) -> None:
        """Lets what runs in threads come to its end, and closes all connections."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown)
        await self._reader.close()
        if self._looker is not self._reader:
            await self._looker.close()
        await greenlet_spawn(self._writer.dispose)


class _Quick:
    """SQLite: most reads are over on the event loop before a thread would have begun.

    Measured: a get takes 0.31 ms of processor time, with a thread 0.47. What takes long or has to wait for a lock fails
    there, and is left to a thread.
    """

    def __init__(self, url: URL) -> None:
        self._quick = sqlite_engine(url, pool=1)
        self._patient = sqlite_engine(url, pool=SQLITE_READERS)
        self._threads = ThreadPoolExecutor(SQLITE_READERS, thread_name_prefix="sqlite")

        @event.listens_for(self._quick, "connect")
        def _hurry(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA busy_timeout=0")
            connection.set_progress_handler(lambda: 1, QUICK_STEPS)

    @property
    def engines(self) -> tuple[Engine, ...]:
        return (self._patient, self._quick)

    async def read(self, query: Callable[[Session], T]) -> T:
        """Runs a query."""

        def run(engine: Engine) -> T:
            with engine.connect() as connection:
                return _ask(connection, query)

        with suppress(OperationalError):
            return run(self._quick)
        return await _in_thread(self._threads, partial(run, self._patient))

    async def close(self) -> None:
        """Lets what runs in threads come to its end."""
        await asyncio.to_thread(self._threads.shutdown)
        for engine in self.engines:
            engine.dispose()


class _Kept:
    """PostgreSQL, by connections that stay open between reads: to take one from the pool and give it back costs a
    twentieth of a read."""

    def __init__(self, url: URL, size: int) -> None:
        # One statement needs no transaction around it: BEGIN and COMMIT would be two more round trips.
        self._engine = _postgresql(url, pool=size, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    @property
    def engines(self) -> tuple[Engine, ...]:
        return (self._engine,)

    async def read(self, query: Callable[[Session], T]) -> T:
        """Runs a query. Raises sqlalchemy.exc.TimeoutError when no connection gets free."""
        if self._free.locked():
            try:
                async with asyncio.timeout(POOL_SECONDS):
                    await self._free.acquire()
            except TimeoutError:
                raise PoolTimeout(f"no connection for reading got free in {POOL_SECONDS} s") from None
        else:
            await self._free.acquire()
        try:
            return await greenlet_spawn(self._run, query)
        finally:
            self._free.release()

    def _run(self, query: Callable[[Session], T]) -> T:
        # The one used last: its PostgreSQL process has everything at hand.
        connection = self._idle.pop() if self._idle else self._engine.connect()
        try:
            answer = _ask(connection, query)
            if connection.in_transaction():
                connection.rollback()
        except BaseException as error:
            connection.close()
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                # The others are dead too.
                self._close()
            raise
        self._idle.append(connection)
        return answer

    async def close(self) -> None:
        """Closes what is idle."""
        await greenlet_spawn(self._close)

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()


def _ask(connection: Connection, query: Callable[[Session], T]) -> T:
    # Not closed: it ends with its connection, and to detach what it has read costs as much as opening it.
    return query(Session(connection, autoflush=False))


async def _in_thread(executor: ThreadPoolExecutor, run: Callable[[], T]) -> T:
    """Who is cancelled meanwhile no longer waits; the thread goes on."""
    return await asyncio.get_running_loop().run_in_executor(executor, copy_context().run, run)


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


def _postgresql(url: URL, *, pool: int, **options: Any) -> Engine:
    known, arguments = for_asyncpg(url)
    engine = create_async_engine(
        known,
        pool_size=pool,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        # The connection used last: its PostgreSQL process has everything at hand.
        pool_use_lifo=True,
        connect_args=arguments,
        # An error's words go to the log, and the values of a row are nothing for a log.
        hide_parameters=True,
        **JSON,
        **options,
    ).sync_engine

    def connect(dialect: Dialect, _record: object, arguments: Any, parameters: Any) -> Any:
        # What fails then is of many classes, and never the caller's fault.
        try:
            connection = dialect.connect(*arguments, **parameters)
        except (dialect.loaded_dbapi.Error, OSError, TimeoutError) as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        # asyncpg has no other way to its socket.
        be_patient(connection.driver_connection._transport.get_extra_info("socket"), url.query)
        return connection

    event.listen(engine, "do_connect", connect)
    return engine
