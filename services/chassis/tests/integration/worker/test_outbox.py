"""The outbox as the relay works it off, and what housekeeping takes away."""

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from tulou_chassis import housekeeping, inbox, outbox
from tulou_chassis.events import emit
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import IdempotencyRecord, InboxEntry, OutboxEvent

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def fill(database: SyncDatabase, count: int) -> None:
    database.write(lambda session: [emit(session, ("case-1", StringValue(value=str(n)))) for n in range(count)])


def place(database: SyncDatabase, limit: int = 100) -> int:
    return database.write(lambda session: outbox.place(session, limit=limit))


def positions(database: SyncDatabase) -> list[int | None]:
    return list(
        database.read(lambda session: session.exec(select(OutboxEvent.position).order_by(col(OutboxEvent.id))).all())
    )


def mark(database: SyncDatabase, *, after: int, upto: int, now: datetime = NOW) -> None:
    database.write(lambda session: outbox.mark_published(session, after=after, upto=upto, now=now))


def clean(database: SyncDatabase, now: datetime) -> dict[str, int]:
    return housekeeping.clean(database, now=now, idempotency_days=7, inbox_days=90, outbox_days=90)


def test_rows_get_positions_without_gaps_in_the_order_of_their_ids(database: SyncDatabase) -> None:
    fill(database, 5)
    assert place(database, limit=2) == 2
    assert positions(database) == [1, 2, None, None, None]
    assert place(database) == 5
    assert positions(database) == [1, 2, 3, 4, 5]


def test_publishing_goes_on_behind_what_is_published_without_a_gap(database: SyncDatabase) -> None:
    assert database.read(outbox.last_published) == 0
    fill(database, 6)
    assert database.read(outbox.last_published) == 0
    place(database, limit=5)
    assert database.read(outbox.last_published) == 0
    mark(database, after=0, upto=5)
    assert database.read(outbox.last_published) == 5
    database.write(lambda session: outbox.unpublish(session, after=2, upto=4))
    assert database.read(outbox.last_published) == 2
    assert database.read(outbox.waiting)[0] == 3


def test_what_is_placed_while_the_place_is_looked_up_is_not_stepped_over(database: SyncDatabase) -> None:
    fill(database, 3)
    with database.engine.connect() as connection, Session(connection) as session:
        asked: list[str] = []

        @event.listens_for(connection, "before_cursor_execute")
        def _place_in_between(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            asked.append(statement)
            if len(asked) == 2:
                place(database)

        assert outbox.last_published(session) == 0
    assert len(asked) == 2
    assert positions(database) == [1, 2, 3]


def test_a_row_whose_transaction_was_slow_comes_behind_those_already_placed(database: SyncDatabase) -> None:
    fill(database, 3)
    # As if the second row had become visible last.
    database.write(lambda session: _hide(session, 2))
    place(database)
    assert positions(database) == [1, None, 2]
    database.write(lambda session: _show(session, 2))
    assert database.read(outbox.any_unplaced)
    place(database)
    assert positions(database) == [1, 3, 2]


def _hide(session: Session, row_id: int) -> None:
    session.get_one(OutboxEvent, row_id).published_at = NOW


def _show(session: Session, row_id: int) -> None:
    session.get_one(OutboxEvent, row_id).published_at = None


def test_relays_that_place_at_once_leave_no_gap_and_never_move_a_row(database: SyncDatabase) -> None:
    fill(database, 200)
    seen: list[list[int | None]] = []

    def work() -> None:
        while database.read(outbox.any_unplaced):
            with suppress(IntegrityError):
                place(database, limit=7)
            seen.append(positions(database))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    last = positions(database)
    assert sorted(position or 0 for position in last) == list(range(1, 201))
    assert all(early in (None, late) for moment in seen for early, late in zip(moment, last, strict=True))


def test_nothing_waits_in_an_empty_outbox(database: SyncDatabase) -> None:
    assert not database.read(outbox.any_unplaced)
    assert place(database) == 0
    assert database.read(outbox.last_published) == 0


def test_a_new_relay_goes_on_behind_what_was_marked(database: SyncDatabase) -> None:
    fill(database, 5)
    place(database)
    mark(database, after=0, upto=3)
    assert database.read(outbox.last_published) == 3
    rows = database.read(lambda session: outbox.behind(session, 3, limit=10))
    assert [row.position for row in rows] == [4, 5]
    mark(database, after=3, upto=5)
    assert database.read(outbox.last_published) == 5


def test_published_rows_are_deleted_after_their_days_and_the_last_position_is_kept(database: SyncDatabase) -> None:
    fill(database, 4)
    place(database)
    mark(database, after=0, upto=2)
    mark(database, after=2, upto=4, now=NOW + timedelta(days=1))

    assert clean(database, NOW + timedelta(days=90))["outbox"] == 0
    assert clean(database, NOW + timedelta(days=90, seconds=1))["outbox"] == 2
    assert clean(database, NOW + timedelta(days=1000))["outbox"] == 1
    assert positions(database) == [4]
    fill(database, 1)
    assert place(database) == 5


def test_an_unpublished_row_is_never_deleted(database: SyncDatabase) -> None:
    fill(database, 3)
    place(database)
    assert clean(database, NOW + timedelta(days=1000))["outbox"] == 0
    assert len(positions(database)) == 3


def test_inbox_and_first_answers_are_deleted_after_their_days_in_chunks(database: SyncDatabase) -> None:
    old = housekeeping.CHUNK + 1

    def write(session: Session) -> None:
        for number in range(old + 1):
            time = NOW if number < old else NOW + timedelta(days=1)
            inbox.take(session, f"event-{number}", "h", now=time)
            session.add(
                IdempotencyRecord(
                    subject="s", method="m", request_id=str(number), payload_hash=b"", response=b"", time=time
                )
            )

    database.write(write)

    gone = clean(database, NOW + timedelta(days=7, seconds=1))
    assert gone == {"idempotency": old, "inbox": 0, "outbox": 0}
    gone = clean(database, NOW + timedelta(days=90, seconds=1))
    assert gone == {"idempotency": 1, "inbox": old, "outbox": 0}
    [left] = database.read(lambda session: session.exec(select(InboxEntry.event_id)).all())
    assert left == f"event-{old}"


def test_an_event_is_taken_in_once_by_each_handler(database: SyncDatabase) -> None:
    def take(event_id: str, handler: str) -> bool:
        return database.write(lambda session: inbox.take(session, event_id, handler, now=NOW))

    assert [take("e", "h"), take("e", "h"), take("e", "other"), take("f", "h")] == [True, False, True, True]
