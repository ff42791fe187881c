"""A PostgreSQL of these tests' own: over TLS, and stopped in the middle of everything, as a paused host is."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from e2e.eventually import eventually
from e2e.providers.kinds import Unavailable
from e2e.providers.packages import postgresql
from e2e.providers.servers import FOLDER, lacking
from services.chassis.tests.integration.certificates import make_certificates
from services.chassis.tests.integration.place import PATIENCE, House
from services.chassis.tests.integration.served import publication
from services.chassis.tests.integration.worker.notes import MIGRATIONS
from services.chassis.tests.integration.worker.proxy import Proxy
from tulou_chassis import bounded
from tulou_chassis.db import Database
from tulou_chassis.migrations import migrate
from tulou_chassis.revisions import stored_revisions
from tulou_chassis.syncdb import SyncDatabase


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the server and the certificates are. In the run's folder, through which the server's user may pass."""
    found = Path(tempfile.mkdtemp(dir=os.environ[FOLDER]))
    found.chmod(0o711)
    make_certificates(found)
    return found


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """The URL of a server with TLS."""
    try:
        with postgresql(folder) as server:
            data = folder / "postgresql/data"
            for name in ("server.pem", "server.key"):
                (data / name).write_bytes((folder / name).read_bytes())
                (data / name).chmod(0o600)
                os.chown(data / name, data.stat().st_uid, data.stat().st_gid)
            with psycopg.connect(server.uri, autocommit=True) as admin:
                admin.execute("ALTER SYSTEM SET ssl_cert_file = 'server.pem'")
                admin.execute("ALTER SYSTEM SET ssl_key_file = 'server.key'")
                admin.execute("ALTER SYSTEM SET ssl = on")
                admin.execute("SELECT pg_reload_conf()")
            yield server.uri
    except Unavailable as error:
        lacking("PostgreSQL", str(error))


@contextmanager
def stopped(folder: Path) -> Iterator[None]:
    """While this lasts PostgreSQL does nothing; the machine still takes what it is sent."""
    pid = int((folder / "postgresql/data/postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@asynccontextmanager
async def opened(url: str, pool: int = 2) -> AsyncIterator[Database]:
    database = Database(url, pool=pool, publisher=publication)
    yield database
    await database.close()


def told(session: Session) -> tuple[bool, str]:
    """Whether the connection is under TLS, and what it says that it is."""
    own = "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()"
    row = session.connection().execute(text(f"SELECT ssl, application_name {own}")).one()
    return bool(row[0]), str(row[1])


async def test_both_drivers_take_libpqs_parameters_and_check_the_servers_certificate(url: str, folder: Path) -> None:
    said = f"{url}?sslmode=verify-full&sslrootcert={folder}/ca.pem&connect_timeout=7&application_name=tulou"
    async with opened(said) as database:
        assert await database.read(told) == (True, "tulou")
        assert await database.write(told) == (True, "tulou")
        assert await database.look(told) == (True, "tulou")
    sync = SyncDatabase(said)
    assert sync.read(told) == (True, "tulou")
    sync.close()
    migrate(said, MIGRATIONS)
    async with opened(said) as database:
        assert await database.read(stored_revisions) == {"0001"}


async def test_both_drivers_refuse_a_server_whose_certificate_another_authority_signed(url: str, folder: Path) -> None:
    said = f"{url}?sslmode=verify-full&sslrootcert={folder}/other.pem"
    async with opened(said) as database:
        with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await database.read(told)
    sync = SyncDatabase(said)
    with pytest.raises(DBAPIError, match="certificate verify failed"):
        sync.read(told)
    sync.close()
    with pytest.raises(DBAPIError, match="certificate verify failed"):
        migrate(said, MIGRATIONS)


async def test_calls_are_given_up_while_the_server_is_stopped_and_answered_when_it_goes_on(
    url: str, folder: Path
) -> None:
    async with opened(url) as database:
        # All connections are there and idle.
        await asyncio.gather(*(database.read(told) for _ in range(2)), *(database.write(told) for _ in range(2)))
        await database.look(told)
        with stopped(folder):
            for ask in (database.read, database.write, database.look):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await ask(told)
        for ask in (database.read, database.write, database.look):
            async with asyncio.timeout(60):
                assert (await ask(told))[0] in {True, False}
        # None of the connections is lost to the pool.
        async with asyncio.timeout(60):
            await asyncio.gather(*(database.read(told) for _ in range(8)), *(database.write(told) for _ in range(8)))


async def answered(ask: Callable[[Callable[[Session], Any]], Awaitable[Any]]) -> bool:
    try:
        async with asyncio.timeout(2):
            await ask(told)
    except TimeoutError:
        return False
    return True


async def test_a_server_that_was_replaced_while_connections_hung_is_found(url: str) -> None:
    host, port = url.rpartition("@")[2].partition("/")[0].split(":")
    proxy = Proxy(host, int(port))
    through = url.replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
    async with opened(through) as database:
        await asyncio.gather(*(database.read(told) for _ in range(2)), *(database.write(told) for _ in range(2)))
        await database.look(told)
        # What is connected never hears again; who connects anew reaches the server.
        proxy.freeze()
        for ask in (database.read, database.write, database.look):
            # Each connection that hangs costs one call, in the order in which they come out of the pool.
            assert 1 <= [await answered(ask) for _ in range(5)].count(False) <= 2
        proxy.cut()


def test_a_worker_does_not_wait_for_ever_for_a_server_that_is_stopped(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "WORK_SECONDS", 0.5)
    sync = SyncDatabase(url, pool=1)
    sync.read(told)
    with stopped(folder), pytest.raises(DBAPIError, match="no answer in"):
        sync.read(told)
    assert sync.read(told)[0] in {True, False}
    with stopped(folder), pytest.raises(DBAPIError, match="no answer in"):
        sync.write(told)
    assert sync.write(told)[0] in {True, False}
    sync.close()


def test_a_server_process_ends_in_order_while_its_database_is_stopped(url: str, folder: Path, place: House) -> None:
    place.environment["TULOU_DATABASE_URL"] = url
    place.environment["TULOU_DRAIN_SECONDS"] = "1"
    process = place.start()
    with stopped(folder):
        eventually(lambda: not place.ready()["database"], seconds=PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert '"stopped"' in place.log
