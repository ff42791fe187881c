"""What operators run by hand: migrate, seed, audit, keys, calendar."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import inspect, text
from sqlmodel import Session, func, select

from e2e.providers.servers import databases
from services.approval.tests.integration.test_timers import CALENDAR_2027, accepted
from services.approval.tests.office import (
    CITIZEN,
    CLERK,
    ON_THE_SPOT,
    PERSON_NUMBER,
    PHONE,
    Office,
    Refused,
    environment,
    served,
)
from services.chassis.tests.migrated import differences
from tulou.type.v1.event_pb2 import Event
from tulou_approval import commands, models
from tulou_approval.models import Case, Department, ItemVersion
from tulou_approval.settings import ApprovalSettings
from tulou_chassis import commands as shared
from tulou_chassis import deadletters, tables
from tulou_chassis.keyring import Keyring
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import HistoryRecord


def audit(office: Office, capsys: pytest.CaptureFixture[str]) -> tuple[bool, list[str]]:
    """Whether `audit verify` was content, and what it printed."""
    capsys.readouterr()
    try:
        commands.verify_audit(office.settings)
    except SystemExit as end:
        lines = capsys.readouterr().out.splitlines()
        return not str(end).startswith(f"approval: {len(lines)} breaks in the histories of "), lines
    return True, capsys.readouterr().out.splitlines()


def tamper(office: Office, sql: str, **values: Any) -> None:
    """What someone with the database's password does; it must hit something."""
    changed = office.database.write(lambda session: session.execute(text(sql), params=values).rowcount)
    assert changed


# The database is sound until the tests below this one have been at it.
def test_an_audit_is_content_with_what_was_written(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.draft()
    for state in ("CLOSED", "NEED_SUPPLEMENT", "WITHDRAWN"):
        office.in_state(state)
    office.ask("RevealApplicant", by=CLERK, case_id=office.submitted().id, purpose="核对申请人身份")
    content, lines = audit(office, capsys)
    assert content
    count = office.database.read(lambda session: session.exec(select(func.count(Case.id))).one())  # type: ignore[arg-type]
    assert lines == [f"approval: the histories of {count} cases are as they were written"]


def test_an_audit_of_many_cases_goes_batch_by_batch(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "BATCH", 2)
    for _ in range(5):
        office.draft()
    content, lines = audit(office, capsys)
    assert content
    count = office.database.read(lambda session: session.exec(select(func.count(Case.id))).one())  # type: ignore[arg-type]
    assert f" {count} cases" in lines[-1]


def test_a_case_that_is_acted_on_meanwhile_is_not_broken(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = office.submitted()
    batches = shared.batches

    def slow(database: SyncDatabase, table: type[Case]) -> Any:
        for batch in batches(database, table):
            if case.id in {one.id for one in batch}:
                office.act("StartPreReview", case)
            yield batch

    monkeypatch.setattr(shared, "batches", slow)
    assert audit(office, capsys)[0]


def test_keys_are_rotated_case_by_case(office: Office, capsys: pytest.CaptureFixture[str], issuer: Path) -> None:
    case, _other = office.submitted(), office.submitted()
    before = office.row(case.id)
    commands.rotate_keys(office.settings, fresh=True)
    assert "the primary key is now k2" in capsys.readouterr().out
    # Nothing moved yet, and the server that runs still reads what is there.
    assert office.row(case.id).identity_sealed == before.identity_sealed
    office.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="核对申请人身份")
    with served(office.settings) as address, grpc.insecure_channel(address) as channel:
        newer = replace(office, address=address, channel=channel)
        assert newer.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="旧密钥仍可读").phone == PHONE
        fresh = newer.submitted()
        assert office.row(fresh.id).identity_sealed.startswith("k2.")
        rows = office.database.read(lambda session: session.exec(select(Case.identity_sealed)).all())
        old = sum(sealed.startswith("k1.") for sealed in rows)
        assert old > 1
        capsys.readouterr()
        commands.rotate_keys(office.settings, fresh=False)
        assert f"{old} cases moved to key k2" in capsys.readouterr().out
        commands.rotate_keys(office.settings, fresh=False)
        assert "0 cases moved" in capsys.readouterr().out
        for row in office.database.read(lambda session: session.exec(select(Case)).all()):
            assert row.identity_sealed.startswith("k2.")
            assert row.phone_sealed.startswith("k2.")
        shown = newer.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="核对申请人身份")
        assert (shown.identity_number, shown.phone) == (PERSON_NUMBER, PHONE)
        # The etags that people hold are as good as before, and tracking goes on.
        assert newer.act("StartPreReview", case).id == case.id
        assert newer.ask("TrackCase", number=case.number, identity_tail=PERSON_NUMBER[-4:]).number == case.number
    # A server without the new key says that it failed, and nothing else.
    with pytest.raises(Refused) as refused:
        office.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="核对申请人身份")
    assert refused.value.reason == "INTERNAL"
    # Histories are sealed with the key of their day; the old one stays in the keyring for them.
    assert audit(office, capsys)[0]
    assert set(Keyring.load(office.settings.keyring_file).secrets) == {"k1", "k2"}


def test_a_changed_entry_is_found(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    case = office.in_state("REFUSED")
    tamper(
        office,
        "UPDATE history SET details = replace(details, '场所', '资金') WHERE aggregate = :id AND action = 'REFUSE'",
        id=case.id,
    )
    content, lines = audit(office, capsys)
    assert not content
    sequence = office.row(case.id).history_sequence
    assert f"{case.id}: entry {sequence} was changed" in lines


def test_a_deleted_entry_is_found(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    case = office.in_state("UNDER_REVIEW")
    tamper(office, "DELETE FROM history WHERE aggregate = :id AND sequence = 3", id=case.id)
    assert f"{case.id}: entry 3 is missing" in audit(office, capsys)[1]


def test_a_deleted_tail_is_found(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    case = office.in_state("UNDER_REVIEW")
    tamper(office, "DELETE FROM history WHERE aggregate = :id AND sequence > 3", id=case.id)
    assert f"{case.id}: the history ends at 3, not at 5 as its row says" in audit(office, capsys)[1]


def test_swapped_entries_are_found(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    case = office.in_state("UNDER_REVIEW")
    for old, new in ((2, 99), (3, 2), (99, 3)):
        tamper(
            office,
            "UPDATE history SET sequence = :new WHERE aggregate = :id AND sequence = :old",
            id=case.id,
            old=old,
            new=new,
        )
    lines = audit(office, capsys)[1]
    assert {f"{case.id}: entry 2 was changed", f"{case.id}: entry 3 was changed"} <= set(lines)


def test_a_deleted_case_is_found(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    case = office.draft(item_code=ON_THE_SPOT)
    tamper(office, "DELETE FROM case_file WHERE id = :id", id=case.id)
    assert f"{case.id}: its history is there, its row is not" in audit(office, capsys)[1]


def test_a_case_that_was_set_back_is_found(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    case = office.in_state("REFUSED")
    earlier = office.database.read(
        lambda session: session.exec(
            select(HistoryRecord).where(HistoryRecord.aggregate == case.id, HistoryRecord.action == "ACCEPT")
        ).one()
    )
    tamper(
        office,
        "UPDATE case_file SET state = 'ACCEPTED', history_sequence = :s, history_hash = :h WHERE id = :id",
        id=case.id,
        s=earlier.sequence,
        h=earlier.hash,
    )
    assert any(line.startswith(f"{case.id}: the history ends at ") for line in audit(office, capsys)[1])


def test_a_calendar_is_taken_up_by_command(office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    case = accepted(office, "2026-12-21")
    assert case.row.deadlines["STATUTORY_DECISION"] == ["2027-01-19", True]
    (tmp_path / "2027.json").write_text(json.dumps(CALENDAR_2027))
    settings = office.settings.model_copy(update={"calendar_files": (tmp_path / "2027.json",)})
    capsys.readouterr()
    commands.recompute_calendar(settings)
    told = capsys.readouterr().out
    assert "cases looked at" in told
    assert case.row.deadlines["STATUTORY_DECISION"] == ["2027-01-20", False]
    assert case.row.next_due == date(2026, 12, 31)
    commands.recompute_calendar(settings)
    assert "approval: 0 cases looked at, the deadlines of 0 changed" in capsys.readouterr().out
    entries = office.ask("ListCaseHistory", by=CLERK, case_id=case.id, page_size=200).entries
    assert [entry.action for entry in entries].count("RECOMPUTE") == 1
    assert office.case(case.id, CITIZEN).deadlines.statutory_decision.due_date == "2027-01-20"


def test_the_catalogue_is_loaded_once(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    commands.seed(office.settings)
    assert "approval: 0 departments and 435 items are new" in capsys.readouterr().out
    commands.seed(office.settings)
    assert "approval: 0 departments and 0 items are new" in capsys.readouterr().out

    def counts(session: Session) -> tuple[int, int]:
        departments = session.exec(select(func.count(Department.code))).one()  # type: ignore[arg-type]
        return departments, session.exec(select(func.count()).where(ItemVersion.state == "PUBLISHED")).one()

    assert office.database.read(counts)[0] == 32
    items = office.ask("ListItems", query="食品经营许可（新办）").items
    assert [item.code for item in items] == ["SCJG-XK-0001"]


def test_dead_letters_are_listed_shown_and_asked_for_again(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    event = Event(id="e-1", type="CaseGranted", subject="case-1")

    def bury(session: Session) -> None:
        deadletters.bury(
            session,
            event_id="e-1",
            handler="approval.publish_grant",
            envelope=event.SerializeToString(),
            error="ValueError: no",
            attempts=5,
            now=datetime.now(UTC),
        )

    office.database.write(bury)
    letter = office.database.read(deadletters.unresolved)[0]
    assert letter.id is not None
    capsys.readouterr()
    commands.dead_letters(office.settings, "list", None)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{letter.id}  ")
    assert first.endswith("approval.publish_grant  ValueError: no")
    assert last == "approval: 1 dead letters"
    commands.dead_letters(office.settings, "show", letter.id)
    shown = capsys.readouterr().out
    assert "attempts  5" in shown
    assert 'type: "CaseGranted"' in shown
    commands.dead_letters(office.settings, "replay", letter.id)
    assert capsys.readouterr().out == f"approval: the worker will try {letter.id} again\n"
    assert office.database.read(deadletters.requested) == [letter.id]
    for verb in ("show", "replay"):
        with pytest.raises(SystemExit, match="approval: there is no dead letter 999"):
            commands.dead_letters(office.settings, verb, 999)


def test_events_are_published_again_from_a_time_or_a_position(settings: ApprovalSettings) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tulou_approval", "events", "republish", *words]
        return subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=False)

    for words in (["--after", "0"], ["--since", "2026-03-01T08:00+08:00"]):
        done = run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("approval: ")


def test_migrations_that_start_at_once_wait_for_one_another(
    settings: ApprovalSettings, postgres_admin_url: str
) -> None:
    command = [sys.executable, "-m", "tulou_approval", "migrate"]
    with databases(postgres_admin_url) as template:
        fresh = settings.model_copy(update={"database_url": template})
        started = [subprocess.Popen(command, env=environment(fresh), stderr=subprocess.PIPE) for _ in range(3)]
        ended = [(process.communicate(timeout=60)[1].decode(), process.returncode) for process in started]
        assert [code for _, code in ended] == [0, 0, 0], ended
        database = commands.database_of(fresh)
        assert database.read(lambda session: session.exec(select(func.count(Case.id))).one()) == 0  # type: ignore[arg-type]
        database.close()


def test_the_migrations_make_what_the_models_say(settings: ApprovalSettings) -> None:
    commands.migrate(settings)
    database = commands.database_of(settings)
    found = differences(database.engine, models, tables)
    present = set(inspect(database.engine).get_table_names())
    database.close()
    assert found == []
    assert {"case_file", "item_version", "outbox", "history"} <= present
