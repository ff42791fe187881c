"""What operators run by hand in every service. Each prints what it did, under the service's name, and fails loudly."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlmodel import col, select

from tulou.type.v1.event_pb2 import Event
from tulou_chassis import deadletters, history, housekeeping, migrations, outbox
from tulou_chassis.keyring import Keyring
from tulou_chassis.syncdb import SyncDatabase

T = TypeVar("T")
BATCH: Final = 500
REPUBLISHED_AT_ONCE: Final = 10_000


def migrate(service: str, url: str, scripts: Path) -> None:
    """Brings the database to the newest schema."""
    migrations.migrate(url, scripts)
    print(f"{service}: the schema is up to date")


def batches(database: SyncDatabase, table: type[T]) -> Iterator[list[T]]:
    """All rows of a table with an `id`, in its order, 500 at a time."""
    key = _id(table)
    last = ""
    while batch := database.read(
        lambda session, after=last: list(  # type: ignore[misc]
            session.exec(select(table).where(key > after).order_by(key).limit(BATCH)).all()
        )
    ):
        yield batch
        last = batch[-1].id


def verify_audit(service: str, database: SyncDatabase, keyring: Keyring, **tables: type[Any]) -> None:
    """Checks the history chain of every row of the tables, each with `id`, `history_sequence` and `history_hash`.

    The tables are named as what their rows are called. Raises SystemExit when there is a break; each was printed.
    """
    breaks = 0
    counts = dict.fromkeys(tables, 0)
    for name, table in tables.items():
        for batch in batches(database, table):
            for row_id in _broken(database, keyring, batch):
                # What was acted on since its row was read looks broken; what is broken stays so.
                again = database.read(lambda session, table=table, row_id=row_id: session.get(table, row_id))  # type: ignore[misc]
                for sentences in _broken(database, keyring, [again] if again else []).values():
                    print(*sentences, sep="\n")
                    breaks += len(sentences)
            counts[name] += len(batch)
    ids = [select(_id(table)) for table in tables.values()]
    orphans = database.read(lambda session: list(history.orphans(session, *ids)))
    for sentence in orphans:
        print(sentence)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    if breaks + len(orphans):
        raise SystemExit(f"{service}: {breaks + len(orphans)} breaks in the histories of {told}")
    print(f"{service}: the histories of {told} are as they were written")


def dead_letters(service: str, database: SyncDatabase, verb: str, letter_id: int | None) -> None:
    """Lists the events that a handler gave up on, shows one, or has the worker try one again. Raises SystemExit."""
    try:
        if letter_id is None:
            letters = database.read(deadletters.unresolved)
            for letter in letters:
                print(f"{letter.id}  {letter.time:%Y-%m-%d %H:%M:%S}  {letter.handler}  {letter.error}")
            print(f"{service}: {len(letters)} dead letters")
        elif verb == "show":
            letter = database.read(lambda session: deadletters.show(session, letter_id))
            print(f"handler   {letter.handler}\nattempts  {letter.attempts}\nerror     {letter.error}")
            print(Event.FromString(letter.envelope))
        else:
            database.write(lambda session: deadletters.request_replay(session, letter_id, now=datetime.now(UTC)))
            print(f"{service}: the worker will try {letter_id} again")
    except (deadletters.NoSuchLetter, deadletters.AlreadyReplayed) as error:
        raise SystemExit(f"{service}: {error}") from None


def republish(service: str, database: SyncDatabase, *, since: datetime | None, after: int | None) -> None:
    """Has the worker publish the events behind the position `after`, or since a time, once more, in their order.

    For who lost events: a subscriber that was restored from an older backup, a broker that came back empty. Handlers
    that took an event in know it and leave it alone. Raises SystemExit for events too old to be known for sure.
    """
    first = database.read(lambda session: outbox.first_since(session, since)) if since else (after or 0) + 1
    last = database.read(outbox.last_position)
    if first is None or first > last:
        print(f"{service}: there are no such events; the last position is {last}")
        return
    oldest = database.read(lambda session: outbox.oldest_behind(session, first - 1))
    bound = datetime.now(UTC) - timedelta(days=housekeeping.REPUBLISH_DAYS)
    if oldest is not None and oldest < bound:
        raise SystemExit(
            f"{service}: behind position {first - 1} there are events of {oldest:%Y-%m-%d}. Of events before"
            f" {bound:%Y-%m-%d} it is not sure any more which handlers took them in, and nothing may take effect twice"
        )
    count = 0
    # Upwards: the relay begins at the lowest and goes on from there.
    for start in range(first - 1, last, REPUBLISHED_AT_ONCE):
        end = min(start + REPUBLISHED_AT_ONCE, last)
        count += database.write(lambda session, a=start, b=end: outbox.unpublish(session, after=a, upto=b))  # type: ignore[misc]
    print(f"{service}: the worker publishes {count} events again, positions {first} to {last}")


def _id(table: type[Any]) -> Any:
    return col(table.id)


def _broken(database: SyncDatabase, keyring: Keyring, batch: Sequence[Any]) -> dict[str, list[str]]:
    """What is wrong with the histories of rows, by the row's id."""
    heads = {row.id: history.Head(row.history_sequence, row.history_hash) for row in batch}
    found: dict[str, list[str]] = {}
    for sentence in database.read(lambda session: list(history.verify(session, keyring, heads))):
        found.setdefault(sentence.partition(":")[0], []).append(sentence)
    return found
