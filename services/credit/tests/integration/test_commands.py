"""What operators run by hand: migrate, seed, import, audit, keys, dead letters."""

import csv
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from services.credit.tests.hostile.recipes import LICENCE
from services.credit.tests.integration.importing import csv_of, emptied, generated, kept, person_number
from tulou_chassis.keyring import Keyring, create_keyring
from tulou_chassis.syncdb import SyncDatabase
from tulou_credit import __main__, commands, models
from tulou_credit.blobs import SealedFiles, import_files
from tulou_credit.domain.imports import ImportState
from tulou_credit.models import Import, QuarantinedRow, RecordVersion, Subject
from tulou_credit.operations import imports, subjects
from tulou_credit.settings import CreditSettings
from tulou_credit.wiring import house_of

PERSON = {"XK_XDR_LB": "自然人", "XK_XDR_SHXYM": "", "XK_XDR_ZJLX": "身份证"}


@pytest.fixture(scope="module")
def migrated(database_url: str) -> str:
    return database_url.replace("{service}", "chassis")


@pytest.fixture
def settings(migrated: str, tmp_path: Path) -> CreditSettings:
    create_keyring(tmp_path / "keyring.json")
    made = CreditSettings(
        database_url=migrated,
        oidc_issuer="https://tulou.test",
        oidc_jwks=__file__,
        keyring_file=tmp_path / "keyring.json",
        blob_dir=tmp_path / "blobs",
    )
    commands.migrate(made)
    commands.seed(made)
    return made


@pytest.fixture
def database(settings: CreditSettings) -> Iterator[SyncDatabase]:
    with closing(commands.database_of(settings)) as found:
        emptied(found)
        yield found


@pytest.fixture
def files(settings: CreditSettings) -> SealedFiles:
    return import_files(settings, Keyring.load(settings.keyring_file))


def taken(settings: CreditSettings, tmp_path: Path, content: bytes, **changed: Any) -> None:
    (tmp_path / "rows.csv").write_bytes(content)
    told: dict[str, Any] = {"source": "SCJG", "encoding": None, "quarantined": None}
    commands.import_file(settings, tmp_path / "rows.csv", **told | changed)


def only_import(database: SyncDatabase) -> Import:
    return database.read(lambda session: session.exec(select(Import)).one())


def test_the_catalogue_is_loaded_once(settings: CreditSettings, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    commands.seed(settings)
    assert capsys.readouterr().out.startswith("credit: 0 record types and 0 measures")


def test_a_file_is_taken_in_and_what_is_not_taken_is_written_out(
    settings: CreditSettings,
    database: SyncDatabase,
    files: SealedFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    taken(settings, tmp_path, generated(200), quarantined=tmp_path / "out.csv")
    told = capsys.readouterr().out
    found = only_import(database)
    assert f"import {found.id} DONE: 200 rows, 198 new, 0 changed, 0 known, 2 not taken" in told
    assert "200/200" in told
    assert found.source == "SCJG"
    with (tmp_path / "out.csv").open(encoding="utf-8-sig") as out:
        assert [row["_行号"] for row in csv.DictReader(out)] == ["98", "195"]
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    assert list(files.written()) == []
    commands.show_imports(settings)
    assert f"SCJG  rows.csv  import {found.id} DONE" in capsys.readouterr().out


def test_a_file_that_is_no_table_says_why(
    settings: CreditSettings, database: SyncDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        taken(settings, tmp_path, "漳州市市场监督管理局\n".encode())
    assert end.value.code == 1
    told = capsys.readouterr().out
    assert "FAILED" in told
    assert "row 1: " in told


def test_a_file_that_is_not_there_leaves_nothing(
    settings: CreditSettings, database: SyncDatabase, files: SealedFiles, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"none\.csv: No such file"):
        commands.import_file(settings, tmp_path / "none.csv", source="SCJG", encoding=None, quarantined=None)
    assert list(files.written()) == []
    assert database.read(lambda session: session.exec(select(Import)).all()) == []


def test_no_import_of_that_id_is_run(
    settings: CreditSettings, database: SyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They are for a process of its own.
    for name in ("configure_logs", "configure_telemetry"):
        monkeypatch.setattr(commands, name, lambda *_: None)
    with pytest.raises(SystemExit, match="there is no import nothing"):
        commands.run_import(settings, "nothing", None)


@pytest.mark.parametrize(
    "words",
    [
        ["import"],
        ["import", "rows.csv"],
        ["import", "run"],
        ["import", "rows.csv", "--source", "SCJG", "--encoding", "big5"],
        ["audit", "mend"],
        ["dead-letters", "show"],
    ],
)
def test_words_that_make_no_command_are_refused(
    settings: CreditSettings, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    for name in ("database_url", "oidc_issuer", "oidc_jwks", "keyring_file", "blob_dir"):
        monkeypatch.setenv(f"TULOU_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setattr(sys, "argv", ["tulou_credit", *words])
    with pytest.raises(SystemExit) as end:
        __main__.main()
    assert end.value.code == 2


def test_an_audit_finds_what_was_changed_in_any_history(
    settings: CreditSettings, database: SyncDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken(settings, tmp_path, generated(20))
    capsys.readouterr()
    commands.verify_audit(settings)
    told = capsys.readouterr().out
    assert "3 subjects" in told
    assert "20 records" in told
    ids = {
        table: database.read(lambda s, table=table: s.execute(text(f"SELECT min(id) FROM {table}")).scalar_one())  # type: ignore[misc]
        for table in ("credit_subject", "credit_record")
    }
    for one in ids.values():
        database.write(
            lambda s, one=one: s.execute(
                text("UPDATE history SET actor = 'x' WHERE aggregate = :id"), params={"id": one}
            )
        )  # type: ignore[misc]
    with pytest.raises(SystemExit, match="credit: 2 breaks in the histories of"):
        commands.verify_audit(settings)
    assert {f"{one}: entry 1 was changed" for one in ids.values()} <= set(capsys.readouterr().out.splitlines())


def test_every_table_with_a_history_is_audited() -> None:
    with_history = {
        table.__tablename__
        for table in vars(models).values()
        if isinstance(table, type) and hasattr(table, "history_hash")
    }
    assert {table.__tablename__ for table in commands.audited().values()} == with_history
    assert {"credit_subject", "credit_record"} <= with_history


def test_keys_are_rotated_wherever_something_is_sealed(
    settings: CreditSettings,
    database: SyncDatabase,
    files: SealedFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = person_number(1)
    rows = [
        {**LICENCE, **PERSON, "XK_XDR_ZJHM": number, "XK_NR": f"持证人{number}"},
        {**LICENCE, "XK_WSH": "2号", "XK_FR_ZJHM": person_number(2)},
        {**LICENCE, "XK_WSH": "3号", "XK_JDRQ": "?"},
    ]
    taken(settings, tmp_path, csv_of(iter(rows)))
    kept(files, "waiting", b"rows")
    commands.rotate_keys(settings, fresh=True)
    assert "the primary key is now k2" in capsys.readouterr().out
    commands.rotate_keys(settings, fresh=False)
    assert "5 texts and 1 files moved to key k2" in capsys.readouterr().out
    commands.rotate_keys(settings, fresh=False)
    assert "0 texts and 0 files moved" in capsys.readouterr().out
    for column in (
        Subject.number_sealed,
        Subject.representative_sealed,
        RecordVersion.sealed,
        QuarantinedRow.cells,
    ):
        sealed = database.read(lambda s, column=column: s.exec(select(column)).all())  # type: ignore[misc]
        assert {text.partition(".")[0] for text in sealed if text} == {"k2"}
    house = house_of(settings)
    person = database.read(lambda s: s.exec(select(Subject).where(Subject.kind == "PERSON")).one())
    assert subjects.reveal(subject=person, house=house) == number
    with import_files(settings, house.keyring).open("waiting") as stream:
        assert stream.read() == b"rows"
    commands.verify_audit(settings)


def test_files_go_with_their_imports_and_with_time(
    settings: CreditSettings, database: SyncDatabase, files: SealedFiles, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    for name in ("ended", "running", "never-begun"):
        kept(files, name, b"rows")
    draft = files.write("being-sent")
    for name in ("ended", "running"):
        database.write(
            lambda session, name=name: imports.begin(  # type: ignore[misc]
                session, import_id=name, source="SCJG", file_name="", sha256="", size=4, encoding=None, now=now
            )
        )
    database.write(lambda session: imports.cancel(session, import_id="ended", now=now))
    assert imports.remove_files(database, files=files, now=now) == 1
    assert {"running", "never-begun"} < {name for name, _ in files.written()}
    assert imports.remove_files(database, files=files, now=now + timedelta(hours=25)) == 2
    assert [name for name, _ in files.written()] == ["running"]
    assert imports.remove_files(database, files=files, now=now + timedelta(hours=25)) == 0
    assert only_state(database, "running") == ImportState.QUEUED
    draft.abandon()


def only_state(database: SyncDatabase, import_id: str) -> str:
    return database.read(lambda session: session.get_one(Import, import_id).state)
