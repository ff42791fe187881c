"""Histories are chained: an edit is found, and nothing is found where there was none."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlmodel import Session, select

from tulou_chassis import history
from tulou_chassis.history import Entry, Head, append, orphans, verify
from tulou_chassis.keyring import Keyring, add_key, create_keyring
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import HistoryRecord

BEGIN = datetime(2026, 3, 2, 1, 0, 0, 123456, tzinfo=UTC)
COLUMNS = HistoryRecord.__table__.c  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def empty(sync: SyncDatabase) -> None:
    """No histories."""
    sync.write(lambda session: session.execute(delete(HistoryRecord)))


def written(sync: SyncDatabase, keyring: Keyring, aggregate: str = "case-1", count: int = 4) -> Head:
    """A history of some entries."""

    def operation(session: Session) -> Head:
        head = Head()
        for number in range(1, count + 1):
            entry = Entry(
                action=f"STEP_{number}",
                time=BEGIN + timedelta(hours=number),
                actor="clerk-1",
                organisation="SCJG",
                details={"reason": "情况复杂", "days": number, "nested": {"b": [1, 2], "a": None}},
            )
            head = append(session, keyring, aggregate, head, entry)
        return head

    return sync.write(operation)


def found(sync: SyncDatabase, keyring: Keyring, **heads: Head) -> list[str]:
    return sync.read(lambda session: list(verify(session, keyring, {k.replace("_", "-"): v for k, v in heads.items()})))


def edit(sync: SyncDatabase, sequence: int, aggregate: str = "case-1", /, **values: object) -> None:
    where = (COLUMNS.aggregate == aggregate, COLUMNS.sequence == sequence)
    assert sync.write(lambda session: session.execute(update(HistoryRecord).where(*where).values(**values)).rowcount)


def test_a_history_as_it_was_written_verifies(sync: SyncDatabase, keyring: Keyring) -> None:
    head = written(sync, keyring)
    assert head.sequence == 4
    assert found(sync, keyring, case_1=head) == []
    assert found(sync, keyring, nothing_yet=Head()) == []


def test_entries_come_back_as_they_were_written(sync: SyncDatabase, keyring: Keyring) -> None:
    written(sync, keyring)
    first = sync.read(lambda session: session.exec(select(HistoryRecord).where(HistoryRecord.sequence == 1)).one())
    assert (first.action, first.actor, first.organisation) == ("STEP_1", "clerk-1", "SCJG")
    assert first.time == BEGIN + timedelta(hours=1)
    assert first.details == '{"days":1,"nested":{"a":null,"b":[1,2]},"reason":"情况复杂"}'


@pytest.mark.parametrize(
    "values",
    [
        {"details": '{"days":99}'},
        {"action": "GRANT"},
        {"actor": "clerk-2"},
        {"organisation": "SWJ"},
        {"time": BEGIN},
        {"time": BEGIN + timedelta(hours=2, microseconds=1)},
        {"hash": "0" * 64},
    ],
    ids=str,
)
def test_a_changed_entry_is_found(sync: SyncDatabase, keyring: Keyring, values: dict[str, object]) -> None:
    head = written(sync, keyring)
    edit(sync, 2, **values)
    assert any("case-1: entry 2 was changed" in sentence for sentence in found(sync, keyring, case_1=head))


def test_a_deleted_entry_is_found(sync: SyncDatabase, keyring: Keyring) -> None:
    head = written(sync, keyring)
    sync.write(lambda session: session.execute(delete(HistoryRecord).where(COLUMNS.sequence == 2)))
    assert "case-1: entry 2 is missing" in found(sync, keyring, case_1=head)


def test_a_cut_off_tail_is_found(sync: SyncDatabase, keyring: Keyring) -> None:
    head = written(sync, keyring)
    sync.write(lambda session: session.execute(delete(HistoryRecord).where(COLUMNS.sequence > 2)))
    assert found(sync, keyring, case_1=head) == ["case-1: the history ends at 2, not at 4 as its row says"]
    sync.write(lambda session: session.execute(delete(HistoryRecord)))
    assert found(sync, keyring, case_1=head) == ["case-1: the history ends at 0, not at 4 as its row says"]


def test_swapped_entries_are_found(sync: SyncDatabase, keyring: Keyring) -> None:
    head = written(sync, keyring)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        edit(sync, old, sequence=new)
    assert {sentence for sentence in found(sync, keyring, case_1=head) if "changed" in sentence} >= {
        "case-1: entry 2 was changed",
        "case-1: entry 3 was changed",
    }


def test_an_entry_of_another_history_is_found(sync: SyncDatabase, keyring: Keyring) -> None:
    head, other = written(sync, keyring), written(sync, keyring, "case-2")
    sync.write(
        lambda session: session.execute(
            delete(HistoryRecord).where(COLUMNS.aggregate == "case-1", COLUMNS.sequence == 1)
        )
    )
    edit(sync, 1, "case-2", aggregate="case-1")
    assert "case-1: entry 1 was changed" in found(sync, keyring, case_1=head)
    assert "case-2: entry 1 is missing" in found(sync, keyring, case_2=other)


def test_an_entry_behind_the_end_is_found(sync: SyncDatabase, keyring: Keyring) -> None:
    earlier = written(sync, keyring, count=3)
    sync.write(lambda session: session.execute(delete(HistoryRecord)))
    later = written(sync, keyring, count=4)
    assert later.sequence == 4
    # The row was set back to what it was before.
    assert found(sync, keyring, case_1=earlier) == ["case-1: the history ends at 4, not at 3 as its row says"]


def test_nobody_without_the_key_writes_an_entry(sync: SyncDatabase, keyring: Keyring, tmp_path: Path) -> None:
    create_keyring(tmp_path / "other.json")
    head = written(sync, Keyring.load(tmp_path / "other.json"))
    assert len(found(sync, keyring, case_1=head)) == 4


def test_entries_of_several_keys_verify_and_a_missing_key_is_said(
    sync: SyncDatabase, keyring: Keyring, tmp_path: Path
) -> None:
    path = tmp_path / "keyring.json"
    create_keyring(path)
    old = Keyring.load(path)
    head = written(sync, old, count=2)
    add_key(path)
    new = Keyring.load(path)
    entry = Entry(action="LAST", time=BEGIN, actor="a", organisation="", details={})
    head = sync.write(lambda session: append(session, new, "case-1", head, entry))
    assert found(sync, new, case_1=head) == []
    [sentence] = found(sync, old, case_1=head)
    assert sentence == "case-1: entry 3 cannot be checked: no key 'k2' in the keyring"


def test_a_history_whose_row_is_gone_is_an_orphan(
    sync: SyncDatabase, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 2)
    for name in ("case-1", "case-2", "case-3", "case-4", "case-5"):
        written(sync, keyring, name, count=2)
    rows = (select(HistoryRecord.aggregate).where(HistoryRecord.aggregate == name) for name in ("case-1", "case-4"))
    told = sync.read(lambda session: list(orphans(session, *rows)))
    assert told == [f"case-{number}: its history is there, its row is not" for number in (2, 3, 5)]
