"""The inbox: which handler has taken which event in, so that an event that comes again takes no second effect."""

from datetime import datetime
from typing import Final

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from tulou_chassis.tables import InboxEntry

_INBOX = InboxEntry.__table__  # type: ignore[attr-defined]
# Built once: building it for each event took as long as all else of a small handler (measured).
_TAKE: Final = {
    dialect: insert(_INBOX).on_conflict_do_nothing().returning(_INBOX.c.event_id)
    for dialect, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}


def take(session: Session, event_id: str, handler: str, *, now: datetime) -> bool:
    """Notes, in the transaction of the handler's work, that the event is taken in; false when it was before."""
    connection = session.connection()
    row = {"event_id": event_id, "handler": handler, "time": now}
    return connection.execute(_TAKE[connection.dialect.name], row).first() is not None
