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
    """The position up to which everything was published, and nothing is to be published again."""
    # Looked up first: what is placed and published while this runs may be taken for waiting, never the other way round.
    last = last_position(session)
    # Through OFFSET 0, else PostgreSQL may walk along all positions to the first that is not published.
    waiting = select(_OUTBOX.c.position).where(_OUTBOX.c.published_at.is_(None)).offset(0).subquery()
    first = session.connection().execute(select(func.min(waiting.c.position))).scalar()
    return last if first is None else first - 1


def waiting(session: Session) -> tuple[int, datetime | None]:
    """How many events are not published, and the time of the first of them."""
    unpublished = _OUTBOX.c.published_at.is_(None)
    count = session.connection().execute(select(func.count()).where(unpublished)).scalar() or 0
    oldest = select(_OUTBOX.c.time).where(unpublished).order_by(_OUTBOX.c.id).limit(1)
    return count, session.connection().execute(oldest).scalar() if count else None


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


def first_since(session: Session, time: datetime) -> int | None:
    """The first position of an event of that time or later; none when there is none."""
    positions = select(func.min(_OUTBOX.c.position)).where(_OUTBOX.c.time >= time)
    return session.connection().execute(positions).scalar()


def oldest_behind(session: Session, position: int) -> datetime | None:
    """The earliest time of the events behind the position; none when there are none."""
    return session.connection().execute(select(func.min(_OUTBOX.c.time)).where(_OUTBOX.c.position > position)).scalar()


def unpublish(session: Session, *, after: int, upto: int) -> int:
    """Has the rows with after < position <= upto published again; gives how many."""
    again = update(_OUTBOX).where(_OUTBOX.c.position > after, _OUTBOX.c.position <= upto).values(published_at=None)
    return session.connection().execute(again).rowcount


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
