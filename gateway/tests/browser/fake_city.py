"""The real portal and a tiny stand-in for the approval API on one origin, as a gateway would offer them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from tulou_gateway import openapi, tokens
from tulou_gateway.descriptors import load
from tulou_gateway.portal import Issuer, create_app
from tulou_gateway.traces import TraceStore

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ISSUER, AUDIENCE = "https://tulou.localhost", "tulou"


def otlp(trace_id: str, *, start: int) -> bytes:
    """One request through gateway, server, database and worker, as OpenTelemetry exporters send it. `start` is in
    nanoseconds."""
    plan: list[tuple[str, str, int, int, str, int, float, float, dict[str, Any]]] = [
        ("gateway", "POST /approval/v1/cases", 1, 0, "SERVER", 0, 0.0, 23.4, {"http.status_code": "200"}),
        ("gateway", "router approval egress", 2, 1, "CLIENT", 0, 1.1, 21.8, {"upstream_cluster.name": "approval"}),
        (
            "approval",
            "tulou.approval.v1.ApprovalService/CreateCase",
            3,
            2,
            "SERVER",
            0,
            2.0,
            20.3,
            {"rpc.system": "grpc", "rpc.grpc.status_code": "0", "enduser.role": "enterprise"},
        ),
        ("approval", "SELECT items", 4, 3, "CLIENT", 0, 3.1, 1.9, {"db.system": "sqlite"}),
        (
            "approval",
            "INSERT cases",
            5,
            3,
            "CLIENT",
            0,
            8.4,
            3.6,
            {
                "db.system": "sqlite",
                "db.statement": "INSERT INTO cases (id, item_code, item_version, title, state, owner) "
                "VALUES (?, ?, ?, ?, ?, ?)",
            },
        ),
        ("approval", "INSERT outbox", 6, 3, "CLIENT", 0, 12.9, 1.1, {"db.system": "sqlite"}),
        ("approval", "COMMIT", 7, 3, "CLIENT", 0, 14.6, 6.2, {"db.system": "sqlite"}),
        ("worker", "relay approval.CaseSubmitted", 8, 3, "PRODUCER", 0, 41.0, 6.1, {"messaging.system": "in-process"}),
        ("worker", "notice applicant", 9, 8, "CONSUMER", 2, 42.2, 4.4, {"messaging.operation": "process"}),
    ]
    request = ExportTraceServiceRequest()
    for service in dict.fromkeys(row[0] for row in plan):
        part = request.resource_spans.add()
        part.resource.attributes.add(key="service.name").value.string_value = service
        scope = part.scope_spans.add()
        for name, number, parent, kind, status, after, took, attributes in (r[1:] for r in plan if r[0] == service):
            span = scope.spans.add(
                trace_id=bytes.fromhex(trace_id),
                span_id=number.to_bytes(8, "big"),
                parent_span_id=parent.to_bytes(8, "big") if parent else b"",
                name=name,
                kind=Span.SpanKind.Value(f"SPAN_KIND_{kind}"),
                start_time_unix_nano=start + int(after * 1e6),
                end_time_unix_nano=start + int((after + took) * 1e6),
                status=Status(code=Status.StatusCode.Name(status), message="mailbox full" if status == 2 else ""),
            )
            for key, value in attributes.items():
                span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


@contextmanager
def fake_city(directory: Path) -> Iterator[str]:
    """Serves on a free port until the block ends; gives the origin."""
    tokens.create_issuer(directory)
    key = (directory / "issuer.pem").read_bytes()
    portal = create_app(
        load(),
        traces=TraceStore(directory / "traces.db"),
        issuer=Issuer(key, ISSUER, AUDIENCE),
    )
    public = jwt.PyJWKSet.from_json((directory / "jwks.json").read_text()).keys[0]
    app = Starlette(routes=[*_approval(public), Mount("/", portal)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def _approval(public: jwt.PyJWK) -> list[Route]:
    examples = openapi.examples()
    seen: list[str] = []

    async def create(request: Request) -> Response:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            return JSONResponse({"code": 16, "message": "This call needs a token."}, 401, headers)
        claims = jwt.decode(token, public.key, algorithms=["RS256"], issuer=ISSUER, audience=AUDIENCE)
        body = await request.json()
        replayed = body["requestId"] in seen
        seen.append(body["requestId"])
        return JSONResponse(
            {"case": {**body["case"], "id": f"case {len(seen)} of {claims['sub']}"}, "replayed": replayed},
            headers=headers,
        )

    async def events() -> AsyncIterator[str]:
        yield 'data: {"event": {"position": "1"}}\n\n'
        while True:
            yield ": still here\n\n"
            await asyncio.sleep(0.2)

    async def watch(_request: Request) -> Response:
        return StreamingResponse(events(), media_type="text/event-stream")

    async def departments(_request: Request) -> Response:
        return JSONResponse(examples["tulou.approval.v1.CatalogueService.ListDepartments"]["answer"])

    async def divisions(_request: Request) -> Response:
        return JSONResponse(examples["tulou.approval.v1.CatalogueService.ListDivisions"]["answer"])

    return [
        Route("/approval/v1/cases", create, methods=["POST"]),
        Route("/approval/v1/events:watch", watch),
        Route("/approval/v1/departments", departments),
        Route("/approval/v1/divisions", divisions),
    ]
