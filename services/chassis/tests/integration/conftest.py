"""A database with the chassis' tables, and the house that is served from it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel

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
