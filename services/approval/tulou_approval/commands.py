"""What operators run by hand: `python -m tulou_approval <command>`. Each prints what it did, and fails loudly."""

from contextlib import closing
from datetime import UTC, datetime

from sqlalchemy import update
from sqlmodel import Session, col

from tulou_approval.convert.events import publication_of
from tulou_approval.models import Case
from tulou_approval.operations import cases, timers
from tulou_approval.operations.items import seed as load_catalogue
from tulou_approval.seed.load import load_departments, load_items
from tulou_approval.settings import MIGRATIONS, ApprovalSettings
from tulou_approval.wiring import NAME, desk_of
from tulou_chassis import commands
from tulou_chassis.keyring import Keyring, add_key
from tulou_chassis.syncdb import SyncDatabase


def database_of(settings: ApprovalSettings) -> SyncDatabase:
    """The service's database."""
    return SyncDatabase(settings.database_for(NAME), publisher=publication_of)


def migrate(settings: ApprovalSettings) -> None:
    """Brings the database to the newest schema."""
    commands.migrate(NAME, settings.database_for(NAME), MIGRATIONS)


def seed(settings: ApprovalSettings) -> None:
    """Loads the departments and items that are not there yet."""
    with closing(database_of(settings)) as database:
        departments, items = database.write(
            lambda session: load_catalogue(
                session, departments=load_departments(), items=load_items(), now=datetime.now(UTC)
            )
        )
    print(f"approval: {departments} departments and {items} items are new")


def verify_audit(settings: ApprovalSettings) -> None:
    """Checks the history chain of every case. Raises SystemExit naming each break."""
    keyring = desk_of(settings).keyring
    with closing(database_of(settings)) as database:
        commands.verify_audit(NAME, database, keyring, cases=Case)


def rotate_keys(settings: ApprovalSettings, *, fresh: bool) -> None:
    """Encrypts every field that is under an old key with the primary one; with `fresh`, makes a new key first.

    Servers read the keyring at their start: give them the file with the new key before rows are moved to it.
    """
    keyring = desk_of(settings).keyring
    if fresh:
        print(f"approval: the primary key is now {add_key(settings.keyring_file)}; restart the servers, then run again")
        return
    moved = 0
    with closing(database_of(settings)) as database:
        for batch in commands.batches(database, Case):
            for case in batch:
                if keyring.is_current(case.identity_sealed) and keyring.is_current(case.phone_sealed):
                    continue
                database.write(lambda session, case_id=case.id: _reseal(session, keyring, case_id))  # type: ignore[misc]
                moved += 1
    print(f"approval: {moved} cases moved to key {keyring.primary}")


def recompute_calendar(settings: ApprovalSettings) -> None:
    """Computes the deadlines of running cases with the calendar now loaded; changes are kept in the histories."""
    desk = desk_of(settings)
    seen = changed = 0
    with closing(database_of(settings)) as database:
        while ids := database.read(lambda session: timers.cases_of_other_calendars(session, desk=desk)):
            for case_id in ids:
                changed += database.write(
                    lambda session, case_id=case_id: timers.recompute_deadlines(  # type: ignore[misc]
                        session, desk=desk, case_id=case_id, now=datetime.now(UTC)
                    )
                )
            seen += len(ids)
    print(f"approval: {seen} cases looked at, the deadlines of {changed} changed")


def dead_letters(settings: ApprovalSettings, verb: str, letter_id: int | None) -> None:
    """See `commands.dead_letters`."""
    with closing(database_of(settings)) as database:
        commands.dead_letters(NAME, database, verb, letter_id)


def republish(settings: ApprovalSettings, *, since: datetime | None, after: int | None) -> None:
    """See `commands.republish`."""
    with closing(database_of(settings)) as database:
        commands.republish(NAME, database, since=since, after=after)


def _reseal(session: Session, keyring: Keyring, case_id: str) -> None:
    case = session.get_one(Case, case_id, with_for_update=True)
    identity = keyring.decrypt(case.identity_sealed, context=f"case_file.identity:{case.id}")
    phone = keyring.decrypt(case.phone_sealed, context=f"case_file.phone:{case.id}")
    sealed = {
        "identity_sealed": cases.seal_identity(keyring, case.id, identity),
        "phone_sealed": cases.seal_phone(keyring, case.id, phone),
    }
    # Past the ORM, which would count the case's version up: what was read of the case is not stale by a new key.
    session.execute(update(Case).where(col(Case.id) == case.id).values(sealed))
