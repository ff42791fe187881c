"""Whether each part of the city answers, asked the way its users ask."""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tulou_city.layout import HOST, City
from tulou_city.services import SERVICES

PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Part:
    """A row of the table: what it is, where it is, the process behind it, and its probe."""

    what: str
    url: str
    process: str
    healthy: Callable[[], bool]


def parts(city: City) -> list[Part]:
    """Everything a user or an operator of the city can open; the gateway's rows first."""
    admin, worker = f"http://{HOST}:{city.port + 2}", f"http://{HOST}:{city.port + 3}"
    found = [
        Part("Gateway", city.url, "gateway", _answers(f"{admin}/ready")),
        Part("API documentation", f"{city.url}/docs", "portal", _answers(f"{city.url}/docs")),
        Part("OpenAPI document", f"{city.url}/openapi.json", "portal", _answers(f"{city.url}/openapi.json")),
        Part("Traces", f"{city.url}/traces", "portal", _answers(f"{city.url}/traces")),
    ]
    for service in SERVICES:
        address = f"{HOST}:{city.port + service.grpc_offset}"
        metrics = f"http://{HOST}:{city.port + service.metrics_offset}/metrics"
        found.append(Part(f"{service.name} (gRPC)", address, service.name, _serves(address)))
        found.append(Part(f"{service.name} metrics", metrics, service.name, _answers(metrics)))
    found.append(Part("Worker metrics", f"{worker}/metrics", "worker", _answers(f"{worker}/healthz")))
    found.append(Part("Envoy admin", admin, "gateway", _answers(f"{admin}/ready")))
    return found


def _answers(url: str) -> Callable[[], bool]:
    address, _, path = url.removeprefix("http://").partition("/")

    def probe() -> bool:
        with suppress(OSError, HTTPException), closing(HTTPConnection(address, timeout=PROBE_SECONDS)) as connection:
            connection.request("GET", f"/{path}")
            return connection.getresponse().status < 400
        return False

    return probe


def _serves(address: str) -> Callable[[], bool]:
    def probe() -> bool:
        with suppress(grpc.RpcError), grpc.insecure_channel(address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False

    return probe
