"""What proceedings do to a record: the mark, the early end of its publicity, its return."""

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlmodel import Session

from services.credit.tests.callers import staff
from services.credit.tests.store import OF_PERSON, Store, firm, noon, penalty, person
from tulou_chassis import history
from tulou_credit import queries
from tulou_credit.domain.records import WithdrawalReason
from tulou_credit.operations import content, marks, records

DECIDED, CAME = date(2024, 1, 2), date(2024, 1, 4)
# Under the rules of 2023 a penalty is public for three years.
LAST_DAY = date(2027, 1, 2)
CLERK = staff("SCJG")


def act(store: Store, record_id: str, mark: Callable[..., None], on: date, **changed: Any) -> None:
    def run(session: Session) -> None:
        record = queries.get_record(session, record_id=record_id, for_update=True)
        mark(session, record=record, principal=CLERK, now=noon(on), house=store.house, **changed)

    store.write(run)


def a_penalty(store: Store, **changes: str) -> tuple[str, str]:
    record_id = store.put(penalty(**{"SHXYM": firm()} | changes), on=CAME).record_id
    return record_id, store.record(record_id).subject_id


def test_a_lifted_record_is_public_no_more_from_that_day_and_the_past_stays(store: Store) -> None:
    record_id, subject_id = a_penalty(store)
    act(store, record_id, marks.lift, date(2025, 3, 3))
    assert store.public(subject_id, date(2025, 3, 2)) == [record_id]
    assert store.public(subject_id, date(2025, 3, 3)) == []
    assert store.record(record_id).archive_after is None
    assert store.told(record_id) == ["RecordPublished", "RecordRepaired"]
    first, second = store.read(lambda session: queries.record_versions(session, record_id=record_id))
    assert (first.known_to, first.lifted_on) == (second.known_from, None)


def test_a_record_that_is_restored_is_public_to_its_own_end(store: Store) -> None:
    record_id, subject_id = a_penalty(store)
    act(store, record_id, marks.lift, date(2025, 3, 3))
    act(store, record_id, marks.restore, date(2025, 6, 3))
    assert store.public(subject_id, date(2025, 6, 2)) == []
    assert store.public(subject_id, LAST_DAY) == [record_id]
    assert store.record(record_id).archive_after == LAST_DAY
    assert store.told(record_id) == ["RecordPublished", "RecordRepaired", "RecordRestored"]


def test_a_record_whose_time_ran_out_while_it_was_lifted_is_archived_when_it_is_restored(store: Store) -> None:
    record_id, subject_id = a_penalty(store)
    act(store, record_id, marks.lift, date(2025, 3, 3))
    act(store, record_id, marks.restore, date(2027, 1, 3))
    assert store.record(record_id).archived_on == date(2027, 1, 3)
    assert store.public(subject_id, date(2027, 1, 3)) == []


def test_a_withdrawn_record_is_not_brought_back(store: Store) -> None:
    record_id, subject_id = a_penalty(store)
    act(store, record_id, marks.lift, date(2025, 3, 3))
    store.write(
        lambda session: records.withdraw(
            session,
            record_id=record_id,
            reason=WithdrawalReason.REVOKED,
            now=noon(date(2025, 4, 4)),
            house=store.house,
        )
    )
    act(store, record_id, marks.restore, date(2025, 6, 3))
    assert store.public(subject_id, date(2025, 6, 4)) == []
    assert "RecordRestored" not in store.told(record_id)


def test_lifting_twice_changes_nothing_more(store: Store) -> None:
    record_id, _ = a_penalty(store)
    act(store, record_id, marks.lift, date(2025, 3, 3))
    before = store.record(record_id)
    act(store, record_id, marks.lift, date(2025, 4, 4))
    assert store.record(record_id) == before
    assert store.known(record_id).lifted_on == date(2025, 3, 3)


def test_what_is_sealed_stays_readable_through_lift_and_return(store: Store) -> None:
    number = person()
    record_id, _ = a_penalty(store, **OF_PERSON | {"ZJHM": number, "SY": f"{number}无证经营"})
    act(store, record_id, marks.lift, date(2025, 3, 3))
    act(store, record_id, marks.restore, date(2025, 3, 4))
    version = store.known(record_id)
    assert version.number == 3
    assert number in content.reveal(version=version, house=store.house)["facts"]
    assert number not in str(version.content)


def test_the_mark_is_set_and_taken_away_once_and_every_step_is_in_the_history(store: Store) -> None:
    record_id, subject_id = a_penalty(store)
    act(store, record_id, marks.dispute, date(2024, 2, 1), disputed=True)
    act(store, record_id, marks.dispute, date(2024, 2, 2), disputed=True)
    assert store.record(record_id).disputed
    assert store.public(subject_id, date(2024, 2, 3)) == [record_id]
    act(store, record_id, marks.dispute, date(2024, 2, 5), disputed=False)
    record = store.record(record_id)
    assert not record.disputed
    assert record.history_sequence == 3
    heads = {record_id: history.Head(record.history_sequence, record.history_hash)}
    assert store.read(lambda session: list(history.verify(session, store.house.keyring, heads))) == []
