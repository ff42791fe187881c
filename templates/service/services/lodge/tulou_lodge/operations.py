"""Writes: one function a use case."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from tulou_chassis.events import emit
from tulou_chassis.history import Entry, Head, append
from tulou_chassis.keyring import Keyring
from tulou_chassis.principals import Principal
from tulou_lodge.domain import text_of
from tulou_lodge.models import Note


@dataclass(frozen=True, kw_only=True)
class NoteCreated:
    """A note was written."""

    note_id: str
    region_code: str


def create_note(session: Session, *, keyring: Keyring, principal: Principal, text: str, now: datetime) -> Note:
    """Writes a note in the caller's name. Raises TextBlank."""
    note_id = str(uuid.uuid4())
    entry = Entry(action="CREATE", time=now, actor=principal.subject, organisation=principal.organisation, details={})
    head = append(session, keyring, note_id, Head(), entry)
    note = Note(
        id=note_id,
        text=text_of(text),
        author=principal.subject,
        region_code=principal.region,
        created_at=now,
        history_sequence=head.sequence,
        history_hash=head.hash,
    )
    session.add(note)
    emit(session, NoteCreated(note_id=note.id, region_code=note.region_code))
    return note


def file_note(session: Session, *, keyring: Keyring, note_id: str, now: datetime) -> None:
    """Puts a note on file."""
    note = session.get_one(Note, note_id, with_for_update=True)
    entry = Entry(action="FILE", time=now, actor="system", organisation="", details={})
    head = append(session, keyring, note.id, Head(note.history_sequence, note.history_hash), entry)
    note.filed, note.history_sequence, note.history_hash = True, head.sequence, head.hash
