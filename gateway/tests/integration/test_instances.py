"""Several instances behind one name: ended, killed and replaced under load without a failed call."""

import itertools
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest

from gateway.tests.integration.conftest import UNLIMITED, Gateway, free_port, running_gateway
from tulou.approval.v1 import approval_service_pb2 as service
from tulou.approval.v1 import approval_service_pb2_grpc

NODE = "node: {id: gateway, cluster: tulou}"
RESOLVER = """
typed_dns_resolver_config:
  name: envoy.network.dns_resolver.cares
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    resolvers: [{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}]
"""
HEALTH_NAME = "tulou.approval.v1.ApprovalService"


class Names:
    """A name server that tells the same addresses of every name, and that they are good for ten minutes."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            query, caller = self._socket.recvfrom(512)
            if not query:
                return
            end = query.index(0, 12) + 5
            question, kind = query[12:end], struct.unpack("!H", query[end - 4 : end - 2])[0]
            found = self.addresses if kind == 1 else []
            answers = b"".join(
                struct.pack("!HHHIH", 0xC00C, 1, 1, 600, 4) + socket.inet_aton(address) for address in found
            )
            head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
            self._socket.sendto(head + question + answers, caller)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@dataclass
class City:
    """A gateway, and the instances of one service behind it, each with an address of its own."""

    names: Names
    gateway: Gateway
    issuer: Any
    port: int
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    def start(self, *, health_name: str = HEALTH_NAME, drain_delay: float = 5) -> str:
        """A further instance, as soon as it serves; its address."""
        address = f"127.0.0.{next(self.numbers)}"
        command = [sys.executable, "-m", "gateway.tests.integration.instance"]
        command += [f"{address}:{self.port}", health_name, str(drain_delay)]
        process = self.running[address] = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout
        with process.stdout as line:
            assert line.readline() == b"serving\n"
        self.names.addresses.append(address)
        return address

    def end(self, address: str, how: signal.Signals = signal.SIGTERM, *, known: bool = False) -> None:
        """Ends an instance and waits for it. `known`: its address goes on being told."""
        if not known:
            self.names.addresses.remove(address)
        self.running[address].send_signal(how)
        self.running[address].wait(60)
        del self.running[address]

    def call(self, client: httpx.Client) -> str:
        """A call; the address of the instance that answered it, "" if none did."""
        answer = client.get("/approval/v1/cases", headers=self.issuer.header("clerk"))
        return answer.headers.get("instance", "").partition(":")[0]

    def wait_until(self, known: set[str]) -> None:
        """Until these instances, and no others, answer."""
        with httpx.Client(base_url=self.gateway.url) as client:
            for _ in range(100):
                if {self.call(client) for _ in range(12)} == known:
                    return
                time.sleep(0.1)
        raise AssertionError(f"others than {known} answer")


@pytest.fixture(scope="module")
def empty_city(tmp_path_factory: pytest.TempPathFactory, issuer: Any) -> Iterator[City]:
    names, port = Names(), free_port()
    places = ("--service", f"approval=approval.test:{port}", "--service", "credit=127.0.0.1:1")
    resolver = NODE + RESOLVER.format(port=names.port)
    with ExitStack() as stack:
        stack.callback(names.close)
        folder = tmp_path_factory.mktemp("instances")
        gateway = running_gateway(folder, issuer, *places, *UNLIMITED, instead=(NODE, resolver))
        yield City(names, stack.enter_context(gateway), issuer, port)


@pytest.fixture
def city(empty_city: City) -> Iterator[City]:
    yield empty_city
    empty_city.names.addresses.clear()
    for process in empty_city.running.values():
        process.kill()
        process.wait()
    empty_city.running.clear()


class Load:
    """Callers who never rest, each with calls of one kind."""

    def __init__(self, city: City, kinds: list[str]) -> None:
        self.failures: list[str] = []
        self._city = city
        self._stop = threading.Event()
        self._ended = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._run, args=(kind,)) for kind in kinds]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, calls: int) -> None:
        """Until so many more calls have ended."""
        for _ in range(calls):
            assert self._ended.acquire(timeout=60)

    def _run(self, kind: str) -> None:
        header = self._city.issuer.header("clerk", "citizen")
        url, target = self._city.gateway.url, f"127.0.0.1:{self._city.gateway.port}"
        with (
            httpx.Client(base_url=url, headers=header, timeout=20) as client,
            grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel,
        ):
            call = CALLS[kind]
            stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
            metadata = tuple(header.items())
            while not self._stop.is_set():
                failure = call(client, stub, metadata)
                if failure:
                    self.failures.append(f"{kind}: {failure}")
                self._ended.release()


def _http(answer: httpx.Response) -> str:
    return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"


def _grpc(call: Callable[[], Any]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return str(error)
    return ""


# "once" may not be made twice.
CALLS: dict[str, Callable[[httpx.Client, Any, Any], str]] = {
    "read": lambda client, stub, metadata: _http(client.get("/approval/v1/cases/c1")),
    "write": lambda client, stub, metadata: _http(
        client.post("/approval/v1/cases", json={"requestId": str(uuid.uuid4())})
    ),
    "once": lambda client, stub, metadata: _http(client.post("/approval/v1/cases:track", json={})),
    "upload": lambda client, stub, metadata: _http(
        client.post(
            "/approval/v1/cases/c1/materials/m1:upload",
            content=bytes(300_000),
            headers={"content-type": "application/octet-stream"},
        )
    ),
    "grpc read": lambda client, stub, metadata: _grpc(
        lambda: stub.GetCase(service.GetCaseRequest(case_id="c1"), metadata=metadata)
    ),
    "grpc write": lambda client, stub, metadata: _grpc(
        lambda: stub.CreateCase(service.CreateCaseRequest(request_id=str(uuid.uuid4())), metadata=metadata)
    ),
}


def test_every_instance_is_replaced_under_load_and_no_call_fails(city):
    city.start(), city.start()
    city.wait_until(set(city.running))
    with Load(city, 2 * list(CALLS)) as load:
        for old in list(city.running):
            city.start()
            city.end(old)
            city.wait_until(set(city.running))
            load.go_on(100)
    assert load.failures == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_instance_that_is_gone_without_a_delay_costs_no_read_and_no_write(city, how):
    ending, staying = city.start(drain_delay=0), city.start()
    city.wait_until({ending, staying})
    with Load(city, 3 * ["read", "write", "grpc read", "grpc write"]) as load:
        load.go_on(100)
        city.end(ending, how, known=True)
        load.go_on(200)
    assert load.failures == []


@pytest.mark.parametrize("kind", ["once", "upload"])
def test_a_refused_connection_costs_no_call_whatever_it_does(city, kind):
    gone, staying = city.start(), city.start()
    city.wait_until({gone, staying})
    city.end(gone, signal.SIGKILL, known=True)
    with httpx.Client(base_url=city.gateway.url, headers=city.issuer.header("clerk", "citizen")) as client:
        assert [CALLS[kind](client, None, None) for _ in range(20)] == 20 * [""]


def test_an_instance_that_says_not_serving_gets_no_new_call_while_it_could_still_answer(city):
    ill, well = city.start(), city.start()
    city.wait_until({ill, well})
    city.running[ill].send_signal(signal.SIGUSR1)
    city.wait_until({well})
    with grpc.insecure_channel(f"{ill}:{city.port}") as channel:
        approval_service_pb2_grpc.ApprovalServiceStub(channel).GetCase(service.GetCaseRequest(), timeout=5)


def test_if_every_instance_says_not_serving_they_are_asked_nevertheless(city):
    first, second = city.start(), city.start()
    city.wait_until({first, second})
    for address in (first, second):
        city.running[address].send_signal(signal.SIGUSR1)
    time.sleep(3)
    city.wait_until({first, second})


def test_another_service_at_an_address_of_the_name_gets_no_call(city):
    right, more = city.start(), city.start()
    city.start(health_name="tulou.credit.v1.CreditService")
    city.wait_until({right, more})
    time.sleep(3)
    city.wait_until({right, more})
