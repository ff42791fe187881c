"""The gateway's own end: it says so first, goes on taking calls for a while, and is gone within a bound."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.tests.integration.conftest import Gateway, at, free_port, running_gateway
from tulou.approval.v1 import approval_service_pb2 as service
from tulou.approval.v1 import approval_service_pb2_grpc

PROBES = f"127.0.0.1:{free_port()}"


@pytest.fixture
def ending(tmp_path: Path, issuer: Any, upstream: Any) -> Iterator[Gateway]:
    with running_gateway(tmp_path, issuer, *at(upstream.port), "--metrics-address", PROBES, drain_delay=3) as gateway:
        yield gateway


def test_it_is_not_ready_first_and_goes_on_taking_calls(ending, issuer):
    header = issuer.header("clerk")
    with grpc.insecure_channel(f"127.0.0.1:{ending.port}") as channel:
        stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
        stub.GetCase(service.GetCaseRequest(), metadata=tuple(header.items()))
        ending.process.terminate()
        for _ in range(40):
            if httpx.get(f"http://{PROBES}/readyz").status_code == 503:
                break
            time.sleep(0.05)
        assert httpx.get(f"http://{PROBES}/readyz").status_code == 503
        assert httpx.get(f"http://{PROBES}/livez").status_code == 200
        assert httpx.get(f"{ending.url}/healthz").status_code == 503
        answer = httpx.get(f"{ending.url}/approval/v1/cases", headers=header)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        for _ in range(5):
            stub.GetCase(service.GetCaseRequest(), metadata=tuple(header.items()))
    assert ending.process.wait(15) == 0


def test_event_streams_do_not_hold_it_and_their_readers_may_come_back(ending, issuer, upstream):
    def watch(_: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        while context.is_active():
            yield service.WatchEventsResponse()
            time.sleep(0.1)

    upstream.answers["WatchEvents"] = watch
    header, ends = issuer.header("partner"), []
    reads = threading.Semaphore(0)

    def read_http() -> None:
        try:
            with httpx.stream("GET", f"{ending.url}/approval/v1/events:watch", headers=header) as answer:
                for _ in answer.iter_bytes():
                    reads.release()
        except httpx.TransportError as error:
            ends.append(type(error))

    def read_grpc() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{ending.port}") as channel:
            stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
            try:
                for _ in stub.WatchEvents(service.WatchEventsRequest(), metadata=tuple(header.items())):
                    reads.release()
            except grpc.RpcError as error:
                ends.append(error.code())

    readers = [threading.Thread(target=read) for read in (read_http, read_grpc)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        assert reads.acquire(timeout=5)
    ending.process.terminate()
    # 3 seconds for new calls, 3 for those under way, and the processes' own time.
    assert ending.process.wait(20) == 0
    for reader in readers:
        reader.join(5)
    assert set(ends) == {httpx.RemoteProtocolError, grpc.StatusCode.UNAVAILABLE}
