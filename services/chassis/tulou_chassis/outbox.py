"""The outbox as its relay sees it: rows get their position, go out in that order, and are marked as published."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, delete, func, select, update
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from tulou_chassis.tables import OutboxEvent

_OUTBOX = OutboxEvent.__table__  # type: ignore[attr-defined]
# What is published has a position; saying so lets the partial index on unpublished rows answer.
_UNPLACED = and_(_OUTBOX.c.position.is_(None), _OUTBOX.c.published_at.is_(None))


def any_unplaced(session: Session) -> bool:
    """Whether a row waits for its position."""
    return session.connection().execute(select(_OUTBOX.c.id).where(_UNPLACED).limit(1)).first() is not None


def place(session: Session, *, limit: int) -> int:
    """Gives the next positions, without gaps, to at most `limit` rows that have none, in the order of their ids.

    Gives the last position there is now. Of two relays at once one fails: the column is unique.
    """
    waiting = select(_OUTBOX.c.id).where(_UNPLACED).order_by(_OUTBOX.c.id).limit(limit).subquery()
    numbered = select(waiting.c.id, func.row_number().over(order_by=waiting.c.id).label("number")).subquery()
    session.connection().execute(
        update(_OUTBOX)
        .values(position=last_position(session) + numbered.c.number)
        # Asked once more of the row itself: another relay may have placed it while this one waited for its lock.
        .where(_OUTBOX.c.id == numbered.c.id, _OUTBOX.c.position.is_(None))
    )
    return last_position(session)


def last_position(session: Session) -> int:
    """The last position given; 0 before the first."""
    return session.connection().execute(select(func.max(_OUTBOX.c.position))).scalar() or 0


def last_published(session: Session) -> int:
    """The position up to which everything was published; rows are published and marked in order."""
    published = select(func.max(_OUTBOX.c.position)).where(_OUTBOX.c.published_at.is_not(None))
    return session.connection().execute(published).scalar() or 0


def behind(session: Session, position: int, *, limit: int) -> Sequence[OutboxEvent]:
    """At most `limit` rows behind the position, in order."""
    return session.exec(
        select_rows(OutboxEvent)
        .where(col(OutboxEvent.position) > position)
        .order_by(col(OutboxEvent.position))
        .limit(limit)
    ).all()


def mark_published(session: Session, *, after: int, upto: int, now: datetime) -> None:
    """Marks the rows with after < position <= upto."""
    session.connection().execute(
        update(_OUTBOX).where(_OUTBOX.c.position > after, _OUTBOX.c.position <= upto).values(published_at=now)
    )


def prune(session: Session, *, before: datetime, limit: int) -> int:
    """Deletes at most `limit` of the oldest rows that were published before; gives how many.

    The row with the last position stays, because the next position is counted from it.
    """
    oldest = (
        select(_OUTBOX.c.id, _OUTBOX.c.published_at)
        .where(_OUTBOX.c.position < last_position(session))
        .order_by(_OUTBOX.c.position)
        .limit(limit)
        .subquery()
    )
    gone = select(oldest.c.id).where(oldest.c.published_at < before)
    return session.connection().execute(delete(_OUTBOX).where(_OUTBOX.c.id.in_(gone))).rowcount
