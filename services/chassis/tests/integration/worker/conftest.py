"""The home of the worker's tests, on each database and each bus."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from e2e.providers.servers import vhost
from services.chassis.tests.integration.worker.home import CHASSIS_TABLES, Home, two_databases
from services.chassis.tests.integration.worker.notes import METADATA, publication
from tulou_chassis.syncdb import SyncDatabase


@pytest.fixture(params=["sqlite-local", "postgresql-local", "sqlite-rabbitmq", "postgresql-rabbitmq"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A home on every combination of database and bus."""
    yield from _home(request, tmp_path)


@pytest.fixture(params=["sqlite-local", "postgresql-rabbitmq"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A home as on one machine, and one as in a cluster."""
    yield from _home(request, tmp_path)


@pytest.fixture(params=["postgresql-rabbitmq"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A home as in a cluster."""
    yield from _home(request, tmp_path)


@pytest.fixture(params=["sqlite-local"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A home as on one machine."""
    yield from _home(request, tmp_path)


def _home(request: pytest.FixtureRequest, folder: Path) -> Iterator[Home]:
    database, bus = request.param.split("-")
    with ExitStack() as stack:
        url = f"sqlite:///{folder}/{{service}}.db"
        if database == "postgresql":
            url = stack.enter_context(two_databases(request.getfixturevalue("postgres_admin_url")))
        amqp_uri = stack.enter_context(vhost(request.getfixturevalue("amqp_admin"))) if bus == "rabbitmq" else None
        found = Home(folder, url, amqp_uri)
        stack.callback(found.close)
        yield found


@pytest.fixture
def database(database_url: str) -> Iterator[SyncDatabase]:
    """A database with the chassis' tables, empty, and a table of notes."""
    found = SyncDatabase(database_url.replace("{service}", "chassis"), publisher=publication)
    for metadata, tables in ((SQLModel.metadata, CHASSIS_TABLES), (METADATA, None)):
        metadata.drop_all(found.engine, tables)
        metadata.create_all(found.engine, tables)
    yield found
    found.close()
