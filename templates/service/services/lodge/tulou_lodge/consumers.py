"""The nameko edge: what follows from events, and what happens by the passing of time."""

from datetime import UTC
from pathlib import Path
from typing import ClassVar

from sqlmodel import Session

from tulou.type.v1.event_pb2 import Event
from tulou_chassis.events import Publisher
from tulou_chassis.keyring import Keyring
from tulou_chassis.worker.service import Provide, ServiceWorker
from tulou_chassis.worker.subscribe import subscribe
from tulou_lodge.convert import publication_of
from tulou_lodge.operations import file_note
from tulou_lodge.settings import MIGRATIONS, LodgeSettings
from tulou_lodge.wiring import NAME, keyring_of


class Worker(ServiceWorker):
    """The lodge service's worker."""

    name = NAME
    settings = LodgeSettings
    publisher: ClassVar[Publisher] = staticmethod(publication_of)
    migrations: ClassVar[Path] = MIGRATIONS
    keyring: Keyring = Provide(keyring_of)

    @subscribe(NAME, "NoteCreated")
    def put_on_file(self, session: Session, event: Event) -> None:
        """Every note that was written is put on file."""
        file_note(session, keyring=self.keyring, note_id=event.subject, now=event.time.ToDatetime(UTC))
