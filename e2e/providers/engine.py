"""A Docker engine for the tests, and the images that are built on it once."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.providers import packages
from e2e.providers.kinds import Server, Unavailable
from e2e.providers.servers import FOLDER, lacking, server
from tulou_city.layout import ROOT
from tulou_city.services import SERVICES

ANSWER_SECONDS: Final = 20
PULL_SECONDS: Final = 60
BUILD_SECONDS: Final = 900
# All that an image is made of; what is generated or fetched on the way into it is made of these.
SOURCES: Final = (".dockerignore", "Makefile", "requirements.lock", "images", "protos", "services", "gateway")
GENERATED: Final = frozenset({"__pycache__", "gen", "tests", ".mypy_cache", ".pytest_cache", ".ruff_cache"})


@dataclass(frozen=True, kw_only=True)
class Images:
    """`registry`/NAME:`version` is the image of each service and of the gateway; of the other three the full names."""

    registry: str
    version: str
    base: str
    postgres: str
    rabbitmq: str


@contextmanager
def answering(folder: Path) -> Iterator[Server]:
    """The engine that the docker client finds. Raises Unavailable."""
    origin = f"engine {_version()}"
    compose()
    yield Server(uri=os.environ.get("DOCKER_HOST", ""), origin=origin)


@contextmanager
def from_packages(folder: Path) -> Iterator[Server]:
    """Debian's engine, started here on its usual socket and stopped in the end. Raises Unavailable."""
    if os.geteuid() != 0:
        raise Unavailable("only root can start an engine")
    daemon = packages.installed("dockerd", package="docker.io", folders="/usr/sbin")
    compose()

    def ready() -> bool:
        with suppress(Unavailable):
            return bool(_version())
        return False

    home = folder / "engine"
    home.mkdir()
    # What is built stays in the usual place: the next run finds it.
    with packages.running([daemon, "--log-level", "warn", "--shutdown-timeout", "10"], home, ready=ready):
        yield Server(uri="", origin=f"Debian's packages, engine {_version()}")


def compose() -> list[str]:
    """The command of Compose, version 2 or 1; Debian's is installed where there is none. Raises Unavailable."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            return command
    return [str(packages.installed("docker-compose", package="docker-compose", folders="/usr/bin"))]


def images() -> Images:
    """Builds every image of what the working tree holds, unless the engine has them; once for the processes of a run.

    POSTGRES_IMAGE and RABBITMQ_IMAGE name the two servers' images; without them it is what the registries give, and
    where they give nothing the stand-ins. BASE names a base image; without it the base is made. Where there is no
    engine, the asking test ends there.
    """
    server("engine")
    # Under make the variable is there, and may be empty.
    registry = os.environ.get("REGISTRY") or "tulou"
    found = Images(
        registry=registry,
        version=f"e2e-{digest()}",
        base=os.environ.get("BASE") or f"{registry}/base",
        postgres=_server_image("POSTGRES_IMAGE", "postgres:17", f"{registry}/postgres:standin"),
        rabbitmq=_server_image("RABBITMQ_IMAGE", "rabbitmq:4", f"{registry}/rabbitmq:standin"),
    )
    wanted = [f"{registry}/{name}:{found.version}" for name in (*(service.name for service in SERVICES), "gateway")]
    with (Path(os.environ[FOLDER]) / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(map(_is_here, [*wanted, found.postgres, found.rabbitmq])):
            base = () if os.environ.get("BASE") else ("base",)
            try:
                if base:
                    packages.installed("mmdebstrap", package="mmdebstrap", folders="/usr/bin")
            except Unavailable as error:
                lacking("mmdebstrap", f"{error}; make e2e BASE=python:3.12-slim needs none")
            log = ROOT / "var/images.log"
            log.parent.mkdir(exist_ok=True)
            command = ["make", *base, "wheels", "images", f"REGISTRY={registry}", f"VERSION={found.version}"]
            with log.open("w") as output:
                built = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, timeout=BUILD_SECONDS)
            assert built.returncode == 0, f"{' '.join(command)} failed:\n{log.read_text()[-4000:]}"
    return found


def _version() -> str:
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    if asked.returncode != 0:
        raise Unavailable(asked.stderr.strip().splitlines()[-1])
    return asked.stdout.strip()


def digest() -> str:
    """12 characters that are others when what the images are made of is another."""
    found = hashlib.sha256(os.environ.get("BASE", "").encode())
    for source in SOURCES:
        top = ROOT / source
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            place = path.relative_to(ROOT)
            if path.is_file() and not GENERATED & set(place.parts):
                found.update(f"{place} {path.stat().st_mode:o} ".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]


def _server_image(variable: str, usual: str, stand_in: str) -> str:
    if given := os.environ.get(variable):
        return given
    for image in (usual, stand_in):
        if _is_here(image):
            return image
    with suppress(subprocess.TimeoutExpired):
        if not subprocess.run(["docker", "pull", "-q", usual], capture_output=True, timeout=PULL_SECONDS).returncode:
            return usual
    return stand_in


def _is_here(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0
