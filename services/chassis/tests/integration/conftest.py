"""A database with the chassis' tables, and the house that is served from it."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from services.chassis.tests.integration.place import PATIENCE, ROOT, House
from services.chassis.tests.integration.served import ISSUER, Served, publication, serving
from tulou_chassis import tables
from tulou_chassis.db import Database
from tulou_chassis.keyring import Keyring, create_keyring
from tulou_chassis.settings import Settings
from tulou_chassis.syncdb import SyncDatabase
from tulou_gateway.tokens import create_issuer

TABLES = [
    getattr(tables, name).__table__
    for name in ("OutboxEvent", "InboxEntry", "DeadLetter", "IdempotencyRecord", "Lease", "HistoryRecord")
]


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with issuer.pem and jwks.json."""
    folder = tmp_path_factory.mktemp("issuer")
    create_issuer(folder)
    return folder


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """A fresh keyring."""
    path = tmp_path_factory.mktemp("keyring") / "keyring.json"
    create_keyring(path)
    return Keyring.load(path)


@pytest.fixture(scope="module")
def url(database_url: str) -> str:
    """The URL of a database of the module's own that holds the chassis' tables."""
    found = database_url.format(service="chassis")
    database = SyncDatabase(found)
    SQLModel.metadata.create_all(database.engine, tables=TABLES)
    database.close()
    return found


@pytest.fixture
def sync(url: str) -> Iterator[SyncDatabase]:
    """The database as workers and commands reach it."""
    database = SyncDatabase(url, publisher=publication)
    yield database
    database.close()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The database as a server reaches it."""
    database = Database(url, pool=5, publisher=publication)
    yield database
    await database.close()


@pytest.fixture
async def house(url: str, database: Database, issuer: Path) -> AsyncIterator[Served]:
    """The house, served."""
    settings = Settings(
        database_url=url,
        oidc_issuer=ISSUER,
        oidc_jwks=str(issuer / "jwks.json"),
        # A file that is there; the house reads no keyring.
        keyring_file=Path(__file__),
    )
    async with serving(settings, database, (issuer / "issuer.pem").read_bytes()) as served:
        yield served


@pytest.fixture
def place(tmp_path: Path, issuer: Path) -> Iterator[House]:
    """A place to serve the house from, with a database in a file."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("TULOU_")}
    own = {
        "PYTHONPATH": str(ROOT),
        "TULOU_DATABASE_URL": f"sqlite:///{tmp_path}/{{service}}.db",
        "TULOU_OIDC_ISSUER": ISSUER,
        "TULOU_OIDC_JWKS": str(issuer / "jwks.json"),
        "TULOU_KEYRING_FILE": str(tmp_path / "keyring.json"),
        "TULOU_DRAIN_SECONDS": str(PATIENCE * 2),
    }
    create_keyring(tmp_path / "keyring.json")
    with closing(House(tmp_path, others | own)) as found:
        yield found
