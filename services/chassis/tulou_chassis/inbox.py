"""The inbox: which handler has taken which event in, so that an event that comes again takes no second effect."""

from datetime import datetime

from sqlmodel import Session

from tulou_chassis.tables import InboxEntry
from tulou_chassis.upserts import insert_missing


def take(session: Session, event_id: str, handler: str, *, now: datetime) -> bool:
    """Notes, in the transaction of the handler's work, that the event is taken in; false when it was before."""
    return insert_missing(session, InboxEntry, event_id=event_id, handler=handler, time=now)
