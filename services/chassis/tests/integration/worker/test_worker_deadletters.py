"""What a handler cannot take in becomes a dead letter, is listed and replayed."""

from datetime import UTC, datetime

from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from kombu import Connection

from e2e.providers.kinds import Server
from services.chassis.tests.integration.worker.home import Home
from tulou_chassis import deadletters
from tulou_chassis.tables import DeadLetter

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def letters(home: Home) -> list[DeadLetter]:
    return list(home.taker.read(deadletters.unresolved))


def ask_for_replay(home: Home) -> None:
    [letter] = letters(home)
    home.taker.write(lambda session: deadletters.request_replay(session, letter.id or 0, now=NOW))


def test_an_event_that_fails_five_times_becomes_a_dead_letter_and_the_next_comes(home: Home) -> None:
    home.switch("poison 2")
    home.start()

    home.emit(*(("case-1", StringValue(value=str(number))) for number in (1, 2, 3)))

    home.wait("the event behind", lambda: ("case-1", "3") in home.noted())
    assert home.noted() == [("case-1", "1"), ("case-1", "3")]
    [letter] = letters(home)
    assert (letter.handler, letter.attempts, letter.error) == ("note_both", 5, "ValueError: poison")


def test_a_dead_letter_of_one_handler_leaves_the_other_handlers_of_the_event_alone(home: Home) -> None:
    home.switch("poison 7")
    home.start()

    home.emit(("case-1", Int64Value(value=7)))

    home.wait("the other handler", lambda: home.noted("note_numbers") == [("case-1", "7")])
    assert [letter.handler for letter in letters(home)] == ["note_both"]
    assert home.noted() == []


def test_a_replay_that_fails_is_counted_and_one_that_succeeds_takes_effect_once(home: Home) -> None:
    home.switch("poison 1")
    home.start()
    home.emit(("case-1", StringValue(value="1")))
    home.wait("the dead letter", lambda: letters(home) != [])

    ask_for_replay(home)
    home.wait("the failed replay", lambda: letters(home)[0].attempts == 6)
    assert letters(home)[0].replay_requested_at is None
    assert home.noted() == []

    home.switch("poison 1", on=False)
    ask_for_replay(home)
    home.wait("the replay", lambda: letters(home) == [])
    assert home.noted() == [("case-1", "1")]


def test_a_message_that_is_no_event_becomes_a_dead_letter_and_the_next_comes(cluster: Home, amqp_admin: Server) -> None:
    worker = cluster.start()
    cluster.wait("the queue", lambda: worker.get("/healthz").status_code == 200)
    cluster.emit(("case-1", StringValue(value="1")))
    cluster.wait("the first event", lambda: len(cluster.noted()) == 1)

    with Connection(cluster.environment["TULOU_AMQP_URI"]) as connection:
        for body in (b"\xff\xff", b""):
            connection.Producer().publish(
                body,
                exchange="tulou.events",
                routing_key="maker.StringValue",
                content_type="application/octet-stream",
                content_encoding="binary",
            )
    cluster.emit(("case-1", StringValue(value="2")))

    cluster.wait("the event behind", lambda: len(cluster.noted()) == 2)
    assert sorted(letter.envelope for letter in letters(cluster)) == [b"", b"\xff\xff"]
    assert {letter.error.partition(":")[0] for letter in letters(cluster)} == {"Unreadable"}
