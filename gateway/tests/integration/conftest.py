"""One real Envoy in front of a service made for the test, which answers as each test tells it to."""

import itertools
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection
from jwt.algorithms import RSAAlgorithm

from tulou_gateway import render
from tulou_gateway.access import cluster_of
from tulou_gateway.descriptors import Api, Rpc, load

ISSUER = "https://tulou.localhost"
# More than any test can ask for; test_limits.py has a gateway of its own.
UNLIMITED = ("--token-rate", "1000000", "--address-rate", "1000000")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Issuer:
    """Signs tokens as the city's issuer does, or wrongly, where a test asks for it."""

    folder: Path
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        jwk = json.loads(RSAAlgorithm.to_jwk(self.key.public_key())) | {"kid": "k1", "alg": "RS256", "use": "sig"}
        (self.folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))

    def token(self, *roles: str, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        now = int(time.time())
        whole = {"iss": ISSUER, "aud": "tulou", "sub": "u1", "iat": now, "exp": now + 600, "org": "", "region": "3506"}
        whole |= {"roles": list(roles), "jti": str(next(self.numbers))} | claims
        whole = {name: value for name, value in whole.items() if value is not None}
        secret = None if algorithm == "none" else key or self.key
        return jwt.encode(whole, secret, algorithm=algorithm, headers={"kid": "k1"})

    def header(self, *roles: str, **claims: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(*roles, **claims)}"}


class Upstream(grpc.GenericRpcHandler):
    """A gRPC server for every RPC of the descriptor set. `answers` maps an RPC's name to what it does; absent: an empty
    answer. `calls` keeps what came in: (name, requests, metadata)."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Any, grpc.ServicerContext], Any]] = {}
        self.calls: list[tuple[str, list[Any], dict[str, Any]]] = []
        self.port = free_port()
        self._rpcs = {rpc.path: rpc for rpc in load().rpcs}
        self.start()

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        reflection.enable_server_reflection([reflection.SERVICE_NAME], self._server)
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        rpc = self._rpcs.get(details.method)
        if rpc is None:
            return None
        kind = "_".join("stream" if streams else "unary" for streams in (rpc.client_streaming, rpc.server_streaming))
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        response = GetMessageClass(rpc.response)
        return make(self._handler(rpc, response), GetMessageClass(rpc.request).FromString, response.SerializeToString)

    def _handler(self, rpc: Rpc, response: Any) -> Callable[[Any, grpc.ServicerContext], Any]:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            requests = list(request) if rpc.client_streaming else [request]
            self.calls.append((rpc.name, requests, dict(context.invocation_metadata())))
            answer = self.answers.get(rpc.name)
            given = answer(requests[0], context) if answer else ([] if rpc.server_streaming else response())
            return given

        return handle


@dataclass
class Gateway:
    """Where the running gateway is."""

    port: int
    admin_port: int
    access_log: Path
    folder: Path
    process: subprocess.Popen[bytes]
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def wait_until_healthy(self) -> None:
        with httpx.Client(verify=False) as client:
            for _ in range(300):
                try:
                    if client.get(f"{self.url}/healthz").status_code == 200:
                        return
                except httpx.TransportError:
                    time.sleep(0.05)
        raise AssertionError((self.folder / "envoy.log").read_text())

    def logged(self, request_id: str) -> dict[str, Any]:
        """The access log's line of a request; Envoy writes it a moment after the answer."""
        for _ in range(100):
            for line in self.access_log.read_text().splitlines():
                entry = json.loads(line)
                if entry["request_id"] == request_id:
                    return dict(entry)
            time.sleep(0.05)
        raise AssertionError(f"no line of {request_id} in the access log")


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="session")
def running_upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture
def upstream(running_upstream: Upstream) -> Upstream:
    running_upstream.answers.clear()
    running_upstream.calls.clear()
    return running_upstream


@contextmanager
def running_gateway(
    folder: Path,
    issuer: Issuer,
    *extra: str,
    api: Api | None = None,
    instead: tuple[str, str] | None = None,
    drain_delay: int = 0,
    scheme: str = "http",
) -> Iterator[Gateway]:
    """Renders and runs, waits until it is healthy, and ends it with SIGTERM. `instead` is a text of the configuration
    and what stands there for the test."""
    port, admin_port, log = free_port(), free_port(), folder / "access.log"
    arguments = ["--port", str(port), "--admin-port", str(admin_port), "--jwks", str(issuer.folder / "jwks.json")]
    arguments += ["--out", str(folder), "--access-log", str(log), *extra]
    render.render(render.parser().parse_args(arguments), api or load())
    if instead:
        text = (folder / "bootstrap.yaml").read_text()
        assert text.count(instead[0]) == 1
        (folder / "bootstrap.yaml").write_text(text.replace(*instead))
    command = [sys.executable, "-m", "tulou_gateway", "run", "--dir", str(folder), "--admin-port", str(admin_port)]
    command += ["--drain-delay", str(drain_delay), "--drain-seconds", "3"]
    with (
        (folder / "envoy.log").open("wb") as errors,
        subprocess.Popen(command, stderr=errors) as process,
    ):
        found = Gateway(port, admin_port, log, folder, process, scheme)
        try:
            found.wait_until_healthy()
            yield found
        finally:
            process.terminate()


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """Runs a server of the test's own beside it; yields its URL."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def at(port: int) -> tuple[str, ...]:
    """The arguments that say where the services are: all in one place."""
    names = {cluster_of(service) for service in load().services}
    return tuple(f"--service={name}=127.0.0.1:{port}" for name in sorted(names))


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, running_upstream: Upstream) -> Iterator[Gateway]:
    nobody = ("--portal", f"127.0.0.1:{free_port()}")
    folder = tmp_path_factory.mktemp("envoy")
    with running_gateway(folder, issuer, *at(running_upstream.port), *nobody, *UNLIMITED) as found:
        yield found
    complaints = [line for line in (folder / "envoy.log").read_text().splitlines() if "SIGTERM" not in line]
    assert not complaints, "Envoy complained"


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        yield client


@pytest.fixture
def channel(gateway: Gateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as found:
        yield found


def assert_refused(answer: httpx.Response, http_status: int, code: int, reason: str, locale: str = "zh-CN") -> Any:
    """The model that every refusal follows; returns its field violations."""
    assert (answer.status_code, answer.headers["content-type"]) == (http_status, "application/json")
    assert answer.headers["x-request-id"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", answer.headers["traceparent"])
    error = answer.json()
    assert set(error) == {"code", "message", "details"}
    assert (error["code"], bool(error["message"])) == (code, True)
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    assert (details["ErrorInfo"]["reason"], details["ErrorInfo"]["domain"]) == (reason, "tulou")
    assert details["LocalizedMessage"]["locale"] == locale
    chinese = any("\u4e00" <= character <= "\u9fff" for character in details["LocalizedMessage"]["message"])
    assert chinese == (locale == "zh-CN")
    return details.get("BadRequest", {}).get("fieldViolations", [])
