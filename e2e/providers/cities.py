"""Whole cities for tests, each with its own ports, state, databases and broker."""

import atexit
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal, Protocol

import pytest

from e2e.containers.stack import Containers, running_containers
from e2e.leaks import leaks
from e2e.providers.servers import OWNER, databases, server, vhost
from tulou_city import prepare, supervise
from tulou_city.layout import City

Database = Literal["sqlite", "postgresql"]
Bus = Literal["in-process", "rabbitmq"]
Place = Literal["processes", "containers"]
# Below the ports that the system gives to outgoing connections.
FIRST_PORTS: Final = range(15_000, 32_000, 40)
_reapers: list[subprocess.Popen[bytes]] = []


class Cities(Protocol):
    """Gives a running city of this kind, the same one to every test of the run that asks."""

    def __call__(self, *, database: Database = "sqlite", bus: Bus = "in-process", place: Place = "processes") -> City:
        """The first to ask starts it; where it does not start, the test fails with what `make up` said. On containers
        it has PostgreSQL and RabbitMQ, each in one of its own."""
        ...


@pytest.fixture(scope="session")
def cities() -> Iterator[Cities]:
    """See Cities. A test that stops or kills processes takes a city of its own: `running_city`."""
    with ExitStack() as stack:
        running: dict[tuple[Database, Bus, Place], City] = {}

        def give(*, database: Database = "sqlite", bus: Bus = "in-process", place: Place = "processes") -> City:
            kind = database, bus, place
            if kind not in running:
                reap_if_the_run_dies()
                running[kind] = stack.enter_context(
                    running_containers(free_first_port())
                    if place == "containers"
                    else running_city(database=database, bus=bus)
                )
            return running[kind]

        yield give


@contextmanager
def running_city(*, database: Database = "sqlite", bus: Bus = "in-process", **environment: str) -> Iterator[City]:
    """Starts a city in a folder of its own, with more of the environment if wanted; ends it and removes the folder."""
    with new_city(database=database, bus=bus) as city:
        started = run_city("up", "--detach", city=city, **environment)
        if started.returncode != 0:
            pytest.fail(f"make up: {started.stdout}")
        yield city


@contextmanager
def new_city(*, database: Database = "sqlite", bus: Bus = "in-process") -> Iterator[City]:
    """Gives a city that is not started, on free ports; in the end ends what runs of it and removes its folder.

    Where numbers of persons stand in clear in what it leaves behind, the test fails.
    """
    with ExitStack() as stack:
        var = Path(tempfile.mkdtemp(prefix="tulou-city-"))
        stack.callback(shutil.rmtree, var, ignore_errors=True)
        sqlite = f"sqlite:///{var}/db/{{service}}.db"
        city = City(
            port=free_first_port(),
            var=var,
            database_url=sqlite if database == "sqlite" else stack.enter_context(databases(server("postgresql").uri)),
            amqp_uri=stack.enter_context(vhost(server("rabbitmq"))) if bus == "rabbitmq" else "",
        )
        reap_if_the_run_dies()
        stack.callback(supervise.stop, city)
        yield city
        supervise.stop(city)
        assert not (found := leaks(city)), f"numbers of persons in clear: {found}"


def run_city(*arguments: str, city: City, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m tulou_city` with these arguments for this city."""
    return subprocess.run(
        [sys.executable, "-m", "tulou_city", *arguments],
        env=os.environ | settings_of(city) | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
    )


def settings_of(city: City) -> dict[str, str]:
    """The variables that name this city to `python -m tulou_city`."""
    named = {"PORT": str(city.port), "VAR": str(city.var), "DATABASE_URL": city.database_url, "AMQP_URI": city.amqp_uri}
    # A test's city has no other endpoint than its own portal.
    return named | {"TULOU_OTLP_ENDPOINT": f"http://127.0.0.1:{city.port + 1}"}


def by_hand(city: City, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A service's own command as an operator runs it, where the city's processes run."""
    if isinstance(city, Containers):
        return city.by_hand(service, *arguments)
    command = [sys.executable, "-m", f"tulou_{service}", *arguments]
    return subprocess.run(command, env=city.environment(service), capture_output=True, text=True, timeout=60)


def free_first_port() -> int:
    """A first port whose followers are free too."""
    for port in random.sample(FIRST_PORTS, len(FIRST_PORTS)):
        if not prepare.taken_ports(City(port=port, var=Path(), database_url="", amqp_uri="")):
            return port
    raise RuntimeError("no free ports")


def reap_if_the_run_dies() -> None:
    """Nothing of this run's cities outlives it."""
    if not _reapers:
        command = [sys.executable, "-m", "e2e.providers.reaper", os.environ[OWNER]]
        _reapers.append(subprocess.Popen(command, start_new_session=True))
        atexit.register(_end_reaper)


def _end_reaper() -> None:
    _reapers[0].terminate()
    _reapers[0].wait(10)
