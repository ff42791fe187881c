"""What the credit service's integration tests share: a migrated database, keys, decisions to put."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.credit.tests.edge import Edge
from services.credit.tests.edge import opened as served
from services.credit.tests.integration.import_office import Office
from services.credit.tests.integration.importing import emptied, house_of, opened
from services.credit.tests.store import Store
from tulou_chassis.keyring import Keyring, create_keyring
from tulou_chassis.syncdb import SyncDatabase
from tulou_civics.calendar import WorkCalendar
from tulou_credit.blobs import SealedFiles
from tulou_credit.wiring import House


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Keys of the run's own, and the calendar."""
    path: Path = tmp_path_factory.mktemp("credit") / "keyring.json"
    create_keyring(path)
    return House(keyring=Keyring.load(path), calendar=WorkCalendar.load())


@pytest.fixture(scope="module")
def store(database_url: str, house: House) -> Iterator[Store]:
    """A migrated database of the module's own with the first catalogue, on SQLite and on PostgreSQL."""
    # Credit is not among the city's services yet, so it takes the database of none of them.
    store = Store(database_url.replace("{service}", "chassis"), house)
    store.prepare()
    with closing(store.database):
        yield store


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[SyncDatabase]:
    """For imports, the module's own; which one, see `store`."""
    found = opened(database_url.format(service="chassis"))
    yield found
    found.close()


@pytest.fixture
def office(database: SyncDatabase, tmp_path: Path) -> Office:
    """With keys of its own and no rows of other tests."""
    create_keyring(tmp_path / "keyring.json")
    emptied(database)
    house = house_of(tmp_path / "keyring.json")
    return Office(database, house, SealedFiles(tmp_path / "files", house.keyring))


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The running service with a database of the module's own on SQLite."""
    folder = tmp_path_factory.mktemp("edge")
    with served(f"sqlite:///{folder}/{{service}}.db", folder) as edge:
        yield edge


@pytest.fixture(scope="module")
def each_edge(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The same on SQLite and on PostgreSQL, for what the database has a part in."""
    with served(database_url.replace("{service}", "chassis"), tmp_path_factory.mktemp("edge")) as edge:
        yield edge
