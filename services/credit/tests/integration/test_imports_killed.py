"""An import whose process is killed goes on where it stood: no row lost, none twice."""

import multiprocessing
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

import pytest
from sqlmodel import col, func, select

from services.credit.tests.integration import importing
from services.credit.tests.integration.importing import (
    NOW,
    SOURCE,
    emptied,
    generated,
    house_of,
    is_wrong,
    kept,
    opened,
)
from tulou_chassis import history
from tulou_chassis.keyring import create_keyring
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import OutboxEvent
from tulou_credit.blobs import SealedFiles
from tulou_credit.domain.imports import ImportState
from tulou_credit.import_queries import get_import
from tulou_credit.models import Import, QuarantinedRow, Record, RecordVersion, Subject
from tulou_credit.operations import imports

# 200,000 is what is promised; that takes several minutes.
ROWS: Final = int(os.environ.get("TULOU_IMPORT_ROWS", "2400"))
KILLS: Final = 6
# A server that has imported everything, and has no thread and no connection, forks processes in no time.
_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([importing.__name__])


@dataclass
class Killed:
    """An import that is run by processes of its own."""

    url: str
    database: SyncDatabase
    folder: Path
    import_id: str = ""

    def begin(self, rows: int) -> None:
        self.import_id = str(uuid.uuid4())
        files = SealedFiles(self.folder / "files", house_of(self.folder / "keyring.json").keyring)
        sha256, size = kept(files, self.import_id, generated(rows))
        told = {"source": SOURCE, "file_name": "rows.csv", "sha256": sha256, "size": size, "encoding": None}
        self.database.write(lambda s: imports.begin(s, import_id=self.import_id, **told, now=NOW))  # type: ignore[arg-type]

    def process(self, *, chunk: int = 20, put: int = 0, commit: int = 0) -> ForkServerProcess:
        """One that runs the import; it kills itself at that row put, or right before that commit."""
        files = (self.folder / "keyring.json", self.folder / "files")
        # Each life has the name of the one before it, which is known to be dead: none waits for its lease.
        told = (self.url, *files, self.import_id, "worker", chunk, put, commit)
        process = _PROCESSES.Process(target=importing.run, args=told)
        process.start()
        return process

    def run(self, *, chunk: int = 20, put: int = 0, commit: int = 0) -> int | None:
        """How such a process ended: -9 if it was killed, 0 if it came to its end."""
        process = self.process(chunk=chunk, put=put, commit=commit)
        process.join()
        return process.exitcode

    def get(self) -> Import:
        return self.database.read(lambda session: get_import(session, import_id=self.import_id))


@pytest.fixture
def killed(database_url: str, tmp_path: Path) -> Iterator[Killed]:
    create_keyring(tmp_path / "keyring.json")
    url = database_url.format(service="chassis")
    database = opened(url)
    emptied(database)
    yield Killed(url, database, tmp_path)
    database.close()


def test_killed_at_random_it_loses_no_row_and_takes_none_twice(killed: Killed) -> None:
    killed.begin(ROWS)
    chance = random.Random()
    kills = 0
    # The service's own size of a transaction where there are rows enough for many.
    chunk = min(imports.CHUNK_ROWS, ROWS // (2 * KILLS))
    for number in range(KILLS):
        process = killed.process(chunk=chunk)
        # Somewhere in this part of the file, and then at any instant of a transaction or between two.
        target = chance.randrange(ROWS * number // (KILLS + 1), ROWS * (number + 1) // (KILLS + 1))
        while process.is_alive() and killed.get().rows_done <= target:
            time.sleep(0.02)
        time.sleep(chance.random() / 2)
        process.kill()
        process.join()
        # A fast machine may be through with the file first.
        assert process.exitcode in (-9, 0)
        kills += process.exitcode == -9
        assert _rows_there(killed) == Counter(range(2, killed.get().rows_done + 2))
    assert kills > 0
    assert killed.run(chunk=chunk) == 0
    _is_whole(killed, ROWS)


@pytest.mark.parametrize("put", [1, 10, 20, 21, 99])
def test_killed_within_any_transaction_nothing_of_it_is_there(killed: Killed, put: int) -> None:
    """At the first row of a transaction, in the middle, at the last, at the next one's first and at the file's last."""
    killed.begin(100)
    assert killed.run(put=put) == -9
    done = (put - 1) // 20 * 20
    assert killed.get().rows_done == done
    assert _rows_there(killed) == Counter(range(2, done + 2))
    assert killed.run() == 0
    _is_whole(killed, 100)


@pytest.mark.parametrize(("commit", "done"), [(1, 0), (2, 0), (3, 20), (6, 80), (7, 100)])
def test_killed_before_any_commit_nothing_of_it_is_there(killed: Killed, commit: int, done: int) -> None:
    """The first commit takes the import up, the last one ends it, those between have 20 rows each."""
    killed.begin(100)
    assert killed.run(commit=commit) == -9
    assert (killed.get().state, killed.get().rows_done) == ("QUEUED" if commit == 1 else "RUNNING", done)
    assert _rows_there(killed) == Counter(range(2, done + 2))
    assert killed.run() == 0
    _is_whole(killed, 100)


def _rows_there(killed: Killed) -> Counter[int]:
    """The rows of the file that are in a record or in quarantine, and how often."""
    like = f"{killed.import_id}:%"
    origins = killed.database.read(
        lambda s: s.exec(select(RecordVersion.origin).where(col(RecordVersion.origin).like(like))).all()
    )
    kept = killed.database.read(
        lambda s: s.exec(select(QuarantinedRow.row).where(QuarantinedRow.import_id == killed.import_id)).all()
    )
    return Counter([*(int(origin.rpartition(":")[2]) for origin in origins), *kept])


def _is_whole(killed: Killed, rows: int) -> None:
    """All rows are there once, with one event each and one unbroken history."""
    wrong = sum(map(is_wrong, range(rows)))
    found = killed.get()
    assert (found.state, found.rows_done, found.rows_quarantined) == (ImportState.DONE, rows, wrong)
    # A row that was taken twice would be unchanged the second time.
    assert (found.rows_created, found.rows_unchanged, found.rows_superseded) == (rows - wrong, 0, 0)
    assert _rows_there(killed) == Counter(range(2, rows + 2))
    for counted in (Record, RecordVersion, OutboxEvent):
        count = select(func.count()).select_from(counted)
        assert killed.database.read(lambda s, count=count: s.exec(count).one()) == rows - wrong  # type: ignore[misc]
    keyring = house_of(killed.folder / "keyring.json").keyring
    for table in (Record, Subject):
        heads = killed.database.read(
            lambda s, table=table: {  # type: ignore[misc]
                row.id: history.Head(row.history_sequence, row.history_hash) for row in s.exec(select(table))
            }
        )
        assert killed.database.read(lambda s, heads=heads: list(history.verify(s, keyring, heads))) == []  # type: ignore[misc]
