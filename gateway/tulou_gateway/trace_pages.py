"""Spans and logs in, traces out: the OTLP receiver, the list of recent traces, the waterfall, and both as JSON."""

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tulou_gateway.otlp import MAX_BODY, Malformed, TooLarge, inflate, logs_of, spans_of
from tulou_gateway.pages import BodyTooLarge, read_body, refuse, render
from tulou_gateway.traces import SECOND, Summary, TraceStore
from tulou_gateway.waterfall import title, waterfall

PROTOBUF = "application/x-protobuf"
SHANGHAI = ZoneInfo("Asia/Shanghai")
MILLISECOND = SECOND // 1000


def trace_routes(store: TraceStore) -> list[Route]:
    """The routes over one store."""

    async def receive(request: Request, keep: Callable[[bytes], Response]) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != PROTOBUF:
            return _otlp_refusal(415, f"send {PROTOBUF}")
        encoding = request.headers.get("content-encoding", "identity")
        if encoding not in ("identity", "gzip"):
            return _otlp_refusal(415, "send gzip or nothing as content-encoding")
        try:
            body = await read_body(request, MAX_BODY)
            return await run_in_threadpool(lambda: keep(inflate(body) if encoding == "gzip" else body))
        except (BodyTooLarge, TooLarge):
            return _otlp_refusal(413, f"at most {MAX_BODY} bytes")
        except Malformed as error:
            return _otlp_refusal(400, str(error))

    async def receive_spans(request: Request) -> Response:
        return await receive(request, keep_spans)

    async def receive_logs(request: Request) -> Response:
        return await receive(request, keep_logs)

    def keep_logs(body: bytes) -> Response:
        store.add_logs(logs_of(body), now=time.time_ns())
        return Response(ExportLogsServiceResponse().SerializeToString(), media_type=PROTOBUF)

    def keep_spans(body: bytes) -> Response:
        spans, rejected = spans_of(body)
        store.add(spans, now=time.time_ns())
        answer = ExportTraceServiceResponse()
        if rejected:
            answer.partial_success.rejected_spans = rejected
            answer.partial_success.error_message = "ids or times that cannot be"
        return Response(answer.SerializeToString(), media_type=PROTOBUF)

    def search(request: Request) -> list[Summary]:
        query = request.query_params
        return store.recent(
            service=query.get("service", ""),
            min_duration=int(_number(query.get("min_ms"), 0) * MILLISECOND),
            errors_only=query.get("errors", "") in ("1", "on", "true"),
            limit=int(_number(query.get("limit"), 50)),
        )

    def traces_page(request: Request) -> Response:
        chosen = {name: request.query_params.get(name, "") for name in ("service", "min_ms", "errors", "lang")}
        return render(
            request, "traces.html", traces=search(request), services=store.services(), chosen=chosen, **_FORMATS
        )

    def traces_json(request: Request) -> Response:
        return JSONResponse({"traces": [_summary_json(summary) for summary in search(request)]})

    def trace_page(request: Request) -> Response:
        trace_id = request.path_params["trace_id"].lower()
        spans = store.trace(trace_id)
        if not spans:
            return render(request, "trace_missing.html", 404, trace_id=trace_id)
        return render(
            request,
            "trace.html",
            trace_id=trace_id,
            trace=waterfall(spans),
            services=list(dict.fromkeys(span.service for span in spans)),
            errors=sum(span.error for span in spans),
            **_FORMATS,
        )

    def trace_json(request: Request) -> Response:
        trace_id = request.path_params["trace_id"].lower()
        spans = store.trace(trace_id)
        if not spans:
            return refuse(request, 404)
        return JSONResponse({"traceId": trace_id, "spans": [_span_json(asdict(span)) for span in spans]})

    return [
        Route("/v1/traces", receive_spans, methods=["POST"]),
        Route("/v1/logs", receive_logs, methods=["POST"]),
        Route("/traces", traces_page),
        Route("/traces/{trace_id}", trace_page),
        Route("/api/traces", traces_json),
        Route("/api/traces/{trace_id}", trace_json),
    ]


def duration(nanoseconds: int) -> str:
    """A duration in the unit that fits: 830 µs, 12.3 ms, 1.24 s."""
    if nanoseconds >= 0.99995 * SECOND:  # what would round to 1000.0 ms
        return f"{nanoseconds / SECOND:.2f} s"
    if nanoseconds >= 0.9995 * MILLISECOND:
        return f"{nanoseconds / MILLISECOND:.1f} ms"
    return f"{nanoseconds / 1000:.0f} µs"


def clock(nanoseconds: int) -> str:
    """An instant in Shanghai's time, to the millisecond."""
    moment = datetime.fromtimestamp(nanoseconds // MILLISECOND / 1000, SHANGHAI)
    return moment.isoformat(sep=" ", timespec="milliseconds")[:23]


_FORMATS: dict[str, Any] = {"duration": duration, "clock": clock, "title": title}


def _number(text: str | None, default: float) -> float:
    try:
        return max(0.0, min(float(text or default), 1e9))
    except ValueError:
        return default


def _instant(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / SECOND, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "traceId": summary.trace_id,
        "start": _instant(summary.start),
        "durationMs": summary.duration / MILLISECOND,
        "service": summary.service,
        "title": summary.title,
        "services": summary.services,
        "spans": summary.spans,
        "errors": summary.errors,
    }


def _span_json(span: dict[str, Any]) -> dict[str, Any]:
    return {
        "spanId": span["span_id"],
        "parentSpanId": span["parent_id"],
        "start": _instant(span["start"]),
        "startNanos": str(span["start"]),
        "durationMs": span["duration"] / MILLISECOND,
        **{name: span[name] for name in ("service", "name", "kind", "error", "message", "attributes", "links")},
        "events": [
            {"name": event["name"], "afterMs": event["after"] / MILLISECOND, "attributes": event["attributes"]}
            for event in span["events"]
        ],
    }


def _otlp_refusal(status_code: int, message: str) -> Response:
    # OTLP wants its errors as a google.rpc.Status in the encoding of the request.
    return Response(Status(message=message).SerializeToString(), status_code, media_type=PROTOBUF)
