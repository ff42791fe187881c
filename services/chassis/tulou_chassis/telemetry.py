"""OpenTelemetry for a process: traces and logs over OTLP/HTTP where an endpoint is set, metrics for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import context, metrics, trace
from opentelemetry._logs import get_logger_provider, set_logger_provider
from opentelemetry.context import Context
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from tulou_chassis.settings import Settings

EXPORT_EVERY_MS: Final = 500
_TRACER = trace.get_tracer("tulou_chassis.sql")
_WORK = trace.get_tracer("tulou_chassis.worker")
_PROPAGATOR = TraceContextTextMapPropagator()


def configure_telemetry(service: str, settings: Settings) -> None:
    """Sets the process' providers up; called once, before the first span.

    Without an endpoint no span is recorded, but calls still have trace ids for logs and errors.
    """
    resource = Resource.create({"service.name": service, "service.namespace": "tulou"})
    # Exemplars, which no one could see: the reader does not tell them.
    exemplars = AlwaysOffExemplarFilter()
    metrics.set_meter_provider(
        MeterProvider(resource=resource, metric_readers=[PrometheusMetricReader()], exemplar_filter=exemplars)
    )
    if settings.otlp_endpoint is None:
        trace.set_tracer_provider(TracerProvider(resource=resource, sampler=ALWAYS_OFF))
        return
    # Imported here because a process that exports nothing need not pay for the exporter's memory.
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    endpoint = str(settings.otlp_endpoint).rstrip("/")
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.trace_ratio)))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_MS))
    trace.set_tracer_provider(provider)
    records = LoggerProvider(resource=resource)
    log_exporter = OTLPLogExporter(endpoint=f"{endpoint}/v1/logs", timeout=5)
    records.add_log_record_processor(BatchLogRecordProcessor(log_exporter, schedule_delay_millis=EXPORT_EVERY_MS))
    set_logger_provider(records)


def traceparent() -> str:
    """The running span as W3C writes it, to go on with its trace elsewhere; empty where none runs."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def span(name: str, kind: SpanKind, traceparent: str, **attributes: str) -> Iterator[Span]:
    """A span in the trace that `traceparent` names, in a new one when it is empty; nothing around it shines through."""
    token = context.attach(_PROPAGATOR.extract({"traceparent": traceparent}, context=Context()))
    try:
        with _WORK.start_as_current_span(name, kind=kind, attributes=attributes) as started:
            yield started
    finally:
        context.detach(token)


def statement_span(connection: Connection, statement: str) -> Span:
    """A started span for an SQL statement of the running span; the caller ends it.

    Statements carry placeholders, so no value of a row gets into a trace. What runs outside of a recorded span, like a
    health check's question, leaves none.
    """
    if not trace.get_current_span().is_recording():
        return trace.INVALID_SPAN
    database = connection.engine.url.database or ""
    return _TRACER.start_span(
        f"{statement.split(maxsplit=1)[0]} {database}",
        kind=SpanKind.CLIENT,
        attributes={"db.system": connection.dialect.name, "db.name": database, "db.statement": statement},
    )


def trace_statements(settings: Settings, *engines: Engine) -> None:
    """A span for every SQL statement that runs on the engines, where traces are exported."""
    if settings.otlp_endpoint is None:
        return
    for engine in engines:
        event.listen(engine, "before_cursor_execute", _begin_statement)
        event.listen(engine, "after_cursor_execute", _end_statement)
        event.listen(engine, "handle_error", _fail_statement)


def _begin_statement(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
    connection.info[_TRACER] = statement_span(connection, statement)


def _end_statement(connection: Connection, *_rest: object) -> None:
    connection.info.pop(_TRACER, trace.INVALID_SPAN).end()


def _fail_statement(context: ExceptionContext) -> None:
    if context.connection is not None:
        span = context.connection.info.pop(_TRACER, trace.INVALID_SPAN)
        span.set_status(StatusCode.ERROR)
        span.end()


def shut_telemetry_down() -> None:
    """Sends what is still waiting."""
    for provider in (trace.get_tracer_provider(), get_logger_provider()):
        if isinstance(provider, (TracerProvider, LoggerProvider)):
            provider.shutdown()
