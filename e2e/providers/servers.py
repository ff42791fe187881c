"""The servers of a test run: found or started once, and empty databases and vhosts in them."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn
from uuid import uuid4

import httpx
import psycopg
import pytest

from e2e.providers.kinds import Server
from tulou_city.services import SERVICES

FOLDER: Final = "TULOU_TEST_FOLDER"
OWNER: Final = "TULOU_TEST_OWNER"
TITLES: Final = {"postgresql": "PostgreSQL", "rabbitmq": "RabbitMQ", "engine": "Docker"}


def server(name: str) -> Server:
    """The run's "postgresql" or "rabbitmq". Where there is none, the asking test ends there."""
    folder = Path(os.environ[FOLDER])
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = _answer(folder, name)
    if "missing" not in answer:
        return Server(**answer)
    lacking(TITLES[name], answer["missing"])


def lacking(title: str, why: str) -> NoReturn:
    """Ends the asking test: it is not run, and where all must run it fails."""
    required = os.environ.get("CI") == "true" or os.environ.get("TULOU_REQUIRE_SERVERS") == "1"
    (pytest.fail if required else pytest.skip)(f"{title} is not available: {why}")


def _answer(folder: Path, name: str) -> dict[str, str]:
    path = folder / f"{name}.json"
    if not path.exists():
        command = [sys.executable, "-m", "e2e.providers.holder", name, str(folder), os.environ[OWNER]]
        with (folder / f"{name}.holder.log").open("w") as log:
            outputs = [(os.POSIX_SPAWN_DUP2, log.fileno(), number) for number in (1, 2)]
            # It outlives the xdist worker that asks first, at which a Popen would be alarmed.
            holder = os.posix_spawn(sys.executable, command, os.environ, file_actions=outputs, setsid=True)
        while not path.exists():
            if os.waitpid(holder, os.WNOHANG)[0] and not path.exists():
                raise RuntimeError(f"the provider of {name} ended: {Path(log.name).read_text()}")
            time.sleep(0.1)
    answer: dict[str, str] = json.loads(path.read_text())
    del answer["pid"]
    return answer


@contextmanager
def databases(admin_url: str) -> Iterator[str]:
    """Makes an empty database for each service and for "chassis"; gives a URL with "{service}" in it; drops them."""
    prefix = f"test_{uuid4().hex[:12]}_"
    names = [prefix + service for service in [*(service.name for service in SERVICES), "chassis"]]
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        try:
            yield f"{admin_url.rpartition('/')[0]}/{prefix}{{service}}"
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def vhost(admin: Server) -> Iterator[str]:
    """Makes an empty RabbitMQ vhost, gives its URI and deletes it."""
    name = f"test-{uuid4().hex[:12]}"
    user = httpx.URL(admin.api).username
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    with httpx.Client(base_url=admin.api) as api:
        api.put(f"/api/vhosts/{name}").raise_for_status()
        api.put(f"/api/permissions/{name}/{user}", json=everything).raise_for_status()
        try:
            yield f"{admin.uri.rpartition('/')[0]}/{name}"
        finally:
            api.delete(f"/api/vhosts/{name}").raise_for_status()
