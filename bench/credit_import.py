"""How many rows of a file a second go into the database, beside the same rows written by SQLAlchemy alone."""

import csv
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, delete, insert, select
from sqlmodel import SQLModel

from bench.credit_rows import FIRST_DAY, ORGAN, ORGAN_CODE, SEED, SUBJECTS, TRADES, code_of, kind_of, name_of
from tulou_chassis.syncdb import SyncDatabase
from tulou_city.layout import City
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.intake.columns import LICENCE_790
from tulou_credit.models import Record
from tulou_credit.operations.imports import CHUNK_ROWS

ROWS: Final = 20_000
# Of each subject.
ROWS_EACH: Final = 2
# Of a transaction, as in an import.
CHUNK: Final = CHUNK_ROWS
SUBJECTS_TABLE, RECORDS, VERSIONS, HISTORY, OUTBOX = (
    SQLModel.metadata.tables[name]
    for name in ("credit_subject", str(Record.__tablename__), "credit_record_version", "history", "outbox")
)
_CATEGORIES: Final = {
    SubjectKind.ORGANISATION: "法人及非法人组织",
    SubjectKind.SOLE_TRADER: "个体工商户",
    SubjectKind.PERSON: "自然人",
}


@dataclass(frozen=True)
class Imported:
    """Rows a second: of a new file, of the same file sent again, and the floor of the new file."""

    database: str
    new: float
    again: float
    floor: float


def write_file(path: Path) -> None:
    """Licences of subjects that nobody knows yet."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(LICENCE_790.by_name), restval="")
        writer.writeheader()
        writer.writerows(_rows())


def _rows() -> Iterator[Mapping[str, str]]:
    random = Random(SEED)
    for count in range(ROWS):
        number = SUBJECTS + count // ROWS_EACH
        kind, day, trade = kind_of(number), FIRST_DAY + timedelta(days=random.randrange(2_000)), random.choice(TRADES)
        row = {
            "XK_XDR_MC": name_of(number, Random(number)),
            "XK_XDR_LB": _CATEGORIES[kind],
            "XK_XKWS": "准予行政许可决定书",
            "XK_WSH": f"漳市监许〔{day.year}〕导{count}号",
            "XK_XKLB": "普通",
            "XK_XKZS": f"{trade}经营许可证",
            "XK_XKBH": f"JY{count}",
            "XK_NR": f"准予从事{trade}经营活动，许可范围以许可证载明的经营项目为准。",
            "XK_JDRQ": f"{day}",
            "XK_YXQZ": f"{day}",
            "XK_YXQZI": f"{day + timedelta(days=1_826)}",
            "XK_XKJG": ORGAN,
            "XK_XKJGDM": ORGAN_CODE,
            "XK_ZT": "1",
            "XK_LYDW": ORGAN,
            "XK_LYDWDM": ORGAN_CODE,
        }
        if kind is SubjectKind.PERSON:
            yield row | {"XK_XDR_ZJLX": "身份证", "XK_XDR_ZJHM": code_of(number)}
        else:
            yield row | {"XK_XDR_SHXYM": code_of(number), "XK_FRDB": "林宏达"}


def measure(database: str, city: City, file: Path) -> Imported:
    """Takes the file in by the command, writes its rows by hand in their place, and takes it in again."""
    new, import_id = _import(city, file, "new")
    floor = _floor(city, import_id)
    again, _ = _import(city, file, "known")
    return Imported(database, new, again, floor)


def _import(city: City, file: Path, outcome: str) -> tuple[float, str]:
    """Rows a second of the whole command, and the import's id. Raises SystemExit unless all rows had the outcome."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "tulou_credit", "import", str(file), "--source", "SCJG"]
    done = subprocess.run(command, env=city.environment("credit"), capture_output=True, text=True)
    seconds = time.monotonic() - begin
    found = re.search(r"import (\S+) DONE", done.stdout)
    if not found or f" {ROWS} {outcome}" not in done.stdout:
        raise SystemExit(f"The import failed: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    return ROWS / seconds, found[1]


def _floor(city: City, import_id: str) -> float:
    """Deletes what the import wrote and writes it again, as many rows a transaction: how many a second."""
    database = SyncDatabase(city.database_url.format(service="credit"))
    writer = database.engine.execution_options(begin="BEGIN IMMEDIATE")
    mine = select(VERSIONS.c.record_id, VERSIONS.c.subject_id).where(VERSIONS.c.origin.startswith(import_id))
    of_records, of_subjects = (
        mine.with_only_columns(VERSIONS.c.record_id),
        mine.with_only_columns(VERSIONS.c.subject_id),
    )
    # All subjects of the file are new. What a key names comes with the key's row.
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with writer.begin() as connection:
        for table, key, wanted in (
            (SUBJECTS_TABLE, "id", of_subjects),
            (RECORDS, "id", of_records),
            (VERSIONS, "record_id", of_records),
            (HISTORY, "aggregate", of_records.union(of_subjects)),
            (OUTBOX, "subject", of_records),
        ):
            found[table.name] = defaultdict(list)
            for row in connection.execute(select(table).where(table.c[key].in_(wanted))).mappings():
                found[table.name][row[key]].append(dict(row))
        for table, key in ((OUTBOX, "subject"), (HISTORY, "aggregate"), (VERSIONS, "record_id"), (RECORDS, "id")):
            _delete(connection, table, key, found[table.name])
        _delete(connection, SUBJECTS_TABLE, "id", found[SUBJECTS_TABLE.name])
    records = [row for rows in found[RECORDS.name].values() for row in rows]
    begin = time.monotonic()
    known: set[str] = set()
    for first in range(0, len(records), CHUNK):
        chunk = records[first : first + CHUNK]
        ids, subjects = [row["id"] for row in chunk], {row["subject_id"] for row in chunk} - known
        known |= subjects
        with writer.begin() as connection:
            for table, keys in (
                (SUBJECTS_TABLE, subjects),
                (RECORDS, ids),
                (VERSIONS, ids),
                (HISTORY, [*subjects, *ids]),
                (OUTBOX, ids),
            ):
                if rows := [row for key in keys for row in found[table.name].get(key, ())]:
                    connection.execute(insert(table), rows)
    seconds = time.monotonic() - begin
    database.close()
    return len(records) / seconds


def _delete(connection: Connection, table: Table, key: str, ids: Iterable[str]) -> None:
    connection.execute(delete(table).where(table.c[key] == bindparam("gone")), [{"gone": each} for each in ids])
