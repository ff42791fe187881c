"""Reads what OpenTelemetry exporters send: OTLP over HTTP, traces and logs, as protobuf."""

import json
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

MAX_BODY = 4 * 1024 * 1024
MAX_TEXT = 2000
MAX_ATTRIBUTES = 64
MAX_EVENTS = 20


class Malformed(ValueError):
    """The body is not what its headers say."""


class TooLarge(ValueError):
    """The body is larger than MAX_BODY, or would be once unpacked."""


@dataclass(frozen=True)
class Span:
    """One stretch of work. Ids are lower-case hexadecimal, `parent_id` is "" for a root, `start` is nanoseconds since
    1970 and `duration` nanoseconds. `kind` is lower case, as in "server"."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    start: int
    duration: int
    error: bool
    message: str
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[str]


@dataclass(frozen=True)
class LogRecord:
    """One log record of a span. `time` is nanoseconds since 1970, `level` as the service wrote it, as in "INFO"."""

    trace_id: str
    span_id: str
    time: int
    level: str
    text: str
    attributes: dict[str, Any]


def inflate(body: bytes) -> bytes:
    """The content of a gzip body. Raises Malformed, and TooLarge before more than MAX_BODY is unpacked."""
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = stream.decompress(body, MAX_BODY)
    except zlib.error as error:
        raise Malformed("not gzip") from error
    if stream.unconsumed_tail:
        raise TooLarge
    if not stream.eof:
        raise Malformed("the gzip body is cut off")
    return content


def spans_of(body: bytes) -> tuple[list[Span], int]:
    """The spans of an ExportTraceServiceRequest, and how many had ids or times that cannot be. Raises Malformed.

    Texts over MAX_TEXT characters are cut, attributes over MAX_ATTRIBUTES and events over MAX_EVENTS left out.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed("not an ExportTraceServiceRequest") from error
    spans, rejected = [], 0
    for part in request.resource_spans:
        service = _service(part.resource.attributes)
        for scope in part.scope_spans:
            for span in scope.spans:
                if _is_whole(span):
                    spans.append(_span(service, span))
                else:
                    rejected += 1
    return spans, rejected


def logs_of(body: bytes) -> list[LogRecord]:
    """The records of an ExportLogsServiceRequest that belong to a span, texts cut as with spans. Raises Malformed."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed("not an ExportLogsServiceRequest") from error
    return [
        LogRecord(
            trace_id=record.trace_id.hex(),
            span_id=record.span_id.hex(),
            time=record.time_unix_nano,
            level=record.severity_text[:20],
            text=str(_plain(record.body))[:MAX_TEXT],
            attributes=_attributes(record.attributes),
        )
        for part in request.resource_logs
        for scope in part.scope_logs
        for record in scope.log_records
        if len(record.trace_id) == 16 and len(record.span_id) == 8 and 0 < record.time_unix_nano < 2**63
    ]


def _service(attributes: Iterable[KeyValue]) -> str:
    names = [one.value.string_value for one in attributes if one.key == "service.name"]
    return names[0][:100] if names and names[0] else "unknown"


def _is_whole(span: trace_pb2.Span) -> bool:
    # SQLite's integers end at 2^63; no span of now is near it.
    times = 0 < span.start_time_unix_nano <= span.end_time_unix_nano < 2**63
    return times and len(span.trace_id) == 16 and len(span.span_id) == 8 and len(span.parent_span_id) in (0, 8)


def _span(service: str, span: trace_pb2.Span) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        # Some exporters write an absent parent as zeros.
        parent_id=span.parent_span_id.hex() if any(span.parent_span_id) else "",
        service=service,
        name=span.name[:200] or "unnamed",
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
        if span.kind in trace_pb2.Span.SpanKind.values()
        else "unspecified",
        start=span.start_time_unix_nano,
        duration=span.end_time_unix_nano - span.start_time_unix_nano,
        error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=span.status.message[:MAX_TEXT],
        attributes=_attributes(span.attributes),
        events=list(_events(span)),
        links=[link.trace_id.hex() for link in span.links[:MAX_EVENTS] if len(link.trace_id) == 16],
    )


def _events(span: trace_pb2.Span) -> Iterator[dict[str, Any]]:
    for event in span.events[:MAX_EVENTS]:
        after = event.time_unix_nano - span.start_time_unix_nano
        yield {"name": event.name[:200], "after": after, "attributes": _attributes(event.attributes)}


def _attributes(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    found = [(one.key[:200], _plain(one.value)) for one, _ in zip(attributes, range(MAX_ATTRIBUTES), strict=False)]
    return dict(sorted(found))


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    plain = getattr(value, kind)
    if kind == "bytes_value":
        return bytes(plain).hex()[:MAX_TEXT]
    if kind in ("array_value", "kvlist_value"):
        return json.dumps(_nested(value), ensure_ascii=False)[:MAX_TEXT]
    if kind == "double_value" and not math.isfinite(plain):
        return str(plain)  # JSON has no word for it.
    return plain[:MAX_TEXT] if kind == "string_value" else plain


def _nested(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_nested(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _nested(one.value) for one in value.kvlist_value.values}
    return _plain(value)
