"""What operators run by hand: `python -m tulou_credit <command>`. Each prints what it did, and fails loudly."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import Any, Final

import structlog
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind
from sqlmodel import Session

from tulou_chassis import commands
from tulou_chassis.keyring import KeyringError, add_key
from tulou_chassis.logs import configure_logs
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.telemetry import configure_telemetry, shut_telemetry_down, span
from tulou_credit import models
from tulou_credit.blobs import FileTooBig, import_files
from tulou_credit.convert.events import publication_of
from tulou_credit.domain.imports import ENDED, ImportState
from tulou_credit.domain.records import civil_date
from tulou_credit.import_queries import ImportFilter, ImportNotFound, get_import, list_imports
from tulou_credit.intake import read_rows
from tulou_credit.intake.formats import Encoding
from tulou_credit.intake.report import Breach, UnreadableFile, quarantine_csv
from tulou_credit.models import Import
from tulou_credit.operations import catalogue, imports, keys, measures, quarantine
from tulou_credit.seed.load import load_catalogue, load_measures
from tulou_credit.settings import MIGRATIONS, CreditSettings
from tulou_credit.wiring import NAME, House, house_of

PIECE: Final = 1024 * 1024
LISTED: Final = 50
log = structlog.get_logger()


def database_of(settings: CreditSettings) -> SyncDatabase:
    """The service's database."""
    return SyncDatabase(settings.database_for(NAME), publisher=publication_of, pool=2)


def migrate(settings: CreditSettings) -> None:
    """Brings the database to the newest schema."""
    commands.migrate(NAME, settings.database_for(NAME), MIGRATIONS)


def seed(settings: CreditSettings) -> None:
    """Loads the catalogue's entries and the measures that are not there yet; measures are published from today on."""
    now = datetime.now(UTC)
    listed = load_measures(published_on=civil_date(now))
    with closing(database_of(settings)) as database:
        types = database.write(lambda session: catalogue.seed(session, entries=load_catalogue(), now=now))
        count = database.write(lambda session: measures.seed(session, measures=listed, now=now))
    print(f"credit: {types} record types and {count} measures are new")


def audited() -> dict[str, type[Any]]:
    """Every table whose rows have a history, by what its rows are called."""
    tables = (getattr(models, name) for name in models.__all__)
    return {
        f"{table.__tablename__.removeprefix('credit_')}s": table for table in tables if hasattr(table, "history_hash")
    }


def verify_audit(settings: CreditSettings) -> None:
    """Checks the history chain of all that has one. Raises SystemExit naming each break."""
    keyring = house_of(settings).keyring
    with closing(database_of(settings)) as database:
        commands.verify_audit(NAME, database, keyring, **audited())


def dead_letters(settings: CreditSettings, verb: str, letter_id: int | None) -> None:
    """See `commands.dead_letters`."""
    with closing(database_of(settings)) as database:
        commands.dead_letters(NAME, database, verb, letter_id)


def republish(settings: CreditSettings, *, since: datetime | None, after: int | None) -> None:
    """See `commands.republish`."""
    with closing(database_of(settings)) as database:
        commands.republish(NAME, database, since=since, after=after)


def rotate_keys(settings: CreditSettings, *, fresh: bool) -> None:
    """Encrypts all that is under an old key with the primary one; with `fresh`, makes a new key first.

    Servers read the keyring at their start: give them the file with the new key before rows are moved to it. Raises
    SystemExit where something cannot be read.
    """
    if fresh:
        print(f"credit: the primary key is now {add_key(settings.keyring_file)}; restart the servers, then run again")
        return
    house = house_of(settings)
    files = import_files(settings, house.keyring)
    try:
        with closing(database_of(settings)) as database:
            texts = sum(_reseal(database, table, column, house) for table, column in keys.SEALED)
        count = 0
        for name, _ in files.written():
            # A draft is what someone is writing now; a file may go when its import ends.
            if not name.startswith("."):
                try:
                    count += files.reseal(name)
                except FileNotFoundError:
                    continue
    except KeyringError as error:
        raise SystemExit(f"credit: {error}") from None
    print(f"credit: {texts} texts and {count} files moved to key {house.keyring.primary}")


def _reseal(database: SyncDatabase, table: Any, column: str, house: House) -> int:
    count = 0
    last: Sequence[Any] | None = ()
    while last is not None:
        moved = database.write(
            lambda session, after=last: keys.reseal(  # type: ignore[misc]
                session, table=table, column=column, after=after, house=house
            )
        )
        count, last = count + moved.count, moved.last
    return count


def import_file(
    settings: CreditSettings, path: Path, *, source: str, encoding: Encoding | None, quarantined: Path | None
) -> None:
    """Takes a file of the department `source` in, shows how far it is, and writes rows not taken to `quarantined`.

    Raises SystemExit where the file cannot be taken or the import did not end.
    """
    house = house_of(settings)
    files = import_files(settings, house.keyring)
    import_id, holder = str(uuid.uuid4()), uuid.uuid4().hex
    file = files.write(import_id)
    try:
        with path.open("rb") as stream:
            while piece := stream.read(PIECE):
                file.write(piece)
        sha256, size = file.commit()
    except OSError as error:
        raise SystemExit(f"credit: {path}: {error.strerror}") from None
    except FileTooBig as error:
        raise SystemExit(f"credit: {path}: more than {error.max_size} bytes") from None
    finally:
        file.abandon()
    now = datetime.now(UTC)

    def begin(session: Session) -> None:
        imports.begin(
            session,
            import_id=import_id,
            source=source,
            file_name=path.name,
            sha256=sha256,
            size=size,
            encoding=encoding,
            now=now,
        )
        # In the same transaction, before a worker sees it.
        imports.start(session, import_id=import_id, holder=holder, now=now)

    with closing(database_of(settings)) as database:
        database.write(begin)
        with _asked_to_end() as asked, _bar(_rows_in(path, encoding)) as show:

            def stop() -> bool:
                show(_import(database, import_id).rows_done)
                return asked.is_set()

            imports.run(
                database,
                import_id=import_id,
                holder=holder,
                open_file=files.open,
                clock=lambda: datetime.now(UTC),
                house=house,
                stop=stop,
            )
            found = _import(database, import_id)
            show(found.rows_done)
        print(f"credit: {_told(found)}")
        if found.state not in ENDED:
            raise SystemExit(f"credit: stopped; a worker goes on, or: import run --id {import_id}")
        imports.remove_files(database, files=files, now=datetime.now(UTC))
        for breach in found.failure:
            read = Breach(**breach)
            print(f"  row {read.row}: {read.field} {read.zh} {read.en}")
        if quarantined is not None:
            _write_rejected(database, import_id, quarantined, house)
    if found.state != ImportState.DONE:
        raise SystemExit(1)


def run_import(settings: CreditSettings, import_id: str, holder: str | None) -> None:
    """Runs an import, or goes on with it, until it has ended or the process is asked to end.

    `holder` is the name by which a worker knows its process, None of one that was started by hand.
    Raises SystemExit when there is no such import.
    """
    configure_logs("credit-import", settings)
    configure_telemetry("credit-import", settings)
    house = house_of(settings)
    with closing(database_of(settings)) as database, _asked_to_end() as asked:
        trace_of = _import(database, import_id).traceparent
        with (
            span("credit import", SpanKind.INTERNAL, trace_of, **{"tulou.import.id": import_id}) as running,
            _unseen(running),
        ):
            ended = imports.run(
                database,
                import_id=import_id,
                holder=holder or uuid.uuid4().hex,
                open_file=import_files(settings, house.keyring).open,
                clock=lambda: datetime.now(UTC),
                house=house,
                stop=asked.is_set,
            )
            found = _import(database, import_id)
            running.set_attribute("tulou.import.rows_done", found.rows_done)
            log.info("import_ran", import_id=import_id, ended=ended, state=found.state, rows_done=found.rows_done)
    shut_telemetry_down()


def show_imports(settings: CreditSettings) -> None:
    """Prints the newest imports."""
    with closing(database_of(settings)) as database:
        found = database.read(lambda session: list_imports(session, filter=ImportFilter(), after=None, limit=LISTED))
    for each in found:
        print(f"{each.created_at:%Y-%m-%d %H:%M:%S}  {each.source}  {each.file_name}  {_told(each)}")


def _import(database: SyncDatabase, import_id: str) -> Import:
    try:
        return database.read(lambda session: get_import(session, import_id=import_id))
    except ImportNotFound:
        raise SystemExit(f"credit: there is no import {import_id}") from None


def _told(found: Import) -> str:
    return (
        f"import {found.id} {found.state}: {found.rows_done} rows, {found.rows_created} new,"
        f" {found.rows_superseded} changed, {found.rows_unchanged} known, {found.rows_quarantined} not taken"
    )


def _rows_in(path: Path, encoding: Encoding | None) -> int | None:
    """How many rows the file has; None when it cannot be read to its end. Far less work than taking them."""
    try:
        with path.open("rb") as stream:
            return sum(1 for _ in read_rows(stream, encoding=encoding))
    except UnreadableFile:
        return None


def _write_rejected(database: SyncDatabase, import_id: str, path: Path, house: House) -> None:
    """The rows not taken, for their sender: they hold persons' numbers, so that only the owner may read the file."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        database.read(
            lambda session: file.writelines(
                quarantine_csv(quarantine.rejected_rows(session, import_id=import_id, house=house))
            )
        )
    print(f"credit: the rows not taken are in {path}")


@contextmanager
def _asked_to_end() -> Iterator[Flag]:
    """Set by SIGTERM and Ctrl-C: the rows of the running transaction are still taken."""
    asked = Flag()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(rows: int | None) -> Iterator[Callable[[int], None]]:
    """A bar of so many rows; gives what moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=rows)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def _unseen(running: Span) -> Iterator[None]:
    """Logs and events have the trace's id, but no span follows: a file has more statements than a trace can show."""
    told = running.get_span_context()
    with trace.use_span(NonRecordingSpan(SpanContext(told.trace_id, told.span_id, is_remote=False))):
        yield
