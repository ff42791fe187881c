"""Reads, and who sees which rows."""

from sqlmodel import Session, func, select

from tulou_chassis.principals import Principal
from tulou_lodge.models import Note


class NoteNotFound(Exception):
    """No such note, or not one the caller may see."""

    def __init__(self, note_id: str) -> None:
        super().__init__(note_id)
        self.note_id = note_id


def get_note(session: Session, *, principal: Principal, note_id: str) -> Note:
    """The note, to its author. Raises NoteNotFound."""
    found = session.exec(select(Note).where(Note.id == note_id, Note.author == principal.subject)).first()
    if found is None:
        raise NoteNotFound(note_id)
    return found


def count_notes(session: Session) -> int:
    """How many notes there are."""
    return session.exec(select(func.count()).select_from(Note)).one()
