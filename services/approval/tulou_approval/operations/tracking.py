"""Public tracking by case number and the last four characters of the identity number, bounded against guessing."""

import hmac
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlmodel import Session, col, select

from tulou_approval.models import Case, TrackingLock
from tulou_approval.operations.acts import Desk
from tulou_approval.operations.cases import tail_index
from tulou_chassis.upserts import insert_missing

MAX_FAILURES: Final = 5
WINDOW: Final = timedelta(hours=1)


class TrackingNotFound(Exception):
    """Number and identity do not fit a case."""


class TrackingLocked(Exception):
    """Too many wrong tries at this number."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


def track_case(
    session: Session, *, desk: Desk, number: str, identity_tail: str, now: datetime
) -> Case | TrackingNotFound | TrackingLocked:
    """The case, or why not. A wrong try has to be counted, so it must not undo the transaction by an exception.

    A number nobody has counts like a real one: the answers do not tell which numbers exist.
    """
    number_index = desk.keyring.index(f"track:{number}")
    insert_missing(session, TrackingLock, number_index=number_index, failures=0, window_start=now)
    # Locked until the transaction ends, so that tries in parallel are counted one by one.
    lock = session.exec(select(TrackingLock).where(TrackingLock.number_index == number_index).with_for_update()).one()
    if now - lock.window_start >= WINDOW:
        lock.failures, lock.window_start = 0, now
    if lock.failures >= MAX_FAILURES:
        return TrackingLocked(int((lock.window_start + WINDOW - now).total_seconds()) + 1)
    case = session.exec(select(Case).where(Case.number == number)).first()
    expected = case.identity_tail_index if case else ""
    given = tail_index(desk.keyring, case.id if case else "", identity_tail)
    if case is not None and hmac.compare_digest(expected, given):
        return case
    lock.failures += 1
    if lock.failures == MAX_FAILURES:
        # The hour of the lock, not what is left of the hour in which the tries came.
        lock.window_start = now
    session.add(lock)
    return TrackingNotFound()


def forget_tries(session: Session, *, now: datetime) -> int:
    """Deletes what is known of tries that no longer count, so that tries at made-up numbers do not pile up; gives how
    many numbers that were."""
    gone = delete(TrackingLock).where(col(TrackingLock.window_start) <= now - WINDOW)
    return session.connection().execute(gone).rowcount
