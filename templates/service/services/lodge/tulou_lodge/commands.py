"""What operators run by hand: `python -m tulou_lodge <command>`. Each prints what it did, and fails loudly."""

from contextlib import closing
from datetime import datetime

from tulou_chassis import commands
from tulou_chassis.syncdb import SyncDatabase
from tulou_lodge.convert import publication_of
from tulou_lodge.models import Note
from tulou_lodge.settings import MIGRATIONS, LodgeSettings
from tulou_lodge.wiring import NAME, keyring_of


def database_of(settings: LodgeSettings) -> SyncDatabase:
    """The service's database."""
    return SyncDatabase(settings.database_for(NAME), publisher=publication_of)


def migrate(settings: LodgeSettings) -> None:
    """Brings the database to the newest schema."""
    commands.migrate(NAME, settings.database_for(NAME), MIGRATIONS)


def verify_audit(settings: LodgeSettings) -> None:
    """Checks the history chain of every note. Raises SystemExit naming each break."""
    with closing(database_of(settings)) as database:
        commands.verify_audit(NAME, database, keyring_of(settings), notes=Note)


def dead_letters(settings: LodgeSettings, verb: str, letter_id: int | None) -> None:
    """See `commands.dead_letters`."""
    with closing(database_of(settings)) as database:
        commands.dead_letters(NAME, database, verb, letter_id)


def republish(settings: LodgeSettings, *, since: datetime | None, after: int | None) -> None:
    """See `commands.republish`."""
    with closing(database_of(settings)) as database:
        commands.republish(NAME, database, since=since, after=after)
