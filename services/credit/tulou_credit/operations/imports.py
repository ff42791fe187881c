"""Files taken in row by row, many rows a transaction. Where a file stands is written with the rows themselves."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import IO, Final, TypeVar

from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from tulou_chassis import leases
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.telemetry import traceparent
from tulou_credit.blobs import SealedFiles
from tulou_credit.domain.imports import ENDED, ImportState
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import Outcome, civil_date
from tulou_credit.import_queries import get_import, states_of, unended_imports
from tulou_credit.intake import read_rows
from tulou_credit.intake.formats import Encoding
from tulou_credit.intake.limits import MAX_FILE_BYTES
from tulou_credit.intake.report import Breach, Rejected, UnreadableFile
from tulou_credit.intake.table import Row
from tulou_credit.models.imports import Import
from tulou_credit.operations import quarantine, records
from tulou_credit.wiring import House

T = TypeVar("T")

# A transaction takes so many rows, or fewer that hold so many characters.
CHUNK_ROWS: Final = 200
CHUNK_CHARACTERS: Final = 4_000_000
# Longer than a transaction of so many rows ever takes; who was killed is followed after it.
LEASE_SECONDS: Final = 120.0
# An import that was begun so often without taking a row is given up.
MAX_STARTS: Final = 5
# What another transaction can do to ours, and what passes: a row or version of its own, a deadlock, a cut connection.
_PASSING: Final = (IntegrityError, StaleDataError, OperationalError)
_TRIES: Final = 5
# Between two transactions on SQLite, in seconds. It has one writer, and who waits for it looks only every tenth of a
# second whether it is done: without a pause a large file would keep everyone else from writing.
_PAUSE: Final = 0.1
_SKIPPED_ROWS: Final = 20_000
_LOOKED_AT: Final = 100
# A file whose import was never begun, and the draft of one that was never whole, are kept so long.
_NEVER_BEGUN: Final = timedelta(days=1)


class Overtaken(Exception):
    """The import is not this runner's to go on with: another has it, or it has ended."""


def begin(
    session: Session,
    *,
    import_id: str,
    source: str,
    file_name: str,
    sha256: str,
    size: int,
    encoding: Encoding | None,
    now: datetime,
) -> Import:
    """Queues a file of the department `source` that is kept under `import_id`. Its content tells its format."""
    made = Import(
        id=import_id,
        source=source,
        file_name=masked_text(file_name)[:200],
        sha256=sha256,
        size=size,
        encoding=encoding or "",
        state=ImportState.QUEUED,
        traceparent=traceparent(),
        failure=[],
        created_at=now,
        updated_at=now,
    )
    session.add(made)
    session.flush()
    return made


def cancel(session: Session, *, import_id: str, now: datetime) -> Import:
    """Ends a queued import, and asks a running one to end behind its next rows. One that has ended stays as
    it is. Raises ImportNotFound."""
    found = get_import(session, import_id=import_id, for_update=True)
    if found.state == ImportState.QUEUED:
        _end(session, found, ImportState.CANCELLED, now)
    elif found.state == ImportState.RUNNING and not found.cancel_asked:
        found.cancel_asked = True
        session.add(found)
        session.flush()
    return found


def start(session: Session, *, import_id: str, holder: str, now: datetime) -> Import | None:
    """Makes the import `holder`'s to run for LEASE_SECONDS; None if it has ended, or is another's or given up."""
    found = get_import(session, import_id=import_id, for_update=True)
    if found.state in ENDED or not leases.acquire(session, _lease(import_id), holder, now, LEASE_SECONDS):
        return None
    if found.cancel_asked:
        _end(session, found, ImportState.CANCELLED, now)
    elif found.starts >= MAX_STARTS:
        _end(session, found, ImportState.FAILED, now, Breach(0, "", "GAVE_UP", f"{MAX_STARTS}"))
    else:
        found.starts += 1
        found.state = ImportState.RUNNING
        found.started_at = found.started_at or now
        session.add(found)
        session.flush()
        return found
    leases.release(session, _lease(import_id), holder)
    return None


def step(
    session: Session,
    *,
    import_id: str,
    holder: str,
    after: int,
    rows: Sequence[quarantine.Judged],
    now: datetime,
    house: House,
) -> bool:
    """Takes the rows that follow the first `after` of the file; gives whether to go on, which a cancelled one is not.

    Renews the lease. Raises Overtaken when the import has ended, stands elsewhere or is another's; IntegrityError,
    StaleDataError or OperationalError when the whole transaction is to be run again.
    """
    found = _held(session, import_id, holder, after, now)
    if found.cancel_asked:
        _end(session, found, ImportState.CANCELLED, now)
        leases.release(session, _lease(import_id), holder)
        return False
    outcomes: Counter[Outcome] = Counter()
    rejected: list[tuple[Rejected, bool]] = []
    characters = found.kept_characters
    decisions = [one.decision for one in rows if not isinstance(one.decision, Rejected)]
    records.read_ahead(session, decisions, source=found.source, house=house)
    for one in rows:
        put = quarantine.take(session, import_id=import_id, source=found.source, judged=one, now=now, house=house)
        if isinstance(put, Rejected):
            # A workbook can hold a long text once and show it in a million cells.
            kept = put if characters < MAX_FILE_BYTES else replace(put, values={})
            characters += _characters(kept.values)
            rejected.append((kept, bool(one.row.breaches)))
        else:
            outcomes[put.outcome] += 1
    quarantine.keep(session, import_id=import_id, rows=rejected, house=house)
    found.kept_characters = characters
    found.rows_done += len(rows)
    found.rows_created += outcomes[Outcome.CREATED]
    found.rows_unchanged += outcomes[Outcome.UNCHANGED]
    found.rows_superseded += outcomes[Outcome.SUPERSEDED]
    found.rows_quarantined += len(rejected)
    found.starts = 0
    found.updated_at = now
    session.add(found)
    session.flush()
    return True


def pause(session: Session, *, import_id: str, holder: str) -> None:
    """Lets another go on with the import at once, as a process does that is asked to end."""
    found = get_import(session, import_id=import_id, for_update=True)
    found.starts = 0
    session.add(found)
    leases.release(session, _lease(import_id), holder)


def let_go(session: Session, *, import_id: str, holder: str) -> None:
    """Lets another go on at once with what `holder` ran, who is known to be dead."""
    leases.release(session, _lease(import_id), holder)


def finish(
    session: Session, *, import_id: str, holder: str, after: int, breaches: Sequence[Breach], now: datetime
) -> bool:
    """Ends the import behind its last row, as failed if the file or its rest was unreadable; not if it is another's."""
    try:
        found = _held(session, import_id, holder, after, now)
    except Overtaken:
        return False
    _end(session, found, ImportState.FAILED if breaches else ImportState.DONE, now, *breaches)
    leases.release(session, _lease(import_id), holder)
    return True


def next_to_run(session: Session, *, now: datetime) -> str | None:
    """The id of the oldest import that has not ended and that nobody runs."""
    for import_id in unended_imports(session, limit=_LOOKED_AT):
        end = leases.expiry(session, _lease(import_id))
        if end is None or end <= now:
            return import_id
    return None


def run(
    database: SyncDatabase,
    *,
    import_id: str,
    holder: str,
    open_file: Callable[[str], AbstractContextManager[IO[bytes]]],
    clock: Callable[[], datetime],
    house: House,
    stop: Callable[[], bool],
) -> bool:
    """Takes the file from where it stands to its end, or until it is cancelled or `stop()`; gives whether it ended.

    `holder` names this process and its life; `open_file` gives the import's file, seekable. Killed at any instant,
    it has taken each row wholly or not at all, and the next run goes on behind the last one. What fails otherwise
    (database gone, file missing) is raised, and the import may be run again.
    """
    found = _patiently(database, lambda session: start(session, import_id=import_id, holder=holder, now=clock()))
    if found is None:
        return False
    done, breaches = found.rows_done, tuple[Breach, ...]()
    today = civil_date(clock())
    with open_file(import_id) as stream:
        rows = read_rows(stream, encoding=Encoding(found.encoding) if found.encoding else None)
        try:
            _skip(database, rows, done, import_id, holder, clock)
            for chunk in _chunks(rows, today):
                if stop():
                    database.write(lambda session: pause(session, import_id=import_id, holder=holder))
                    return False
                if not _patiently(database, _step(import_id, holder, done, chunk, clock, house)):
                    return True
                done += len(chunk)
                if database.engine.dialect.name == "sqlite":
                    time.sleep(_PAUSE)
        except UnreadableFile as unreadable:
            breaches = unreadable.breaches
        except Overtaken:
            return False
    return _patiently(database, _finish(import_id, holder, done, breaches, clock))


def remove_files(database: SyncDatabase, *, files: SealedFiles, now: datetime) -> int:
    """Deletes the files of imports that have ended, and what was left a day ago of uploads that began none; how many.

    Nothing is left to do where another did it.
    """
    written = dict(files.written())
    states = database.read(lambda session: states_of(session, import_ids=list(written)))
    gone = [
        name
        for name, when in written.items()
        if (states[name] in ENDED if name in states else when < now - _NEVER_BEGUN)
    ]
    for name in gone:
        files.remove(name)
    return len(gone)


def _skip(
    database: SyncDatabase, rows: Iterator[Row], done: int, import_id: str, holder: str, clock: Callable[[], datetime]
) -> None:
    """Reads past the rows that are done, and keeps the lease meanwhile."""
    for begun in range(0, done, _SKIPPED_ROWS):
        for _ in islice(rows, min(_SKIPPED_ROWS, done - begun)):
            pass
        database.write(lambda session: leases.acquire(session, _lease(import_id), holder, clock(), LEASE_SECONDS))


def _step(
    import_id: str,
    holder: str,
    done: int,
    chunk: Sequence[quarantine.Judged],
    clock: Callable[[], datetime],
    house: House,
) -> Callable[[Session], bool]:
    return lambda session: step(
        session, import_id=import_id, holder=holder, after=done, rows=chunk, now=clock(), house=house
    )


def _finish(
    import_id: str, holder: str, done: int, breaches: Sequence[Breach], clock: Callable[[], datetime]
) -> Callable[[Session], bool]:
    return lambda session: finish(
        session, import_id=import_id, holder=holder, after=done, breaches=breaches, now=clock()
    )


def _patiently(database: SyncDatabase, operation: Callable[[Session], T]) -> T:
    """Runs the operation in a transaction, again where another transaction was in its way."""
    for _ in range(_TRIES - 1):
        try:
            return database.write(operation)
        except _PASSING:
            continue
    return database.write(operation)


def _chunks(rows: Iterator[Row], today: date) -> Iterator[list[quarantine.Judged]]:
    """The rows, judged, in chunks that fit a transaction. Raises UnreadableFile behind the last good one."""
    chunk: list[quarantine.Judged] = []
    characters = 0
    unreadable: UnreadableFile | None = None
    while True:
        try:
            row = next(rows, None)
        except UnreadableFile as error:
            unreadable, row = error, None
        if row is None:
            break
        chunk.append(quarantine.judge(row, today=today))
        characters += _characters(row.values)
        if len(chunk) == CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
    if unreadable:
        raise unreadable


def _characters(values: Mapping[str, str]) -> int:
    return sum(map(len, values.values()))


def _held(session: Session, import_id: str, holder: str, after: int, now: datetime) -> Import:
    """The import, locked and leased for longer. Raises Overtaken."""
    found = get_import(session, import_id=import_id, for_update=True)
    if found.state != ImportState.RUNNING or found.rows_done != after:
        raise Overtaken
    if not leases.acquire(session, _lease(import_id), holder, now, LEASE_SECONDS):
        raise Overtaken
    return found


def _end(session: Session, found: Import, state: ImportState, now: datetime, *breaches: Breach) -> None:
    found.state, found.ended_at, found.updated_at = state.value, now, now
    found.failure = [
        {"row": breach.row, "field": breach.field, "reason": breach.reason, "detail": breach.detail}
        for breach in breaches
    ]
    session.add(found)
    session.flush()


def _lease(import_id: str) -> str:
    return f"credit import {import_id}"
