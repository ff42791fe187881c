"""OpenTelemetry for a process: traces and logs over OTLP/HTTP where an endpoint is set, metrics for Prometheus."""

from typing import Final

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider, set_logger_provider
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from sqlalchemy import Engine

from tulou_chassis.settings import Settings

EXPORT_EVERY_MS: Final = 500


def configure_telemetry(service: str, settings: Settings) -> None:
    """Sets the process' providers up; called once, before the first span. Without an endpoint no span is recorded."""
    resource = Resource.create({"service.name": service, "service.namespace": "tulou"})
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[PrometheusMetricReader()]))
    if settings.otlp_endpoint is None:
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


def trace_statements(*engines: Engine) -> None:
    """A span for every SQL statement. Statements carry placeholders, so no value of a row gets into a trace."""
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        # Its list of supported versions ends before SQLAlchemy 2.1, whose events it uses are the same; the traces that
        # the end-to-end tests assert hold statements of both drivers.
        SQLAlchemyInstrumentor().instrument(engines=list(engines), skip_dep_check=True)


def shut_telemetry_down() -> None:
    """Sends what is still waiting."""
    for provider in (trace.get_tracer_provider(), get_logger_provider()):
        if isinstance(provider, (TracerProvider, LoggerProvider)):
            provider.shutdown()
