"""Dead letters as the commands see them."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from tulou_chassis import deadletters
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import DeadLetter

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def bury(database: SyncDatabase, event_id: str, handler: str = "h", error: str = "ValueError: no") -> None:
    database.write(
        lambda session: deadletters.bury(
            session, event_id=event_id, handler=handler, envelope=b"e", error=error, attempts=5, now=NOW
        )
    )


def ids(database: SyncDatabase) -> list[str]:
    return [letter.event_id for letter in database.read(deadletters.unresolved)]


def first_id(database: SyncDatabase) -> int:
    return database.read(deadletters.unresolved)[0].id or 0


def test_letters_are_listed_oldest_first(database: SyncDatabase) -> None:
    for event_id in ("b", "a", "c"):
        bury(database, event_id)
    assert ids(database) == ["b", "a", "c"]


def test_an_event_that_comes_again_is_not_buried_twice(database: SyncDatabase) -> None:
    bury(database, "a")
    bury(database, "a")
    bury(database, "a", handler="other")
    assert ids(database) == ["a", "a"]


def test_a_long_error_is_cut(database: SyncDatabase) -> None:
    bury(database, "a", error="字" * 1000)
    assert len(database.read(deadletters.unresolved)[0].error) == deadletters.ERROR_LENGTH


def test_what_a_database_quotes_of_a_row_is_not_kept(database: SyncDatabase) -> None:
    bury(database, "a")
    with pytest.raises(IntegrityError) as raised:
        database.write(lambda session: session.add(DeadLetter(event_id="secret")))
    assert "secret" not in deadletters.one_line(raised.value)
    assert deadletters.one_line(raised.value).startswith("IntegrityError: ")


def test_a_letter_that_is_not_there_is_named(database: SyncDatabase) -> None:
    with pytest.raises(deadletters.NoSuchLetter, match="no dead letter 7"):
        database.read(lambda session: deadletters.show(session, 7))


def test_a_request_is_claimed_once(database: SyncDatabase) -> None:
    bury(database, "a")
    letter_id = first_id(database)
    assert database.read(deadletters.requested) == []
    database.write(lambda session: deadletters.request_replay(session, letter_id, now=NOW))
    assert list(database.read(deadletters.requested)) == [letter_id]

    assert database.write(lambda session: deadletters.claim(session, letter_id)) is not None
    assert database.write(lambda session: deadletters.claim(session, letter_id)) is None


def test_a_failed_replay_is_noted_and_has_to_be_asked_for_again(database: SyncDatabase) -> None:
    bury(database, "a")
    letter_id = first_id(database)
    database.write(lambda session: deadletters.request_replay(session, letter_id, now=NOW))
    database.write(lambda session: deadletters.note_failure(session, letter_id, "KeyError: x"))

    letter = database.read(lambda session: deadletters.show(session, letter_id))
    assert (letter.attempts, letter.error, letter.replay_requested_at) == (6, "KeyError: x", None)


def test_a_letter_replayed_with_success_is_not_listed_nor_replayed_again(database: SyncDatabase) -> None:
    bury(database, "a")
    letter_id = first_id(database)

    def succeed(session):  # type: ignore[no-untyped-def]
        deadletters.show(session, letter_id).replayed_at = NOW

    database.write(succeed)
    assert ids(database) == []
    with pytest.raises(deadletters.AlreadyReplayed, match="2026-03-02 01:00:00 UTC"):
        database.write(lambda session: deadletters.request_replay(session, letter_id, now=NOW))
