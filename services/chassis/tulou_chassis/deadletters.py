"""Dead letters: events that a handler failed on until its tries were used up; listed, shown and replayed by command."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func
from sqlmodel import Session, col, select

from tulou_chassis.tables import DeadLetter

# The handler of a message that could not be read: whose it would have been is not known.
ANY_HANDLER: Final = ""
ERROR_LENGTH: Final = 500


class NoSuchLetter(LookupError):
    """There is no dead letter with that id."""


class AlreadyReplayed(ValueError):
    """The dead letter has been replayed with success."""


def one_line(error: Exception) -> str:
    """What kind of error, and the first line of what it says: in the next, PostgreSQL quotes the row it refused."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def unresolved(session: Session, *, limit: int = 100) -> Sequence[DeadLetter]:
    """The dead letters that were not replayed with success, oldest first."""
    return session.exec(
        select(DeadLetter).where(col(DeadLetter.replayed_at).is_(None)).order_by(col(DeadLetter.id)).limit(limit)
    ).all()


def count_unresolved(session: Session) -> int:
    """How many dead letters were not replayed with success."""
    return session.exec(select(func.count()).where(col(DeadLetter.replayed_at).is_(None))).one()


def show(session: Session, letter_id: int) -> DeadLetter:
    """One dead letter. Raises NoSuchLetter."""
    letter = session.get(DeadLetter, letter_id)
    if letter is None:
        raise NoSuchLetter(f"there is no dead letter {letter_id}")
    return letter


def request_replay(session: Session, letter_id: int, *, now: datetime) -> DeadLetter:
    """Asks the worker to run the handler again; it looks every second. Raises NoSuchLetter or AlreadyReplayed."""
    letter = show(session, letter_id)
    if letter.replayed_at is not None:
        raise AlreadyReplayed(f"dead letter {letter_id} was replayed at {letter.replayed_at:%Y-%m-%d %H:%M:%S} UTC")
    letter.replay_requested_at = now
    return letter


def bury(
    session: Session, *, event_id: str, handler: str, envelope: bytes, error: str, attempts: int, now: datetime
) -> None:
    """Keeps what a handler failed on. An event that comes again after it was buried is not buried twice."""
    same = select(DeadLetter).where(
        DeadLetter.event_id == event_id, DeadLetter.handler == handler, col(DeadLetter.replayed_at).is_(None)
    )
    if session.exec(same).first() is None:
        session.add(
            DeadLetter(
                event_id=event_id,
                handler=handler,
                envelope=envelope,
                error=error[:ERROR_LENGTH],
                attempts=attempts,
                time=now,
            )
        )


def requested(session: Session) -> Sequence[int]:
    """The ids of the dead letters whose replay was asked for."""
    return session.exec(
        select(col(DeadLetter.id)).where(col(DeadLetter.replay_requested_at).is_not(None)).order_by(col(DeadLetter.id))
    ).all()  # type: ignore[return-value]


def claim(session: Session, letter_id: int) -> DeadLetter | None:
    """The dead letter, locked, with its request taken off; none when another worker was faster."""
    letter = session.exec(
        select(DeadLetter)
        .where(DeadLetter.id == letter_id, col(DeadLetter.replay_requested_at).is_not(None))
        .with_for_update()
    ).first()
    if letter is not None:
        letter.replay_requested_at = None
    return letter


def note_failure(session: Session, letter_id: int, error: str) -> None:
    """Notes that a replay failed too; it has to be asked for again."""
    letter = show(session, letter_id)
    letter.attempts += 1
    letter.error = error[:ERROR_LENGTH]
    letter.replay_requested_at = None
