"""What is no longer to be kept is emptied, on the day after its retention and not before."""

from datetime import date, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from services.credit.tests.store import OF_PERSON, Store, firm, licence, noon, penalty, person
from tulou_chassis import history
from tulou_chassis.tables import HistoryRecord
from tulou_credit import queries
from tulou_credit.domain.records import Outcome, RecordState, WithdrawalReason
from tulou_credit.intake.rows import Licence
from tulou_credit.models import Record
from tulou_credit.operations import records, retention

DECIDED = date(2024, 1, 2)
# Ten years after the last valid day.
LAST_DAY = date(2035, 1, 1)


def forget(store: Store, on: date, *, limit: int = 3) -> int:
    """Goes through all records; gives how many were emptied."""
    count, after = 0, ""
    while True:
        done = store.write(
            lambda session, after=after: retention.forget_due(  # type: ignore[misc]
                session, after=after, now=noon(on), limit=limit, house=store.house
            )
        )
        count += done.count
        if done.last is None:
            return count
        after = done.last


def short_licence(**changes: str) -> Licence:
    return licence(**{"SHXYM": firm(), "JDRQ": "2024-01-02", "YXQZ": "2024-01-02", "YXQZI": "2025-01-01"} | changes)


def is_forgotten(store: Store, record_id: str) -> bool:
    record, versions = store.record(record_id), store.read(lambda s: queries.record_versions(s, record_id=record_id))
    empty = [version.content == {} and version.sealed == "" for version in versions]
    assert all(empty) == any(empty) == (record.state == RecordState.FORGOTTEN)
    return all(empty)


@pytest.mark.parametrize("limit", [1, 100])
def test_a_licence_is_emptied_when_it_has_been_over_for_ten_years(store: Store, limit: int) -> None:
    number = person()
    made = store.put(short_licence(**OF_PERSON | {"ZJHM": number, "NR": f"持证人{number}"}), on=DECIDED)
    before = store.known(made.record_id)
    assert before.sealed
    forget(store, LAST_DAY, limit=limit)
    assert not is_forgotten(store, made.record_id)
    assert forget(store, LAST_DAY + timedelta(days=1), limit=limit) >= 1
    assert is_forgotten(store, made.record_id)
    assert forget(store, LAST_DAY + timedelta(days=1), limit=limit) == 0
    after = store.known(made.record_id)
    assert (after.decided_on, after.type_code, after.number) == (before.decided_on, before.type_code, before.number)


def test_that_it_was_emptied_is_in_its_history_and_no_event(store: Store) -> None:
    made = store.put(short_licence(), on=DECIDED)
    told = store.told(made.record_id)
    forget(store, LAST_DAY + timedelta(days=1))
    assert store.told(made.record_id) == told
    entries = store.read(
        lambda s: s.exec(select(HistoryRecord.action).where(HistoryRecord.aggregate == made.record_id)).all()
    )
    assert list(entries) == ["CREATE", "FORGET"]
    record = store.record(made.record_id)
    heads = {record.id: history.Head(record.history_sequence, record.history_hash)}
    assert store.read(lambda s: list(history.verify(s, store.house.keyring, heads))) == []


def test_all_that_it_ever_said_is_emptied(store: Store) -> None:
    code = firm()
    made = store.put(short_licence(SHXYM=code), on=DECIDED)
    assert store.put(short_licence(SHXYM=code, BZ="更正"), on=DECIDED).outcome is Outcome.SUPERSEDED
    forget(store, LAST_DAY + timedelta(days=1))
    assert is_forgotten(store, made.record_id)


def test_what_was_forgotten_does_not_come_back(store: Store) -> None:
    code = firm()
    made = store.put(short_licence(SHXYM=code), on=DECIDED)
    later = LAST_DAY + timedelta(days=1)
    forget(store, later)
    for decision in (short_licence(SHXYM=code), short_licence(SHXYM=code, BZ="更正")):
        assert store.put(decision, on=later) == records.Put(Outcome.UNCHANGED, made.record_id)
    store.write(
        lambda s: records.withdraw(
            s, record_id=made.record_id, reason=WithdrawalReason.REVOKED, now=noon(later), house=store.house
        )
    )
    assert is_forgotten(store, made.record_id)


def test_a_penalty_is_kept_five_years_behind_its_publicity(store: Store) -> None:
    made = store.put(penalty(SHXYM=firm(), JDRQ="2024-01-02"), on=DECIDED)
    until = store.known(made.record_id).public_until
    assert until is not None
    last = until.replace(year=until.year + 5)
    forget(store, last)
    assert not is_forgotten(store, made.record_id)
    forget(store, last + timedelta(days=1))
    assert is_forgotten(store, made.record_id)


def test_what_is_valid_without_end_is_kept(store: Store) -> None:
    made = store.put(short_licence(YXQZI="2099-12-31"), on=DECIDED)
    forget(store, date(2090, 1, 1))
    assert not is_forgotten(store, made.record_id)


def test_what_is_objected_to_waits(store: Store) -> None:
    made = store.put(short_licence(), on=DECIDED)
    mark = update(Record).where(col(Record.id) == made.record_id)
    store.write(lambda s: s.execute(mark.values(disputed=True)))
    forget(store, LAST_DAY + timedelta(days=1))
    assert not is_forgotten(store, made.record_id)
    store.write(lambda s: s.execute(mark.values(disputed=False)))
    forget(store, LAST_DAY + timedelta(days=1))
    assert is_forgotten(store, made.record_id)
