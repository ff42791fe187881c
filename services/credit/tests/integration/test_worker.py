"""The worker runs imports in processes of their own: in the sender's trace, through kill -9 and orderly ends."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from sqlmodel import select

from services.credit.tests.integration.importing import SOURCE, emptied, generated, kept
from tulou_chassis.keyring import Keyring, create_keyring
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import OutboxEvent
from tulou_credit import commands
from tulou_credit.blobs import import_files
from tulou_credit.domain.imports import ImportState
from tulou_credit.import_queries import get_import
from tulou_credit.models import Import
from tulou_credit.operations import imports
from tulou_credit.settings import CreditSettings

PATIENCE = 90.0
# More rows than are taken while a test looks on.
LONG = 30_000
TRACE = 0x0AF7651916CD43DD8448EB211C80319C


@dataclass
class House:
    """A database, its files, and the workers of one test."""

    settings: CreditSettings
    database: SyncDatabase
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def start(self) -> subprocess.Popen[bytes]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        told = {name: str(getattr(self.settings, name)) for name in ("database_url", "keyring_file", "blob_dir")}
        told |= {"oidc_issuer": "https://tulou.test", "oidc_jwks": __file__, "metrics_address": self.address}
        environment = os.environ | {f"TULOU_{name.upper()}": value for name, value in told.items()}
        with (self.folder / "log").open("a") as log:
            self.workers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tulou_credit", "work"], env=environment, stdout=log, stderr=log
                )
            )
        return self.workers[-1]

    def begin(self, rows: int) -> str:
        import_id = str(uuid.uuid4())
        files = import_files(self.settings, Keyring.load(self.settings.keyring_file))
        sha256, size = kept(files, import_id, generated(rows))
        told = {"source": SOURCE, "file_name": "rows.csv", "sha256": sha256, "size": size, "encoding": None}
        now = datetime.now(UTC)
        with trace.use_span(NonRecordingSpan(SpanContext(TRACE, 7, False, TraceFlags(TraceFlags.SAMPLED)))):
            self.database.write(lambda s: imports.begin(s, import_id=import_id, **told, now=now))  # type: ignore[arg-type]
        return import_id

    def get(self, import_id: str) -> Import:
        return self.database.read(lambda session: get_import(session, import_id=import_id))

    def runner(self) -> psutil.Process | None:
        """The process that runs an import."""
        children = psutil.Process(self.workers[-1].pid).children()
        return next((child for child in children if "run" in child.cmdline()), None)

    def metric(self, name: str, state: str) -> float | None:
        """What the newest worker tells of imports in the state."""
        lines = httpx.get(f"http://{self.address}/metrics", timeout=PATIENCE).text.splitlines()
        told = [line for line in lines if line.startswith(f"{name}{{") and f'service="credit",state="{state}"' in line]
        return float(told[0].rpartition(" ")[2]) if told else None

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}\n{(self.folder / 'log').read_text()[-4000:]}"
            time.sleep(0.05)


@pytest.fixture
def home(database_url: str, tmp_path: Path) -> Iterator[House]:
    create_keyring(tmp_path / "keyring.json")
    settings = CreditSettings(
        database_url=database_url.replace("{service}", "chassis"),
        oidc_issuer="https://tulou.test",
        oidc_jwks=__file__,
        keyring_file=tmp_path / "keyring.json",
        blob_dir=tmp_path / "blobs",
    )
    commands.migrate(settings)
    commands.seed(settings)
    with closing(commands.database_of(settings)) as database:
        emptied(database)
        found = House(settings, database, tmp_path)
        yield found
        for worker in found.workers:
            for process in psutil.Process(worker.pid).children() if worker.poll() is None else []:
                process.kill()
            worker.kill()
            worker.wait()


def is_whole(home: House, import_id: str, rows: int) -> bool:
    found = home.get(import_id)
    assert found.rows_done == found.rows_created + found.rows_quarantined == rows
    return found.state == ImportState.DONE


def test_an_import_runs_in_the_trace_of_who_began_it_while_the_worker_goes_on(home: House) -> None:
    import_id = home.begin(300)
    worker = home.start()
    home.wait("the import's process", home.runner)
    home.wait("health", lambda: _get(f"http://{home.address}/healthz") == 200)
    home.wait("the import", lambda: home.get(import_id).state == ImportState.DONE)
    assert is_whole(home, import_id, 300)
    told = home.database.read(lambda session: session.exec(select(OutboxEvent.traceparent)).all())
    # The events have the trace's id, and are not shown in it: no trace holds a span for every row of a file.
    assert {(each[:35], each[-2:]) for each in told} == {(f"00-{TRACE:032x}", "00")}
    home.wait("the count", lambda: home.metric("tulou_imports_ended_total", "done") == 1)
    for state in ("queued", "running"):
        home.wait(f"no import that is {state}", lambda state=state: home.metric("tulou_imports", state) == 0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    assert '"import_ran"' in (home.folder / "log").read_text()


def test_a_process_that_is_killed_is_followed_at_once(home: House) -> None:
    import_id = home.begin(LONG)
    home.start()
    home.wait("the first rows", lambda: home.get(import_id).rows_done)
    runner = home.runner()
    assert runner is not None
    runner.kill()
    psutil.wait_procs([runner])
    killed, done = time.monotonic(), home.get(import_id).rows_done
    home.wait("the count", lambda: home.metric("tulou_imports_ended_total", "broke_off") == 1)
    home.wait("the import in the metrics", lambda: home.metric("tulou_imports", "running") == 1)
    home.wait("further rows", lambda: home.get(import_id).rows_done > done)
    # Nobody waited for the lease of the dead.
    assert time.monotonic() - killed < imports.LEASE_SECONDS / 2
    assert '"import_broke_off"' in (home.folder / "log").read_text()


def test_a_worker_that_is_to_end_leaves_the_import_to_the_next(home: House) -> None:
    import_id = home.begin(LONG)
    first = home.start()
    home.wait("the first rows", lambda: home.get(import_id).rows_done)
    runner = home.runner()
    assert runner is not None
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE) == 0
    # A zombie where the machine was so busy that the worker could not wait for it.
    assert not runner.is_running() or runner.status() == psutil.STATUS_ZOMBIE
    found = home.get(import_id)
    assert (found.state, 0 < found.rows_done < LONG) == (ImportState.RUNNING, True)
    assert home.database.read(lambda s: imports.next_to_run(s, now=datetime.now(UTC))) == import_id
    home.start()
    home.wait("further rows", lambda: home.get(import_id).rows_done > found.rows_done)


def _get(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return 0
