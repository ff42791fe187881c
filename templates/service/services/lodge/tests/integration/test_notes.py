"""Notes on SQLite and on PostgreSQL: written, put on file, seen by their author alone, with a history."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.chassis.tests.migrated import differences
from tulou_chassis import tables
from tulou_chassis.keyring import create_keyring
from tulou_chassis.principals import Principal
from tulou_chassis.syncdb import SyncDatabase
from tulou_lodge import models
from tulou_lodge.commands import database_of, migrate, verify_audit
from tulou_lodge.operations import create_note, file_note
from tulou_lodge.queries import NoteNotFound, count_notes, get_note
from tulou_lodge.settings import LodgeSettings
from tulou_lodge.wiring import keyring_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
AUTHOR = Principal("citizen-1", frozenset({"citizen"}), "", "3506", "某人")
NEIGHBOUR = Principal("citizen-2", frozenset({"citizen"}), "", "3506", "某人")


@pytest.fixture(scope="module")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> LodgeSettings:
    folder: Path = tmp_path_factory.mktemp("lodge")
    create_keyring(folder / "keyring.json")
    (folder / "jwks.json").touch()
    made = LodgeSettings(
        database_url=database_url,
        oidc_issuer="https://issuer.test",
        oidc_jwks=str(folder / "jwks.json"),
        keyring_file=folder / "keyring.json",
    )
    migrate(made)
    return made


@pytest.fixture
def database(settings: LodgeSettings) -> Iterator[SyncDatabase]:
    with closing(database_of(settings)) as database:
        yield database


def written(database: SyncDatabase, settings: LodgeSettings) -> str:
    keyring = keyring_of(settings)
    return database.write(
        lambda session: create_note(session, keyring=keyring, principal=AUTHOR, text="路灯不亮", now=NOW)
    ).id


def test_its_author_reads_a_note_and_nobody_else(database: SyncDatabase, settings: LodgeSettings) -> None:
    note_id = written(database, settings)
    assert database.read(lambda session: get_note(session, principal=AUTHOR, note_id=note_id)).text == "路灯不亮"
    assert database.read(count_notes) == 1
    with pytest.raises(NoteNotFound):
        database.read(lambda session: get_note(session, principal=NEIGHBOUR, note_id=note_id))


def test_a_note_on_file_has_a_history_that_can_be_checked(
    database: SyncDatabase, settings: LodgeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    note_id = written(database, settings)
    database.write(lambda session: file_note(session, keyring=keyring_of(settings), note_id=note_id, now=NOW))
    note = database.read(lambda session: get_note(session, principal=AUTHOR, note_id=note_id))
    assert (note.filed, note.history_sequence) == (True, 2)
    verify_audit(settings)
    assert "notes are as they were written" in capsys.readouterr().out


def test_the_migrations_make_what_the_models_say(database: SyncDatabase) -> None:
    assert differences(database.engine, models, tables) == []
