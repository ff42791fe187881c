"""Events on their way: in order, each with one effect, whatever fails or is killed."""

import time

from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from services.chassis.tests.integration.worker.home import Home, by_subject
from services.chassis.tests.integration.worker.notes import noted

AGGREGATES = 20
EVENTS = 500


def emit_all(home: Home) -> None:
    """500 events of 20 aggregates, of two types in turn, ten in a transaction."""
    for first in range(0, EVENTS, 10):
        home.emit(
            *(
                (
                    f"case-{number % AGGREGATES}",
                    StringValue(value=str(number)) if number % 3 else Int64Value(value=number),
                )
                for number in range(first, first + 10)
            )
        )


def expected() -> dict[str, list[int]]:
    return {f"case-{n}": list(range(n, EVENTS, AGGREGATES)) for n in range(AGGREGATES)}


def test_events_take_effect_in_the_order_of_their_aggregate_though_the_handler_fails_now_and_then(
    anywhere: Home,
) -> None:
    anywhere.switch("flaky")
    worker = anywhere.start()
    emit_all(anywhere)

    anywhere.wait("all events", lambda: len(anywhere.noted()) >= EVENTS)
    anywhere.wait("all numbers", lambda: len(anywhere.noted("note_numbers")) >= len(range(0, EVENTS, 3)))

    assert by_subject(anywhere.noted()) == expected()
    assert [int(text) for _, text in anywhere.noted("note_numbers")] == list(range(0, EVENTS, 3))
    assert "now and then" in anywhere.logs()
    assert worker.end() == 0


def test_every_event_takes_effect_once_though_the_worker_is_killed_again_and_again(anywhere: Home) -> None:
    anywhere.switch("flaky")
    anywhere.switch("slow")
    worker = anywhere.start()
    emit_all(anywhere)

    for part in (1, 2, 3, 4):
        anywhere.wait(f"part {part}", lambda reached=part * EVENTS // 5: len(anywhere.noted()) >= reached)
        worker.kill()
        worker = anywhere.start()
    anywhere.wait("all events", lambda: len(anywhere.noted()) >= EVENTS)
    anywhere.wait("all numbers", lambda: len(anywhere.noted("note_numbers")) >= len(range(0, EVENTS, 3)))
    # What might come twice would come now.
    time.sleep(1)

    assert by_subject(anywhere.noted()) == expected()
    assert sorted(int(text) for _, text in anywhere.noted("note_numbers")) == list(range(0, EVENTS, 3))


def test_what_a_handler_emits_is_published_in_turn(home: Home) -> None:
    home.switch("answering")
    home.start()

    home.emit(("case-1", StringValue(value="question")))

    home.wait("the answer", lambda: home.maker.read(lambda session: noted(session, "note_answer")) != [])
    answers = home.maker.read(lambda session: noted(session, "note_answer"))
    assert answers == [("case-1", "https://tulou.test answers question")]


def test_positions_have_no_gaps_and_follow_the_ids(home: Home) -> None:
    home.start()
    emit_all(home)
    home.wait("all events", lambda: len(home.noted()) >= EVENTS)

    def rows() -> list[tuple[int, int]]:
        found = home.maker.read(
            lambda session: (
                session.connection()
                .exec_driver_sql("SELECT id, position FROM outbox WHERE published_at IS NOT NULL ORDER BY id")
                .all()
            )
        )
        return [(row[0], row[1]) for row in found]

    home.wait("the marks", lambda: len(rows()) == EVENTS)
    assert [position for _, position in rows()] == list(range(1, EVENTS + 1))
