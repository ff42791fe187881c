"""The real portal and a tiny stand-in for the services' API on one origin, as a gateway would offer them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

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
from tulou_gateway.portal import Issuer, create_app, document_of, roles_of
from tulou_gateway.traces import TraceStore

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ISSUER, AUDIENCE = "https://tulou.localhost", "tulou"


class Work(NamedTuple):
    """A span to be sent; `after` and `took` are milliseconds, `parent` 0 is none."""

    number: int
    parent: int
    service: str
    name: str
    kind: str
    after: float
    took: float
    attributes: dict[str, str]
    fault: str = ""


_INSERT = "INSERT INTO cases (id, item_code, item_version, title, state, owner) VALUES (?, ?, ?, ?, ?, ?)"
_REQUEST = {"http.method": "POST", "http.url": "http://127.0.0.1/approval/v1/cases", "http.status_code": "200"}
_SQL = {"db.system": "sqlite"}
_PLAN = (
    Work(1, 0, "gateway", "ingress", "SERVER", 0.0, 23.4, _REQUEST),
    Work(2, 1, "gateway", "router approval egress", "CLIENT", 1.1, 21.8, {"upstream_cluster.name": "approval"}),
    Work(3, 2, "approval", "tulou.approval.v1.ApprovalService/CreateCase", "SERVER", 2.0, 20.3, {"rpc.system": "grpc"}),
    Work(4, 3, "approval", "SELECT items", "CLIENT", 3.1, 1.9, _SQL),
    Work(5, 3, "approval", "INSERT cases", "CLIENT", 8.4, 3.6, {**_SQL, "db.statement": _INSERT}),
    Work(6, 3, "approval", "INSERT outbox", "CLIENT", 12.9, 1.1, _SQL),
    Work(7, 3, "approval", "COMMIT", "CLIENT", 14.6, 6.2, _SQL),
    Work(8, 3, "worker", "approval.CaseSubmitted publish", "PRODUCER", 41.0, 6.1, {"messaging.system": "in-process"}),
    Work(9, 8, "worker", "approval.CaseSubmitted process", "CONSUMER", 42.2, 4.4, {}, fault="mailbox full"),
)


def otlp(trace_id: str, *, start: int) -> bytes:
    """One request through gateway, server, database and worker, as OpenTelemetry exporters send it. `start` is in
    nanoseconds."""
    request = ExportTraceServiceRequest()
    for service in dict.fromkeys(work.service for work in _PLAN):
        part = request.resource_spans.add()
        part.resource.attributes.add(key="service.name").value.string_value = service
        scope = part.scope_spans.add()
        for work in (work for work in _PLAN if work.service == service):
            span = scope.spans.add(
                trace_id=bytes.fromhex(trace_id),
                span_id=work.number.to_bytes(8, "big"),
                parent_span_id=work.parent.to_bytes(8, "big") if work.parent else b"",
                name=work.name,
                kind=Span.SpanKind.Value(f"SPAN_KIND_{work.kind}"),
                start_time_unix_nano=start + round(work.after * 1e6),
                end_time_unix_nano=start + round((work.after + work.took) * 1e6),
            )
            for key, value in work.attributes.items():
                span.attributes.add(key=key).value.string_value = value
            if work.fault:
                span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=work.fault))
    return request.SerializeToString()


@contextmanager
def fake_city(directory: Path) -> Iterator[str]:
    """Serves on a free port until the block ends; gives the origin."""
    tokens.create_issuer(directory)
    key = (directory / "issuer.pem").read_bytes()
    api = load()
    portal = create_app(
        document=document_of(api),
        roles=roles_of(api),
        traces=TraceStore(directory / "traces.db"),
        issuer=Issuer(key, ISSUER, AUDIENCE),
    )
    public = jwt.PyJWKSet.from_json((directory / "jwks.json").read_text()).keys[0]
    app = Starlette(routes=[*_approval(public), Route("/credit/v1/reports:verify", _verify), Mount("/", portal)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


# Codes of reports: one that is as it was, one that has changed since; any other is unknown.
UNCHANGED, CHANGED, BROKEN = "7K3MQ9XTB2R8VHNC", "23456789ABCDEFGH", "ZZZZZZZZZZZZZZZZ"


async def _verify(request: Request) -> Response:
    code = request.query_params["code"].replace("-", "").replace(" ", "").upper()
    if code == BROKEN:
        return JSONResponse({"code": 14, "message": "The service is not available; try again."}, 503)
    if code not in (UNCHANGED, CHANGED):
        return JSONResponse({"code": 5, "message": "No report has this code."}, 404)
    answer = openapi.examples()["tulou.credit.v1.ReportService.VerifyReport"]["answer"]
    return JSONResponse({**answer, "changedSince": code == CHANGED})


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
