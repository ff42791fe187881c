"""A place for the two services of `rooms`: databases, perhaps a broker, and workers that tests start and kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
from google.protobuf.message import Message
from sqlalchemy import delete, insert
from sqlalchemy import text as sql
from sqlmodel import SQLModel

from services.chassis.tests.integration.worker.notes import METADATA, MIGRATIONS, SWITCHES, noted, publication
from tulou_chassis import tables
from tulou_chassis.events import emit
from tulou_chassis.migrations import migrate
from tulou_chassis.syncdb import SyncDatabase

ROOT = Path(__file__).parents[5]
CHASSIS_TABLES = [
    kind.__table__  # type: ignore[attr-defined]
    for kind in vars(tables).values()
    if isinstance(kind, type) and issubclass(kind, SQLModel) and kind is not SQLModel
]
PATIENCE = 90.0


class Process:
    """One worker process."""

    def __init__(self, services: Sequence[str], environment: dict[str, str], address: str, log: Path) -> None:
        self.address = address
        named = [f"services.chassis.tests.integration.worker.rooms:{service}" for service in services]
        self.log = log
        with log.open("a") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", f"from tulou_chassis.worker import run; run(*{named!r})"],
                env=environment | {"TULOU_METRICS_ADDRESS": self.address},
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )

    def get(self, path: str) -> httpx.Response:
        """What the process answers on its HTTP port; 599 while it does not."""
        try:
            return httpx.get(f"http://{self.address}{path}", timeout=10)
        except httpx.TransportError:
            return httpx.Response(599)

    def kill(self) -> None:
        """kill -9."""
        self.popen.kill()
        self.popen.wait()

    def end(self) -> int:
        """SIGTERM; gives the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE)


class Home:
    """Where the two services live during one test."""

    def __init__(self, folder: Path, url: str, amqp_uri: str | None) -> None:
        self.folder = folder
        self.url = url
        self.environment = dict(os.environ) | {
            "PYTHONPATH": str(ROOT),
            "TULOU_DATABASE_URL": url,
            "TULOU_OIDC_ISSUER": "https://tulou.test",
            # Files that are there; the worker reads neither.
            "TULOU_OIDC_JWKS": __file__,
            "TULOU_KEYRING_FILE": __file__,
        }
        if amqp_uri:
            self.environment["TULOU_AMQP_URI"] = amqp_uri
        self.maker, self.taker = (
            SyncDatabase(url.replace("{service}", name), publisher=publication, pool=2) for name in ("maker", "taker")
        )
        for database in (self.maker, self.taker):
            SQLModel.metadata.create_all(database.engine, CHASSIS_TABLES)
            METADATA.create_all(database.engine)
        for name in ("maker", "taker"):
            migrate(url.replace("{service}", name), MIGRATIONS)
        self.processes: list[Process] = []

    def start(self, *services: str, address: str = "") -> Process:
        """A worker that hosts the services named, both where none is, with its HTTP port at `address` or any."""
        if not address:
            with socket.create_server(("127.0.0.1", 0)) as free:
                address = f"127.0.0.1:{free.getsockname()[1]}"
        log = self.folder / f"worker-{len(self.processes)}.log"
        self.processes.append(Process(services or ("Maker", "Taker"), self.environment, address, log))
        return self.processes[-1]

    def emit(self, *happened: tuple[str, Message]) -> None:
        """The maker publishes, all in one transaction."""
        self.maker.write(lambda session: [emit(session, one) for one in happened])

    def switch(self, name: str, *, on: bool = True) -> None:
        """Switches something of the taker's on or off."""
        change = insert(SWITCHES).values(name=name) if on else delete(SWITCHES).where(SWITCHES.c.name == name)
        self.taker.write(lambda session: session.connection().execute(change))

    def revision(self, service: str, revision: str | None) -> None:
        """Has the database of a service say that its schema is this one; none: it was never migrated."""
        database = self.maker if service == "maker" else self.taker
        changes = ["DELETE FROM alembic_version"]
        changes += [f"INSERT INTO alembic_version VALUES ('{revision}')"] if revision else []
        database.write(lambda session: [session.connection().execute(sql(change)) for change in changes])

    def noted(self, handler: str = "note_both") -> list[tuple[str, str]]:
        """What a handler of the taker has noted, as (subject, text), in order."""
        return self.taker.read(lambda session: noted(session, handler))

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Waits for the condition; when it does not come the test fails with the workers' last words."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}\n{self.logs()[-4000:]}")
            time.sleep(0.05)

    def logs(self) -> str:
        """What all workers have written."""
        return "".join(process.log.read_text() for process in self.processes)

    def close(self) -> None:
        """Ends everything."""
        for process in self.processes:
            process.kill()
        self.maker.close()
        self.taker.close()


@contextmanager
def two_databases(admin_url: str) -> Iterator[str]:
    """A URL template with an empty PostgreSQL database for each of the two services."""
    prefix = f"test_{uuid4().hex[:12]}_"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for name in ("maker", "taker"):
            connection.execute(f"CREATE DATABASE {prefix}{name} ENCODING 'UTF8' TEMPLATE template0")
        try:
            yield f"{admin_url.rpartition('/')[0]}/{prefix}{{service}}"
        finally:
            for name in ("maker", "taker"):
                connection.execute(f"DROP DATABASE {prefix}{name} WITH (FORCE)")


def by_subject(notes: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    """The numbers noted for each subject, in the order of the notes."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for subject, text in notes:
        numbers[subject].append(int(text))
    return numbers
