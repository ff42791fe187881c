"""Protos in and out: rows, what happened, and how each refusal is answered in Chinese and English."""

from collections.abc import Mapping
from typing import Final

from grpc import StatusCode as Code

from tulou.lodge.v1 import events_pb2, note_pb2
from tulou_chassis.errors import Answer
from tulou_chassis.events import Publication
from tulou_lodge.domain import TextBlank
from tulou_lodge.models import Note
from tulou_lodge.operations import NoteCreated
from tulou_lodge.queries import NoteNotFound

DOMAIN: Final = "lodge.tulou"
ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    NoteNotFound: Answer(
        Code.NOT_FOUND, "NOTE_NOT_FOUND", "没有此留言，或您无权查看。", "No such note, or not yours to see.", DOMAIN
    ),
    TextBlank: Answer(Code.INVALID_ARGUMENT, "TEXT_BLANK", "留言不能为空白。", "A note cannot be blank.", DOMAIN),
}


def note_to_proto(note: Note) -> note_pb2.Note:
    """The note as callers see it."""
    found = note_pb2.Note(
        id=note.id, text=note.text, author=note.author, region_code=note.region_code, filed=note.filed
    )
    found.create_time.FromDatetime(note.created_at)
    return found


def publication_of(happened: object) -> Publication:
    """The publication of what an operation emits. Raises TypeError for anything else."""
    match happened:
        case NoteCreated(note_id=note_id, region_code=region):
            return Publication(subject=note_id, region=region, payload=events_pb2.NoteCreated(note_id=note_id))
        case _:
            raise TypeError(f"no event for {type(happened).__name__}")
