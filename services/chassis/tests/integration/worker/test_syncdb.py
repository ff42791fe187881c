"""The sync database: what a write keeps, what it takes back, and how writers meet."""

import threading
from collections.abc import Iterator

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, select

from services.chassis.tests.integration.worker.notes import note, noted
from tulou_chassis.events import emit, envelope
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import OutboxEvent


@pytest.fixture
def other(database: SyncDatabase) -> Iterator[SyncDatabase]:
    """The same database as another process has it."""
    found = SyncDatabase(database.engine.url.render_as_string(hide_password=False))
    yield found
    found.close()


def outbox(session: Session) -> list[OutboxEvent]:
    return list(session.exec(select(OutboxEvent)).all())


def test_a_write_is_seen_by_the_next_read(database: SyncDatabase, other: SyncDatabase) -> None:
    database.write(lambda session: note(session, "h", "case-1", "x"))
    assert other.read(lambda session: noted(session, "h")) == [("case-1", "x")]


def test_what_is_emitted_is_in_the_outbox_with_the_change(database: SyncDatabase) -> None:
    database.write(lambda session: emit(session, ("case-1", StringValue(value="x"))))
    [row] = database.read(outbox)
    event = envelope(row, source="chassis")
    assert (event.source, event.type, event.subject, event.position) == ("chassis", "StringValue", "case-1", 0)


def test_when_an_operation_raises_nothing_of_it_stays(database: SyncDatabase) -> None:
    def operation(session: Session) -> None:
        note(session, "h", "case-1", "x")
        emit(session, ("case-1", StringValue(value="x")))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write(operation)

    assert database.read(lambda session: noted(session, "h")) == []
    assert database.read(outbox) == []


def test_what_happens_in_a_database_without_a_publisher_is_refused(other: SyncDatabase) -> None:
    with pytest.raises(LookupError, match="no publisher"):
        other.write(lambda session: emit(session, ("case-1", StringValue(value="x"))))


def test_many_writers_in_two_processes_all_get_their_turn(database: SyncDatabase, other: SyncDatabase) -> None:
    def write_ten(writer: SyncDatabase, name: str) -> None:
        for number in range(10):
            writer.write(lambda session, text=str(number): note(session, "h", name, text))

    threads = [
        threading.Thread(target=write_ten, args=(writer, f"{index}"))
        for index, writer in enumerate([database, other] * 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(database.read(lambda session: noted(session, "h"))) == 80


def test_a_database_that_cannot_be_reached_is_not_writable(database: SyncDatabase) -> None:
    nowhere = "postgresql://nobody:x@127.0.0.1:1/x" if database.engine.dialect.name == "postgresql" else "/nowhere/x.db"
    away = SyncDatabase(nowhere if "://" in nowhere else f"sqlite:///{nowhere}")
    assert database.writable()
    assert not away.writable()
    with pytest.raises(SQLAlchemyError):
        away.read(outbox)
    away.close()
