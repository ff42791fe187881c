"""The house as a process of its own, for tests that start, ask and end it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from e2e.eventually import eventually
from services.chassis.tests.house import HOUSE, EchoRequest, EchoResponse
from services.chassis.tests.integration.served import PATH
from services.chassis.tests.integration.worker.notes import MIGRATIONS
from tulou_chassis.migrations import migrate

ROOT: Final = Path(__file__).parents[4]
HOUSE_PROCESS: Final = "services.chassis.tests.integration.house_process"
# Longer than any machine takes; nothing waits for it that goes well.
PATIENCE: Final = 90.0
SERVING: Final = "SERVING"


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


@dataclass
class House:
    """Where the house is served during one test."""

    folder: Path
    environment: dict[str, str]
    address: str = field(default_factory=free_address)
    metrics: str = field(default_factory=free_address)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """Starts a process of this environment."""
        addresses = {"TULOU_GRPC_ADDRESS": self.address, "TULOU_METRICS_ADDRESS": self.metrics}
        with (self.folder / "log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=addresses | self.environment,
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )
        self.processes.append(process)
        return process

    def start(self) -> subprocess.Popen[bytes]:
        """Serves the house, and waits until it is healthy."""
        self.migrate()
        process = self.run(HOUSE_PROCESS)

        def healthy() -> bool:
            assert process.poll() is None, self.log
            return self.health(HOUSE.full_name) == SERVING

        eventually(healthy, seconds=PATIENCE)
        return process

    def migrate(self) -> None:
        """Brings the house's database to the schema that the house needs."""
        migrate(self.environment["TULOU_DATABASE_URL"].replace("{service}", "chassis"), MIGRATIONS)

    def channel(self) -> grpc.Channel:
        """A channel with a connection of its own."""
        return grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)])

    def health(self, name: str) -> str:
        """What the health check answers: the status, or the code of the error."""
        with self.channel() as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE
                )
            except grpc.RpcError as error:
                return str(error.code().name)  # type: ignore[attr-defined]
            return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    def get(self, path: str) -> httpx.Response:
        """What the process answers on its HTTP port."""
        return httpx.get(f"http://{self.metrics}{path}", timeout=PATIENCE)

    def ready(self) -> dict[str, bool]:
        """What /readyz tells of the house's checks; its status is checked to say the same."""
        answer = self.get("/readyz")
        checks: dict[str, bool] = answer.json().get("chassis", {})
        assert answer.status_code == (200 if checks and all(checks.values()) else 503)
        return checks

    def echo(self) -> str:
        """Calls on a new channel: the code of the answer."""
        with self.channel() as channel:
            error = echo(channel, "").exception()
            return "OK" if error is None else str(error.code().name)

    def close(self) -> None:
        """Ends what runs."""
        for process in self.processes:
            process.kill()
            process.wait()


def echo(channel: grpc.Channel, text: str) -> Any:
    """Calls Echo, and gives the call."""
    method = channel.unary_unary(
        f"{PATH}Echo", request_serializer=EchoRequest.SerializeToString, response_deserializer=EchoResponse.FromString
    )
    return method.future(EchoRequest(text=text), timeout=PATIENCE)


@contextmanager
def running(channel: grpc.Channel) -> Iterator[tuple[Any, socket.socket]]:
    """A call that runs, and the connection on whose end it will answer."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(PATIENCE)
        call = echo(channel, str(door.getsockname()[1]))
        held, _ = door.accept()
        with held:
            yield call, held
