"""A stream of events goes on from a cursor, keeps to types and region, and ends when the server does."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from sqlalchemy import delete
from sqlmodel import Session

from services.chassis.tests.integration.served import publication
from tulou.type.v1.event_pb2 import Event
from tulou_chassis import outbox, watch
from tulou_chassis.db import Database
from tulou_chassis.events import Publication, emit, write_outbox
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import OutboxEvent
from tulou_chassis.watch import watch_outbox


@pytest.fixture(autouse=True)
def empty(sync: SyncDatabase) -> None:
    """No events."""
    sync.write(lambda session: session.execute(delete(OutboxEvent)))


def publish(sync: SyncDatabase, *subjects: str, region: str = "3506", number: bool = False) -> None:
    """Writes events, as an operation would."""

    def publisher(subject: Any) -> Publication:
        return Publication(subject=subject, region=region, payload=Int64Value() if number else StringValue())

    def operation(session: Session) -> None:
        session.info["tulou_events"] = list(subjects)
        write_outbox(session, publisher, now=datetime.now(UTC))

    sync.write(operation)


def place(sync: SyncDatabase) -> None:
    """Gives positions, as the relay does."""
    sync.write(lambda session: outbox.place(session, limit=1000))


async def take(
    database: Database, count: int, *, after: int = 0, region: str = "3506", types: Sequence[str] = ()
) -> list[Event]:
    """The first events of a stream."""
    found = []
    async with (
        asyncio.timeout(10),
        aclosing(watch_outbox(database, source="chassis", region=region, after=after, types=types)) as stream,
    ):
        async for event in stream:
            found.append(event)
            if len(found) == count:
                break
    return found


async def rest(database: Database, **arguments: Any) -> list[str]:
    """All that a stream holds now."""
    found: list[str] = []
    try:
        task = asyncio.create_task(_collect(database, found, arguments))
        # Two empty looks: nothing more is there.
        await asyncio.sleep(2.5 * watch.POLL_SECONDS)
        database.closing.set()
        await asyncio.wait_for(task, 5)
        return found
    finally:
        database.closing.clear()


async def _collect(database: Database, found: list[str], arguments: dict[str, Any]) -> None:
    settings = {"source": "chassis", "region": "3506", "after": 0, "types": (), **arguments}
    async for event in watch_outbox(database, **settings):
        found.append(event.subject)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.05)


async def test_what_is_there_comes_in_order(database: Database, sync: SyncDatabase) -> None:
    publish(sync, "a", "b")
    publish(sync, "c")
    place(sync)
    events = await take(database, 3)
    assert [event.subject for event in events] == ["a", "b", "c"]
    assert [event.position for event in events] == [1, 2, 3]
    assert {event.source for event in events} == {"chassis"}
    assert len({event.id for event in events}) == 3
    assert all(event.time.seconds > 0 for event in events)


async def test_a_stream_goes_on_behind_a_cursor(database: Database, sync: SyncDatabase) -> None:
    publish(sync, *"abcde")
    place(sync)
    assert [event.subject for event in await take(database, 2, after=3)] == ["d", "e"]
    assert await rest(database, after=5) == []
    assert await rest(database, after=99) == []


async def test_what_comes_later_comes_too(database: Database, sync: SyncDatabase) -> None:
    waiting = asyncio.create_task(take(database, 2))
    await asyncio.sleep(0.1)
    publish(sync, "a")
    place(sync)
    await asyncio.sleep(0.1)
    publish(sync, "b")
    place(sync)
    assert [event.subject for event in await waiting] == ["a", "b"]


async def test_what_has_no_position_yet_is_not_told(database: Database, sync: SyncDatabase) -> None:
    publish(sync, "a")
    place(sync)
    publish(sync, "b")
    assert await rest(database) == ["a"]


async def test_only_the_types_asked_for_are_told(database: Database, sync: SyncDatabase) -> None:
    publish(sync, "text")
    publish(sync, "number", number=True)
    place(sync)
    assert await rest(database, types=["Int64Value"]) == ["number"]
    assert await rest(database, types=["Int64Value", "StringValue"]) == ["text", "number"]
    assert await rest(database, types=["Other"]) == []


async def test_a_region_sees_what_lies_in_it(database: Database, sync: SyncDatabase) -> None:
    for region in ("3506", "350602", "350602001", "350603", "3505"):
        publish(sync, region, region=region)
    place(sync)
    assert await rest(database, region="3506") == ["3506", "350602", "350602001", "350603"]
    assert await rest(database, region="350602") == ["350602", "350602001"]
    assert await rest(database, region="35_6") == []
    assert await rest(database, region="%") == []


async def test_more_than_a_batch_comes_without_a_gap(
    database: Database, sync: SyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "BATCH", 7)
    publish(sync, *(f"{number}" for number in range(30)))
    place(sync)
    assert [event.subject for event in await take(database, 30)] == [f"{number}" for number in range(30)]


async def test_a_stream_ends_with_its_server_at_once(
    database: Database, sync: SyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 60)
    publish(sync, "a")
    place(sync)
    stream = watch_outbox(database, source="chassis", region="3506", after=0, types=())
    assert (await anext(stream)).subject == "a"
    waiting = asyncio.ensure_future(anext(stream, None))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    database.closing.set()
    assert await asyncio.wait_for(waiting, 2) is None


async def test_a_stream_ends_when_its_hour_is_over(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_SECONDS", 0.1)
    await asyncio.wait_for(_collect(database, [], {}), 5)


def test_an_event_that_cannot_be_published_undoes_its_change(sync: SyncDatabase) -> None:
    def operation(session: Session) -> None:
        emit(session, "not a pair of texts")

    with pytest.raises(ValueError, match="too many values"):
        sync.write(operation)
    assert publication(("a", "b")).subject == "a"
