"""Writes happen once under their request_id, whatever happens; what is cut off leaves nothing and blocks nobody."""

import asyncio
import socket
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import asyncpg
import grpc
import psycopg
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Integer, bindparam, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.util import await_only
from sqlmodel import Field, MetaData, Session, SQLModel, col, func, select

from services.chassis.tests.house import KEYRING, EchoResponse
from services.chassis.tests.integration.served import Refused, Served, publication, write
from tulou_chassis import guards
from tulou_chassis.calls import CURRENT, Call, IdempotencyKey
from tulou_chassis.db import Database
from tulou_chassis.errors import REQUEST_ID_REUSED, Refusal
from tulou_chassis.events import emit, envelope
from tulou_chassis.hot import Hot
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import IdempotencyRecord, OutboxEvent


class Drawer(SQLModel, table=True):
    """Something to write."""

    __tablename__ = "test_drawer"
    metadata = MetaData()

    id: int | None = Field(default=None, primary_key=True, sa_type=Integer)
    text: str = Field(unique=True)


@pytest.fixture(autouse=True)
def drawers(sync: SyncDatabase) -> None:
    """An empty table."""
    Drawer.metadata.drop_all(sync.engine)
    Drawer.metadata.create_all(sync.engine)


def key(text: str = "a", **changes: Any) -> IdempotencyKey:
    content = {"subject": "user-1", "method": "/Write", "request_id": str(uuid.uuid4()), **changes}
    return IdempotencyKey(**content, payload_hash=text.encode())


async def writing(database: Database, under: IdempotencyKey | None, operation: Callable[[Session], Any]) -> Any:
    """What a handler does: a write in a call."""
    call = Call("/Write", None, None, EchoResponse, {}, "en", KEYRING.digest, idempotency=under)  # type: ignore[arg-type]
    CURRENT.set(call)
    return await database.write(operation)


def put(text: str, *, event: bool = True) -> Callable[[Session], Any]:
    """Writes a row, emits an event, answers with the row's text."""

    def operation(session: Session) -> Any:
        session.add(Drawer(text=text))
        if event:
            emit(session, (text, text))
        return EchoResponse(text=text)

    return operation


def texts(sync: SyncDatabase) -> list[str]:
    return sync.read(lambda session: list(session.exec(select(Drawer.text).order_by(Drawer.text)).all()))


def answers(sync: SyncDatabase, under: IdempotencyKey) -> int:
    query = select(func.count()).where(IdempotencyRecord.request_id == under.request_id)
    return sync.read(lambda session: session.exec(query).one())


async def test_a_replay_gets_the_first_answer_and_does_nothing(database: Database, sync: SyncDatabase) -> None:
    under = key()
    first = await writing(database, under, put("a"))
    again = await writing(database, under, put("b"))
    assert first == again == EchoResponse(text="a")
    assert texts(sync) == ["a"]
    assert answers(sync, under) == 1


async def test_a_replay_gets_the_first_answer_when_the_operation_would_fail_now(
    database: Database, sync: SyncDatabase
) -> None:
    under = key()
    await writing(database, under, put("a"))

    def refuse(_: Session) -> Any:
        raise RuntimeError("the row has moved on")

    assert await writing(database, under, refuse) == EchoResponse(text="a")
    with pytest.raises(RuntimeError):
        await writing(database, key(), refuse)


async def test_the_same_id_with_another_payload_is_refused(database: Database, sync: SyncDatabase) -> None:
    under = key("a")
    await writing(database, under, put("a"))
    with pytest.raises(Refusal) as refused:
        await writing(database, key("b", request_id=under.request_id), put("b"))
    assert refused.value.answer is REQUEST_ID_REUSED
    assert texts(sync) == ["a"]


async def test_ids_are_each_callers_and_each_methods_own(database: Database, sync: SyncDatabase) -> None:
    under = key()
    await writing(database, under, put("a"))
    await writing(database, key(request_id=under.request_id, subject="user-2"), put("b"))
    await writing(database, key(request_id=under.request_id, method="/Other"), put("c"))
    assert texts(sync) == ["a", "b", "c"]


async def test_twenty_at_once_do_it_once(database: Database, sync: SyncDatabase) -> None:
    under = key()
    many = await asyncio.gather(*(writing(database, under, put(f"{n}")) for n in range(20)))
    assert len({answer.text for answer in many}) == 1
    assert texts(sync) == [many[0].text]
    assert answers(sync, under) == 1


async def test_a_failure_is_not_kept_and_may_be_repeated(database: Database, sync: SyncDatabase) -> None:
    under = key()

    def fail_late(session: Session) -> Any:
        put("a")(session)
        session.flush()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await writing(database, under, fail_late)
    assert texts(sync) == []
    assert answers(sync, under) == 0
    assert await writing(database, under, put("a")) == EchoResponse(text="a")


async def test_row_answer_and_event_are_written_together_or_not_at_all(database: Database, sync: SyncDatabase) -> None:
    await writing(database, None, put("taken"))
    under = key()
    with pytest.raises(IntegrityError):
        await writing(database, under, put("taken"))
    events = sync.read(lambda session: session.exec(select(OutboxEvent).where(OutboxEvent.subject == "taken")).all())
    assert len(events) == 1
    assert answers(sync, under) == 0
    [event] = events
    packed = envelope(event, source="chassis")
    payload = StringValue()
    assert packed.data.Unpack(payload)
    assert (packed.type, packed.source, packed.subject, payload.value) == ("StringValue", "chassis", "taken", "taken")
    assert packed.position == 0
    assert event.region == "3506"


async def test_an_error_of_the_database_does_not_hold_the_rows_values(database: Database) -> None:
    await writing(database, None, put("13850612345"))
    with pytest.raises(IntegrityError) as refused:
        await writing(database, None, lambda session: session.add(Drawer(text="13850612345")))
    # PostgreSQL names the key that is taken; no unique column holds personal data.
    assert "13850612345" not in str(refused.value).partition("DETAIL:")[0]


@pytest.fixture
async def locked(url: str) -> AsyncIterator[Callable[[], None]]:
    """Someone keeps others from writing until the given function is called."""
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield lambda: connection.execute("ROLLBACK") and None
    else:
        connection = psycopg.connect(url)
        connection.execute("LOCK TABLE test_drawer IN ACCESS EXCLUSIVE MODE")
        yield connection.rollback
    connection.close()


async def test_a_write_cut_off_by_its_deadline_leaves_nothing_and_blocks_nobody(
    house: Served, sync: SyncDatabase, locked: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def do(request: Any) -> Any:
        return await house.database.write(put(request.text))

    house.does["Write"] = do
    request = write("a")
    many = [house.call("Write", write(f"cut-{n}"), patience=0.3) for n in range(8)]
    cut = await asyncio.gather(house.call("Write", request, patience=0.3), *many, return_exceptions=True)
    assert {one.code for one in cut if isinstance(one, Refused)} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert len(cut) == 9
    locked()
    assert (await house.call("Write", request, patience=5)).text == "a"
    assert texts(sync) == ["a"]


async def test_a_server_that_ends_a_call_itself_leaves_nothing_either(
    house: Served, sync: SyncDatabase, locked: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def do(request: Any) -> Any:
        return await house.database.write(put(request.text))

    house.does["Write"] = do
    monkeypatch.setattr(guards, "MAX_SECONDS", 0.2)
    request = write("a")
    with pytest.raises(Refused) as refused:
        await house.call("Write", request)
    assert refused.value.info.reason == "DEADLINE_EXCEEDED"
    monkeypatch.setattr(guards, "MAX_SECONDS", 5)
    locked()
    assert (await house.call("Write", request)).text == "a"
    assert texts(sync) == ["a"]


PUT_OFF = Hot(insert(Drawer.__table__))  # type: ignore[attr-defined]


async def test_inserts_that_were_put_off_are_there_at_the_end(database: Database, sync: SyncDatabase) -> None:
    def operation(session: Session) -> list[str]:
        for number, letter in enumerate("abc"):
            PUT_OFF.later(session, {"id": number, "text": letter})
        return list(session.exec(select(Drawer.text)).all())

    assert await database.write(operation) == []
    assert texts(sync) == ["a", "b", "c"]


async def test_of_inserts_that_were_put_off_all_are_done_or_none(database: Database, sync: SyncDatabase) -> None:
    def operation(session: Session) -> None:
        for number, letter in enumerate("aba"):
            PUT_OFF.later(session, {"id": number, "text": letter})

    with pytest.raises(IntegrityError):
        await database.write(operation)
    with pytest.raises(IntegrityError):
        sync.write(operation)
    assert texts(sync) == []


async def test_what_was_written_before_them_goes_with_them(database: Database, sync: SyncDatabase) -> None:
    def operation(session: Session) -> None:
        session.add(Drawer(text="a"))
        session.flush()
        PUT_OFF.later(session, {"id": 7, "text": "a"})

    with pytest.raises(IntegrityError):
        await database.write(operation)
    assert texts(sync) == []


ONE: Final = Hot(select(Drawer.text).where(col(Drawer.text) == bindparam("text")))  # type: ignore[arg-type]


async def test_a_read_sees_what_has_been_written_and_no_more(database: Database) -> None:
    def ask(session: Session) -> list[Any]:
        return ONE.run(session, {"text": "a"})

    assert await database.read(ask) == []
    await database.write(put("a"))
    assert [row.text for row in await database.read(ask)] == ["a"]


async def test_of_many_readings_one_fails_when_their_connections_are_cut(
    database: Database, url: str, request: pytest.FixtureRequest
) -> None:
    if url.startswith("sqlite"):
        return

    def ask(session: Session) -> list[Any]:
        await_only(asyncio.sleep(0.01))
        return ONE.run(session, {"text": "a"})

    await asyncio.gather(*(database.read(ask) for _ in range(5)))
    with psycopg.connect(request.getfixturevalue("postgres_admin_url"), autocommit=True) as connection:
        name = url.rpartition("/")[2]
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    with pytest.raises(DBAPIError):
        await database.read(ask)
    for _ in range(5):
        assert await database.read(ask) == []


async def test_a_read_that_takes_long_is_left_to_a_thread(database: Database, url: str) -> None:
    asked: list[bool] = []

    def count(session: Session, upto: int) -> int:
        asked.append(threading.current_thread() is threading.main_thread())
        numbers = (
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {upto}) SELECT max(i) FROM n"
        )
        return int(session.connection().execute(text(numbers)).scalar_one())

    assert await database.read(lambda session: count(session, 10)) == 10
    assert await database.read(lambda session: count(session, 100_000)) == 100_000
    # PostgreSQL is waited for, not run.
    assert asked == ([True, True, False] if url.startswith("sqlite") else [True, True])


async def test_reads_go_on_while_someone_writes(database: Database, locked: Callable[[], None], url: str) -> None:
    # On PostgreSQL the lock is on the whole table, so it is another one that is read.
    async with asyncio.timeout(2):
        count = await database.read(lambda session: session.exec(select(func.count(col(OutboxEvent.id)))).one())
    assert count >= 0


async def test_after_the_database_was_gone_the_server_goes_on(
    house: Served, sync: SyncDatabase, url: str, request: pytest.FixtureRequest
) -> None:
    if url.startswith("sqlite"):
        return

    async def do(asked: Any) -> Any:
        return await house.database.write(put(asked.text))

    house.does["Write"] = do
    await asyncio.gather(*(house.call("Write", write(f"{n}")) for n in range(5)))
    admin = request.getfixturevalue("postgres_admin_url")
    name = url.rpartition("/")[2]
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            for _ in range(8):
                with pytest.raises(Refused) as refused:
                    await house.call("Write", write("never"))
                assert (refused.value.code, refused.value.info.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
                assert name not in str(refused.value)
        finally:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert (await house.call("Write", write("back"))).text == "back"
    # The test's own connections were ended too.
    sync.engine.dispose()
    assert "never" not in texts(sync)


@pytest.mark.parametrize(
    "gone",
    [
        "postgresql://postgres:pw@127.0.0.1:1/none",
        "sqlite:////no/such/folder/chassis.db",
    ],
)
async def test_a_database_that_is_not_there_is_unavailable(house: Served, gone: str) -> None:
    database = Database(gone, pool=2, publisher=publication)

    async def do(asked: Any) -> Any:
        return await database.write(put(asked.text))

    house.does["Write"] = do
    with pytest.raises(Refused) as refused:
        await house.call("Write", write("a"))
    assert (refused.value.code, refused.value.info.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert "pw" not in str(refused.value)
    await database.close()


@pytest.mark.parametrize("way", ["read", "write"])
async def test_who_waits_too_long_for_a_connection_is_told_to_come_back(
    way: str, url: str, house: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url.startswith("sqlite"):
        # There the calls wait for a thread, at most until their deadline.
        return
    monkeypatch.setattr("tulou_chassis.db.POOL_SECONDS", 0.1)
    database = Database(url, pool=1, publisher=publication)
    go = getattr(database, way)
    leave, taken = asyncio.Event(), asyncio.Event()

    def hold(session: Session) -> None:
        taken.set()
        await_only(leave.wait())

    async def do(asked: Any) -> Any:
        return await go(put(asked.text))

    house.does["Write"] = do
    holding = asyncio.create_task(go(hold))
    await taken.wait()
    with pytest.raises(Refused) as refused:
        await house.call("Write", write("a"))
    leave.set()
    await holding
    assert refused.value.info.reason == "UNAVAILABLE"
    # It was given back.
    await go(lambda session: session.execute(select(1)))
    await database.close()


async def test_what_connecting_raises_is_told_as_unavailable(
    house: Served, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url.startswith("sqlite"):
        return
    for error in (
        socket.gaierror(-2, "Name or service not known"),
        TimeoutError(),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.InvalidCatalogNameError("database does not exist"),
    ):

        async def fail(*_: Any, error: Exception = error, **__: Any) -> Any:
            raise error

        database = Database(url, pool=1, publisher=publication)
        monkeypatch.setattr(asyncpg, "connect", fail)

        async def do(asked: Any, database: Database = database) -> Any:
            return await database.write(put(asked.text))

        house.does["Write"] = do
        with pytest.raises(Refused) as refused:
            await house.call("Write", write("a"))
        assert (refused.value.code, refused.value.info.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        await database.close()


async def test_a_task_that_was_cancelled_twice_is_not_left_behind(
    database: Database, locked: Callable[[], None], sync: SyncDatabase
) -> None:
    before = asyncio.all_tasks()
    writes = [asyncio.create_task(writing(database, None, put(f"{n}"))) for n in range(5)]
    for pause in (0.2, 0, 0.05):
        await asyncio.sleep(pause)
        for task in writes:
            task.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    locked()
    await writing(database, None, put("a"))
    assert texts(sync) == ["a"]
    for _ in range(50):
        if asyncio.all_tasks() == before:
            break
        await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before
