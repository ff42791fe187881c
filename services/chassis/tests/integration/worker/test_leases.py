"""Leases: one holder at a time, renewed by the holder, taken over when they have run out."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from tulou_chassis import leases
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import Lease

NOW = datetime(2026, 2, 27, 0, 30, tzinfo=UTC)


def acquire(database: SyncDatabase, holder: str, *, after: float = 0, seconds: float = 10) -> bool:
    now = NOW + timedelta(seconds=after)
    return database.write(lambda session: leases.acquire(session, "job", holder, now, seconds))


def test_a_free_lease_is_taken(database: SyncDatabase) -> None:
    assert acquire(database, "a")
    assert database.read(lambda session: leases.expiry(session, "job")) == NOW + timedelta(seconds=10)


def test_a_lease_is_not_taken_from_its_holder_before_it_has_run_out(database: SyncDatabase) -> None:
    acquire(database, "a")
    assert not acquire(database, "b", after=9.9)


def test_the_holder_renews_its_lease(database: SyncDatabase) -> None:
    acquire(database, "a")
    assert acquire(database, "a", after=5)
    assert not acquire(database, "b", after=14.9)


def test_a_lease_that_has_run_out_is_taken_over_and_lost_to_its_old_holder(database: SyncDatabase) -> None:
    acquire(database, "a")
    assert acquire(database, "b", after=10)
    assert not acquire(database, "a", after=11)


def test_leases_of_other_names_are_no_obstacle(database: SyncDatabase) -> None:
    acquire(database, "a")
    assert database.write(lambda session: leases.acquire(session, "another job", "b", NOW, 10))


def test_a_released_lease_is_free(database: SyncDatabase) -> None:
    acquire(database, "a")
    database.write(lambda session: leases.release(session, "job", "a"))
    assert database.read(lambda session: leases.expiry(session, "job")) is None
    assert acquire(database, "b", after=1)


@pytest.mark.parametrize("change", [leases.release, lambda *args: leases.hold_until(*args, NOW, succeeded_at=NOW)])
def test_only_the_holder_gives_a_lease_up_or_changes_its_end(database: SyncDatabase, change) -> None:  # type: ignore[no-untyped-def]
    acquire(database, "a")
    database.write(lambda session: change(session, "job", "b"))
    assert database.read(lambda session: leases.expiry(session, "job")) == NOW + timedelta(seconds=10)


def test_a_lease_is_held_until_another_end(database: SyncDatabase) -> None:
    acquire(database, "a")
    end = NOW + timedelta(hours=1)
    database.write(lambda session: leases.hold_until(session, "job", "a", end, succeeded_at=None))
    assert not acquire(database, "b", after=3599)
    assert acquire(database, "b", after=3600)


def test_when_a_job_succeeded_is_known_until_it_succeeds_again(database: SyncDatabase) -> None:
    def done(holder: str, succeeded_at: datetime | None) -> datetime | None:
        assert acquire(database, holder)
        database.write(lambda session: leases.hold_until(session, "job", holder, NOW, succeeded_at=succeeded_at))
        return database.read(leases.successes)["job"]

    assert done("a", None) is None
    assert done("b", NOW) == NOW
    assert done("c", None) == NOW
    assert done("d", NOW + timedelta(hours=1)) == NOW + timedelta(hours=1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attempts=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 15)), max_size=12))
def test_no_two_holders_ever_hold_a_lease_at_once(database: SyncDatabase, attempts: list[tuple[str, float]]) -> None:
    database.write(lambda session: session.connection().execute(delete(Lease)))
    elapsed, holder, end = 0.0, "", -1.0
    for name, pause in attempts:
        elapsed += pause
        free = elapsed >= end or name == holder
        # The database keeps microseconds.
        if abs(elapsed - end) < 1e-5:
            continue
        assert acquire(database, name, after=elapsed) == free
        if free:
            holder, end = name, elapsed + 10
