"""Events are published once more: what was lost arrives, what had arrived has no second effect."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from kombu.connection import Connection
from sqlalchemy import delete, update
from sqlmodel import col

from services.chassis.tests.integration.worker.home import Home
from services.chassis.tests.integration.worker.notes import NOTES
from tulou_chassis import commands, housekeeping, outbox
from tulou_chassis.tables import InboxEntry, OutboxEvent


def emit(home: Home, first: int, last: int) -> None:
    for number in range(first, last):
        home.emit(("case-1", StringValue(value=str(number))))


def numbers(home: Home) -> list[int]:
    return [int(text) for _, text in home.noted()]


def republish(home: Home, *, since: datetime | None = None, after: int | None = None) -> None:
    commands.republish("maker", home.maker, since=since, after=after)


def forget(home: Home, first: int) -> None:
    """The taker is as it was before the events from `first` on, as after a restore of an older backup."""
    taken = home.maker.read(lambda session: outbox.behind(session, first, limit=1000))
    ids = [row.event_id for row in taken]
    home.taker.write(lambda session: session.execute(delete(InboxEntry).where(col(InboxEntry.event_id).in_(ids))))
    texts = [str(number) for number in range(first, 1000)]
    home.taker.write(lambda session: session.execute(delete(NOTES).where(NOTES.c.text.in_(texts))))


def all_published(home: Home) -> bool:
    return home.maker.read(outbox.waiting) == (0, None)


def test_a_subscriber_that_was_restored_gets_what_it_lost_and_nothing_twice(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.start()
    emit(home, 0, 30)
    home.wait("the events", lambda: len(home.noted()) == 30 and all_published(home))
    forget(home, 20)
    assert numbers(home) == list(range(20))

    republish(home, after=5)

    assert "publishes 25 events again, positions 6 to 30" in capsys.readouterr().out
    home.wait("what was lost", lambda: len(home.noted()) >= 30 and all_published(home))
    # Behind all that went out again.
    emit(home, 30, 31)
    home.wait("what is new", lambda: len(home.noted()) >= 31)
    assert numbers(home) == list(range(31))


def test_events_since_a_time_go_out_again(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.start()
    emit(home, 0, 5)
    home.wait("the events", lambda: len(home.noted()) == 5 and all_published(home))
    third = home.maker.read(lambda session: outbox.behind(session, 2, limit=1))[0].time
    forget(home, 2)

    republish(home, since=third)

    assert "positions 3 to 5" in capsys.readouterr().out
    home.wait("what was lost", lambda: numbers(home) == list(range(5)))


def test_what_is_to_go_out_again_goes_out_although_the_worker_is_killed(home: Home) -> None:
    first = home.start()
    emit(home, 0, 20)
    home.wait("the events", lambda: len(home.noted()) == 20 and all_published(home))
    forget(home, 0)
    first.kill()

    republish(home, after=0)

    home.start()
    home.wait("the events again", lambda: len(home.noted()) >= 20 and all_published(home))
    # What the killed worker had not acknowledged yet comes from the broker, before what goes out again.
    assert sorted(numbers(home)) == list(range(20))


def test_what_a_lost_broker_held_arrives(cluster: Home) -> None:
    both = cluster.start()
    emit(cluster, 0, 1)
    cluster.wait("the queue", lambda: len(cluster.noted()) == 1)
    both.end()
    cluster.start("Maker")
    emit(cluster, 1, 10)
    cluster.wait("the broker's word", lambda: all_published(cluster))
    with Connection(cluster.environment["TULOU_AMQP_URI"]) as broker:  # type: ignore[no-untyped-call]
        broker.channel().queue_delete("tulou.taker.maker")
    taker = cluster.start("Taker")
    # Before, its queue may not be there.
    cluster.wait("the subscriber", lambda: taker.get("/readyz").status_code == 200)

    republish(cluster, after=0)

    cluster.wait("the events", lambda: len(cluster.noted()) >= 10)
    assert numbers(cluster) == list(range(10))


def test_events_that_handlers_may_have_forgotten_are_refused(machine: Home, capsys: pytest.CaptureFixture[str]) -> None:
    emit(machine, 0, 3)
    machine.maker.write(lambda session: outbox.place(session, limit=10))
    machine.maker.write(lambda session: outbox.mark_published(session, after=0, upto=3, now=datetime.now(UTC)))
    old = datetime.now(UTC) - timedelta(days=housekeeping.REPUBLISH_DAYS, hours=1)
    machine.maker.write(
        lambda session: session.execute(update(OutboxEvent).where(col(OutboxEvent.position) == 2).values(time=old))
    )

    with pytest.raises(SystemExit, match="behind position 1 there are events of"):
        republish(machine, after=1)
    assert all_published(machine)
    republish(machine, after=2)
    assert "positions 3 to 3" in capsys.readouterr().out
    assert machine.maker.read(outbox.last_published) == 2


def test_where_there_is_nothing_to_publish_again_that_is_said(
    machine: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    republish(machine, after=7)
    republish(machine, since=datetime.now(UTC))
    assert capsys.readouterr().out.count("there are no such events") == 2


def test_it_is_known_what_was_taken_in_for_longer_than_events_can_be_published_again() -> None:
    # A week for an event to arrive where the broker is away.
    assert housekeeping.REPUBLISH_DAYS + 7 <= housekeeping.INBOX_DAYS
