"""A city on containers: started from compose.yaml, and what the tests do to its containers."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_docker.plugin import get_docker_services

from e2e.eventually import eventually
from e2e.leaks import in_files, in_postgresql
from e2e.providers.engine import Images, compose, images
from e2e.providers.servers import OWNER
from tulou_city import prepare
from tulou_city.layout import AUDIENCE, HOST, ISSUER, ROOT, City
from tulou_city.services import SERVICES

COMPOSE: Final = Path(__file__).with_name("compose.yaml")
# Where a failed run's logs are found afterwards.
LOGS: Final = ROOT / "var/e2e"
START_SECONDS: Final = 240
HEALTHY_SECONDS: Final = 240


@dataclass(frozen=True, kw_only=True)
class Containers(City):
    """A city whose processes run in containers. `port` and the next are its gateway's and its portal's on this
    machine; `var` holds its secrets, as the containers see them in var/mounted."""

    command: tuple[str, ...]
    images: Images
    variables: dict[str, str]

    def compose(self, *arguments: str, **variables: str) -> None:
        """Runs Compose with other variables than the city was started with. Raises AssertionError with its words."""
        # Not by its file of variables alone: what happens to be in the environment, like PORT, would go before it.
        _run([*self.command, *arguments], os.environ | self.variables | variables)

    def ids(self, service: str) -> list[str]:
        """The running containers of one service of compose.yaml, oldest first."""
        found = docker("ps", "-q", "--no-trunc", "--filter", f"name=^{self.project}[-_]{service}[-_][0-9]+$").split()
        return sorted(found, key=lambda container: str(inspect(container)["Created"]))

    @property
    def project(self) -> str:
        """What the names of its containers begin with."""
        return self.command[-1]

    def by_hand(self, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A service's own command, run in the container of one of its workers as an operator would."""
        [container, *_] = self.ids(f"{service}-worker")
        command = ["docker", "exec", container, "tulou", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def wait_until_healthy(self, *services: str, seconds: float = HEALTHY_SECONDS) -> None:
        """Waits until every container (of these services) runs and says of itself that it is healthy."""

        def look() -> None:
            states = {container["Name"]: container["State"] for container in self.containers(*services)}
            ill = {
                name: state.get("Health", {}).get("Status", state["Status"])
                for name, state in states.items()
                if state["Status"] != "running" or state.get("Health", {}).get("Status", "healthy") != "healthy"
            }
            assert states, f"no container of {services}"
            assert not ill, ill

        eventually(look, seconds=seconds)

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """What the engine knows of each container (of these services) that is meant to run for long."""
        ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return [
            container
            for container in found
            if container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
            and (not services or container["Config"]["Labels"]["com.docker.compose.service"] in services)
        ]

    def database(self, service: str) -> str:
        """The URL of a service's database from this machine."""
        return self.database_url.format(service=service)


def docker(*arguments: str, seconds: float = 120) -> str:
    """What the docker client answers. Raises AssertionError with its words."""
    return _run(["docker", *arguments], dict(os.environ), seconds)


def inspect(container: str) -> dict[str, Any]:
    """What the engine knows of a container."""
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


@contextmanager
def running_containers(port: int) -> Iterator[Containers]:
    """Starts a city on containers with secrets, networks and volumes of its own; removes all of it in the end. `port`
    and the next five are free.

    Where numbers of persons stand in clear in what it leaves behind, the test fails.
    """
    built = images()
    with ExitStack() as stack:
        var = Path(tempfile.mkdtemp(prefix="tulou-containers-"))
        stack.callback(shutil.rmtree, var, ignore_errors=True)
        project, password = f"tulou{secrets.token_hex(4)}", secrets.token_hex(16)
        environment = var / "compose.env"
        variables = {
            "RUN": os.environ[OWNER],
            "SERVICES": " ".join(service.name for service in SERVICES),
            "PASSWORD": password,
            "REGISTRY": built.registry,
            "VERSION": built.version,
            "POSTGRES_IMAGE": built.postgres,
            "RABBITMQ_IMAGE": built.rabbitmq,
            "SECRETS": str(var / "mounted"),
            "PUBLISHED": str(var / "published"),
            "ISSUER": ISSUER,
            "AUDIENCE": AUDIENCE,
            "PORT": str(port),
            "PORTAL_PORT": str(port + 1),
            "POSTGRES_PORT": str(port + 5),
        }
        city = Containers(
            port=port,
            var=var,
            database_url=f"postgresql://{{service}}:{password}@{HOST}:{port + 5}/{{service}}",
            amqp_uri="amqp://rabbitmq",
            command=(*compose(), "--env-file", str(environment), "-f", str(COMPOSE), "-p", project),
            images=built,
            variables=variables,
        )
        prepare.make_folders_and_keys(city)
        mount(city, "keyring.json")
        publish(city, json.loads((var / "secrets/jwks.json").read_text()))
        environment.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        command = " ".join(city.command[:-4])
        down = ["kill", "down -v --remove-orphans"]
        stack.enter_context(get_docker_services(command, str(COMPOSE), project, [], down))
        stack.callback(_keep_logs, city)
        city.compose("up", "-d")
        city.wait_until_healthy(seconds=START_SECONDS)
        yield city
        _keep_logs(city)
        found = in_files(LOGS)
        for service in SERVICES:
            found += in_postgresql(city.database(service.name))
        assert not found, f"numbers of persons in clear: {found}"


def mount(city: City, secret: str) -> None:
    """Puts a secret where the containers read it."""
    _put(city.var / "mounted" / secret, (city.var / "secrets" / secret).read_bytes())


def publish(city: City, jwks: dict[str, Any]) -> None:
    """Makes these the keys that the issuer tells."""
    _put(city.var / "published/jwks.json", json.dumps(jwks).encode())


def _put(path: Path, content: bytes) -> None:
    """In one move, and readable for the containers' user; `var` itself is nobody else's."""
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o755)
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.chmod(0o444)
    draft.replace(path)


def _keep_logs(city: Containers) -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    for container in docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={city.project}").split():
        name = inspect(container)["Name"].strip("/").removeprefix(city.project).strip("-_")
        with (LOGS / f"{name}.log").open("wb") as log, suppress(subprocess.TimeoutExpired):
            subprocess.run(["docker", "logs", "-t", container], stdout=log, stderr=log, timeout=60)


def _run(command: list[str], environment: dict[str, str], seconds: float = START_SECONDS) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-4000:]}"
    return done.stdout
