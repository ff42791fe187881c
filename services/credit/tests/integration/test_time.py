"""Timeliness per department, and rows that two transactions put at the same time."""

import threading
from datetime import date, timedelta

from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session, select

from services.credit.tests.store import Store, firm, noon, penalty
from tulou_credit import queries
from tulou_credit.models import RecordVersion
from tulou_credit.operations import records

# The seventh working day after 2024-01-02, the day of the decisions.
LAST_DAY = date(2024, 1, 11)


def test_timeliness_counts_what_came_in_the_period_and_in_seven_working_days(store: Store) -> None:
    for days in (-1, 0, 1, 5):
        store.put(penalty(SHXYM=firm()), on=LAST_DAY + timedelta(days=days), source="STJ")
    store.put(penalty(SHXYM=firm()), on=LAST_DAY, source="SLJ")

    def found(from_: date, to: date, source: str = "STJ") -> tuple[int, int, int, float]:
        got = store.read(lambda session: queries.timeliness(session, source=source, from_=from_, to=to))
        return got.records, got.in_time, got.latest, got.share

    assert found(date(2024, 1, 1), date(2024, 1, 31)) == (4, 2, 3, 0.5)
    assert found(LAST_DAY, LAST_DAY + timedelta(days=1)) == (2, 1, 1, 0.5)
    assert found(LAST_DAY, LAST_DAY) == (1, 1, 0, 1.0)
    assert found(date(2024, 2, 1), date(2024, 2, 29)) == (0, 0, 0, 1.0)
    assert found(LAST_DAY, LAST_DAY, "SLJ") == (1, 1, 0, 1.0)


def test_a_correction_that_comes_late_does_not_make_the_record_late(store: Store) -> None:
    code = firm()
    put = store.put(penalty(SHXYM=code), on=LAST_DAY)
    store.put(penalty(SHXYM=code, BZ="更正"), on=LAST_DAY + timedelta(days=30))
    record = store.record(put.record_id)
    assert (record.received_on, record.days_late) == (LAST_DAY, 0)


def test_of_two_that_put_the_same_at_once_one_does_and_one_is_told_to_run_again(store: Store) -> None:
    code = firm()
    decisions = [penalty(SHXYM=code, BZ=f"第{n}次") for n in range(2)]
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def run(number: int) -> None:
        def chunk(session: Session) -> records.Put:
            at = noon(LAST_DAY)
            return records.put(
                session, decisions[number], source="SCJG", origin=f"i{number}:2", now=at, house=store.house
            )

        barrier.wait(timeout=20)
        for _ in range(3):
            try:
                outcomes.append(store.write(chunk).outcome.value)
            except (IntegrityError, StaleDataError, OperationalError):
                continue
            return

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["CREATED", "SUPERSEDED"]
    subject = store.read(lambda session: queries.subject_by_code(session, code=code))
    assert subject is not None
    subject_id = subject.id
    versions = store.read(
        lambda session: session.exec(select(RecordVersion).where(RecordVersion.subject_id == subject_id)).all()
    )
    assert sorted((version.number, version.known_to is None) for version in versions) == [(1, False), (2, True)]
