"""One trace from the change to the last handler, as an OTLP receiver sees it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from opentelemetry import context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.tests.integration.worker.home import Home
from services.chassis.tests.integration.worker.notes import noted

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


class Receiver(ThreadingHTTPServer):
    """Keeps the spans that are posted to /v1/traces."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        spans = ExportTraceServiceRequest.FromString(body if self.path == "/v1/traces" else b"").resource_spans
        for resource in spans:
            for scope in resource.scope_spans:
                self.server.spans.extend(scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def test_publishing_and_handling_join_the_trace_of_the_change(home: Home, receiver: Receiver) -> None:
    home.environment["TULOU_OTLP_ENDPOINT"] = f"http://127.0.0.1:{receiver.server_port}"
    home.switch("answering")
    worker = home.start()
    token = context.attach(TraceContextTextMapPropagator().extract({"traceparent": f"00-{TRACE}-{CALLER}-01"}))
    home.emit(("case-1", StringValue(value="1")))
    context.detach(token)
    home.wait("the answer", lambda: home.maker.read(lambda session: noted(session, "note_answer")) != [])
    worker.end()

    spans = {span.span_id: span for span in receiver.spans if span.trace_id.hex() == TRACE}
    names = {span.span_id: span.name for span in spans.values()}
    edges = {(names.get(span.parent_span_id, span.parent_span_id.hex()), span.name) for span in spans.values()}
    assert {
        (CALLER, "maker.StringValue publish"),
        (CALLER, "maker.StringValue process"),
        ("maker.StringValue process", "taker.StringValue publish"),
        ("maker.StringValue process", "taker.StringValue process"),
    } <= edges
    kinds = {span.name: span.kind for span in spans.values()}
    assert kinds["maker.StringValue publish"] == Span.SPAN_KIND_PRODUCER
    assert kinds["maker.StringValue process"] == Span.SPAN_KIND_CONSUMER
    assert any(parent == "maker.StringValue process" and child.startswith("INSERT") for parent, child in edges)


def test_a_timer_has_a_trace_of_its_own_and_idle_polling_has_none(home: Home, receiver: Receiver) -> None:
    home.environment["TULOU_OTLP_ENDPOINT"] = f"http://127.0.0.1:{receiver.server_port}"
    home.switch("ticking")
    worker = home.start()
    home.wait("two runs", lambda: len(home.noted("tick")) >= 4)
    worker.end()

    roots = {span.name for span in receiver.spans if not span.parent_span_id}
    assert roots == {"timer tick", "timer housekeeping"}
    [first, *_] = [span for span in receiver.spans if span.name == "timer tick"]
    assert any(span.parent_span_id == first.span_id for span in receiver.spans)
