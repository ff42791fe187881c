"""What operators run by hand: `python -m tulou_approval <command>`. Each prints what it did, and fails loudly."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import update
from sqlmodel import Session, col, select

from tulou.type.v1.event_pb2 import Event
from tulou_approval.convert.events import publication_of
from tulou_approval.models import Case
from tulou_approval.operations import cases, timers
from tulou_approval.operations.items import seed as load_catalogue
from tulou_approval.seed.load import load_departments, load_items
from tulou_approval.settings import ApprovalSettings
from tulou_approval.wiring import NAME, desk_of
from tulou_chassis import deadletters, history
from tulou_chassis.keyring import Keyring, add_key
from tulou_chassis.migrations import migrate as upgrade
from tulou_chassis.syncdb import SyncDatabase

MIGRATIONS = Path(__file__).parents[1] / "migrations"
BATCH = 500


def database_of(settings: ApprovalSettings) -> SyncDatabase:
    """The service's database."""
    return SyncDatabase(settings.database_for(NAME), publisher=publication_of)


def migrate(settings: ApprovalSettings) -> None:
    """Brings the database to the newest schema."""
    upgrade(settings.database_for(NAME), MIGRATIONS)
    print("approval: the schema is up to date")


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
    count, breaks = 0, 0
    with closing(database_of(settings)) as database:
        for batch in _case_batches(database):
            for case_id in _broken(database, keyring, batch):
                # A case that was acted on since its row was read looks broken; what is broken stays so.
                again = database.read(lambda session, case_id=case_id: session.get(Case, case_id))  # type: ignore[misc]
                for sentences in _broken(database, keyring, [again] if again else []).values():
                    print(*sentences, sep="\n")
                    breaks += len(sentences)
            count += len(batch)
        orphans = database.read(lambda session: list(history.orphans(session, select(Case.id))))
        for sentence in orphans:
            print(sentence)
    if breaks + len(orphans):
        raise SystemExit(f"approval: {breaks + len(orphans)} breaks in the histories of {count} cases")
    print(f"approval: the histories of {count} cases are as they were written")


def _broken(database: SyncDatabase, keyring: Keyring, batch: Sequence[Case]) -> dict[str, list[str]]:
    """What is wrong with the histories of cases, by the case's id."""
    heads = {case.id: history.Head(case.history_sequence, case.history_hash) for case in batch}
    found: dict[str, list[str]] = {}
    for sentence in database.read(lambda session: list(history.verify(session, keyring, heads))):
        found.setdefault(sentence.partition(":")[0], []).append(sentence)
    return found


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
        for batch in _case_batches(database):
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
    """Lists the events that a handler gave up on, shows one, or has the worker try one again. Raises SystemExit."""
    try:
        with closing(database_of(settings)) as database:
            if letter_id is None:
                letters = database.read(deadletters.unresolved)
                for letter in letters:
                    print(f"{letter.id}  {letter.time:%Y-%m-%d %H:%M:%S}  {letter.handler}  {letter.error}")
                print(f"approval: {len(letters)} dead letters")
            elif verb == "show":
                letter = database.read(lambda session: deadletters.show(session, letter_id))
                print(f"handler   {letter.handler}\nattempts  {letter.attempts}\nerror     {letter.error}")
                print(Event.FromString(letter.envelope))
            else:
                database.write(lambda session: deadletters.request_replay(session, letter_id, now=datetime.now(UTC)))
                print(f"approval: the worker will try {letter_id} again")
    except (deadletters.NoSuchLetter, deadletters.AlreadyReplayed) as error:
        raise SystemExit(f"approval: {error}") from None


def _case_batches(database: SyncDatabase) -> Iterator[list[Case]]:
    last = ""
    while batch := database.read(
        lambda session, after=last: list(  # type: ignore[misc]
            session.exec(select(Case).where(Case.id > after).order_by(col(Case.id)).limit(BATCH)).all()
        )
    ):
        yield batch
        last = batch[-1].id


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
