"""Finds or starts one server for the tests and stops it when the test run ends, however it ends.

It is a process of its own, since neither a killed test run nor a finished xdist worker may leave the server behind or
take it away from the others:  python -m e2e.providers.holder postgresql FOLDER PID-OF-THE-TEST-RUN
TULOU_TEST_WAYS may leave some of the three ways out, for example "listening" alone: then nothing is ever installed.
It writes FOLDER/postgresql.json: {"pid", "uri", "api", "origin"} or {"pid", "missing"}.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import amqp
import httpx
import psutil
import psycopg
from pytest_docker.plugin import get_docker_services

from e2e.providers import engine, packages
from e2e.providers.kinds import Server, Unavailable
from e2e.providers.reaper import lives

COMPOSE = Path(__file__).with_name("compose.yaml")


@contextmanager
def local_postgresql(folder: Path) -> Iterator[Server]:
    """The PostgreSQL of TULOU_TEST_POSTGRES_URL, else one on 127.0.0.1:5432 that takes the usual first password."""
    given = os.environ.get("TULOU_TEST_POSTGRES_URL")
    for url in (
        [given]
        if given
        else [f"postgresql://{who}@127.0.0.1:5432/postgres" for who in ("postgres:postgres", "postgres")]
    ):
        try:
            with psycopg.connect(url, connect_timeout=3) as connection:
                creates = connection.execute(
                    "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
                )
                if creates.fetchone() != (True,):
                    raise Unavailable("its user may not create databases")
        except psycopg.OperationalError as error:
            reason = str(error).splitlines()[0]
        else:
            yield Server(uri=url, origin="TULOU_TEST_POSTGRES_URL" if given else "127.0.0.1:5432")
            return
    raise Unavailable(reason)


@contextmanager
def local_rabbitmq(folder: Path) -> Iterator[Server]:
    """The RabbitMQ of TULOU_TEST_AMQP_URI, else of 127.0.0.1:5672; its management API listens 10000 higher."""
    given = os.environ.get("TULOU_TEST_AMQP_URI")
    uri = httpx.URL(given or "amqp://guest:guest@127.0.0.1:5672/")
    port = uri.port or 5672
    api = f"http://{uri.userinfo.decode()}@{uri.host}:{port + 10000}"
    try:
        with amqp.Connection(f"{uri.host}:{port}", uri.username, uri.password, connect_timeout=3):
            httpx.get(f"{api}/api/vhosts").raise_for_status()
    except (OSError, amqp.AMQPError, httpx.HTTPError) as error:
        raise Unavailable(f"{uri.host}:{port} or its management API: {error}") from None
    yield Server(uri=str(uri), api=api, origin="TULOU_TEST_AMQP_URI" if given else "127.0.0.1:5672")


@contextmanager
def docker(name: str, folder: Path) -> Iterator[Server]:
    """One service of compose.yaml, by pytest-docker."""
    try:
        asked = subprocess.run(["docker", "compose", "ls"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    if asked.returncode != 0:
        raise Unavailable(asked.stderr.strip().splitlines()[0])
    password = os.environ["TULOU_TEST_PASSWORD"] = secrets.token_hex(16)
    with get_docker_services(
        "docker compose", str(COMPOSE), f"tulou-{name}-{os.getpid()}", [f"up --wait {name}"], ["down -v"]
    ) as services:
        if name == "postgresql":
            port = services.port_for(name, 5432)
            yield Server(uri=f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", origin="Docker")
        else:
            login, port, api = (
                f"tulou:{password}@127.0.0.1",
                services.port_for(name, 5672),
                services.port_for(name, 15672),
            )
            yield Server(uri=f"amqp://{login}:{port}/", api=f"http://{login}:{api}", origin="Docker")


Way = Callable[[Path], AbstractContextManager[Server]]
WAYS: dict[str, dict[str, Way]] = {
    "postgresql": {
        "listening": local_postgresql,
        "docker": lambda folder: docker("postgresql", folder),
        "packages": packages.postgresql,
    },
    "rabbitmq": {
        "listening": local_rabbitmq,
        "docker": lambda folder: docker("rabbitmq", folder),
        "packages": packages.rabbitmq,
    },
    "engine": {"docker": engine.answering, "packages": engine.from_packages},
}


def hold(name: str, folder: Path, owner: int) -> None:
    """Serves `name` until the process `owner` is gone or SIGTERM comes. Says in FOLDER/NAME.json what it found."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    run = psutil.Process(owner)
    reasons = []
    with ExitStack() as stack:
        answer: dict[str, object] = {}
        allowed = os.environ.get("TULOU_TEST_WAYS", "listening,docker,packages").split(",")
        for way, provide in WAYS[name].items():
            if way not in allowed:
                continue
            try:
                answer = asdict(stack.enter_context(provide(folder)))
                break
            except Unavailable as error:
                reasons.append(f"{way}: {error}")
        answer = {"pid": os.getpid()} | (answer or {"missing": "; ".join(reasons)})
        written = folder / f"{name}.json.part"
        written.write_text(json.dumps(answer))
        written.rename(folder / f"{name}.json")
        while "missing" not in answer and lives(run) and not over.wait(0.5):
            pass
    if not lives(run):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    hold(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
