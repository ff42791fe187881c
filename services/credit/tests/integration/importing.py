"""What the tests of imports share: an empty credit database, files with many rows, and what a process runs."""

import csv
import io
import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from google.protobuf.struct_pb2 import Struct
from sqlalchemy import Engine, event, text
from stdnum.cn import ric, uscc

from services.credit.tests.hostile.recipes import LICENCE, ORGAN
from services.credit.tests.store import MIGRATIONS
from tulou_chassis.events import Publication
from tulou_chassis.keyring import Keyring
from tulou_chassis.migrations import migrate
from tulou_chassis.syncdb import SyncDatabase
from tulou_civics.calendar import WorkCalendar
from tulou_credit.blobs import SealedFiles
from tulou_credit.domain.happenings import RecordHappening
from tulou_credit.intake.columns import LICENCE_790
from tulou_credit.operations import catalogue, imports, records
from tulou_credit.seed.load import load_catalogue
from tulou_credit.wiring import House

NOW: Final = datetime(2024, 6, 3, 1, 0, tzinfo=UTC)
SOURCE: Final = "SCJG"
# Every so many rows one is of a person, and one is wrong.
PERSON_EVERY: Final = 5
WRONG_EVERY: Final = 97

_TABLES: Final = (
    "credit_quarantine",
    "credit_import",
    "credit_record_version",
    "credit_record",
    "credit_former_name",
    "credit_subject",
    "history",
    "outbox",
    "lease",
)


def publication(happened: object) -> Publication:
    """What happened as an event of a made-up kind."""
    assert isinstance(happened, RecordHappening)
    payload = Struct()
    payload.update({"happened": type(happened).__name__, **vars(happened)})
    return Publication(subject=happened.record_id, region=happened.region_code, payload=payload)


def opened(url: str) -> SyncDatabase:
    """The database, brought to the newest schema, with the first catalogue."""
    migrate(url, MIGRATIONS)
    database = SyncDatabase(url, publisher=publication)
    database.write(lambda session: catalogue.seed(session, entries=load_catalogue(), now=NOW))
    return database


def emptied(database: SyncDatabase) -> None:
    """Takes away what other tests left in the database, but the catalogue."""
    for table in _TABLES:
        database.write(lambda session, table=table: session.execute(text(f"DELETE FROM {table}")))  # type: ignore[misc]


def house_of(keyring: Path) -> House:
    """The keys of a file, and the calendar of no files."""
    return House(keyring=Keyring.load(keyring), calendar=WorkCalendar.load(()))


def person_number(count: int) -> str:
    """A made-up identity number that passes its check."""
    born = date(1950, 1, 1) + timedelta(days=count // 900)
    stem = f"350602{born:%Y%m%d}{count % 900 + 100}"
    return stem + ric.calc_check_digit(f"{stem}0")


def firm_code(count: int) -> str:
    """A made-up credit code that passes its check."""
    stem = f"91350602MA{count:07d}"
    return stem + uscc.calc_check_digit(stem)


def is_wrong(count: int) -> bool:
    """Whether the row of `generated` is wrong."""
    return count % WRONG_EVERY == WRONG_EVERY - 1


def row_of(count: int) -> Mapping[str, str]:
    """A licence; each subject has ten."""
    row = {**LICENCE, "XK_WSH": f"漳市监许〔2024〕{count}号", "XK_LYDWDM": ORGAN}
    if count % PERSON_EVERY == 0:
        row |= {"XK_XDR_LB": "自然人", "XK_XDR_SHXYM": "", "XK_XDR_MC": f"张{count // 50}", "XK_FRDB": ""}
        row |= {"XK_XDR_ZJLX": "身份证", "XK_XDR_ZJHM": person_number(count // 50)}
    else:
        row |= {"XK_XDR_SHXYM": firm_code(count // 10), "XK_XDR_MC": f"漳州第{count // 10}茶厂"}
    if is_wrong(count):
        row["XK_JDRQ"] = "2024-02-30"
    return row


def generated(rows: int) -> bytes:
    """A file of so many licences: the first is row 2."""
    return csv_of(row_of(count) for count in range(rows))


def csv_of(rows: Iterator[Mapping[str, str]]) -> bytes:
    """A file of licences."""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(LICENCE_790.by_name), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


def kept(files: SealedFiles, import_id: str, content: bytes) -> tuple[str, int]:
    """Keeps the file; gives its SHA-256 and its size."""
    file = files.write(import_id)
    file.write(content)
    return file.commit()


def _kill_at_put(number: int) -> None:
    put: Any = records.put
    calls = itertools.count(1)

    def counted(*given: Any, **named: Any) -> records.Put:
        found: records.Put = put(*given, **named)
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    records.put = counted


def _kill_at_commit(number: int) -> None:
    calls = itertools.count(1)

    def counted(_connection: Any) -> None:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", counted)


def run(
    url: str, keyring: Path, folder: Path, import_id: str, holder: str, chunk: int, put: int = 0, commit: int = 0
) -> None:
    """Runs an import as a process of its own does, with so many rows a transaction.

    It kills itself when it has put `put` rows, or right before the commit of number `commit`.
    """
    imports.CHUNK_ROWS = chunk  # type: ignore[misc]
    _kill_at_put(put)
    _kill_at_commit(commit)
    house = house_of(keyring)
    with closing(SyncDatabase(url, publisher=publication)) as database:
        imports.run(
            database,
            import_id=import_id,
            holder=holder,
            open_file=SealedFiles(folder, house.keyring).open,
            clock=lambda: NOW,
            house=house,
            stop=lambda: False,
        )
