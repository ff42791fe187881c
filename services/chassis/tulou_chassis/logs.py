"""Structured logs: one JSON object a line on standard output, with a constant event name, fields and the trace id.

Where telemetry is exported the same records go to OpenTelemetry, so that they can be read beside their trace.
"""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from opentelemetry import context, trace
from opentelemetry._logs import SeverityNumber, get_logger
from pydantic_core import to_json

from tulou_chassis.settings import Settings

# Hands on to the provider once there is one.
_records = get_logger("tulou_chassis")


def configure_logs(service: str, settings: Settings) -> None:
    """Sends structlog's and the standard library's records to standard output as JSON."""
    level: int = getattr(logging, settings.log_level)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    if settings.otlp_endpoint is not None:
        shared.append(_export)
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(lambda value, **_options: _json(value).decode()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, level), force=True)


def _add_trace(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        fields["trace_id"] = f"{context.trace_id:032x}"
    return fields


def _export(_logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hands the record to OpenTelemetry; until that is configured it reaches no one."""
    record = fields.get("_record")
    if record is not None and record.name.startswith("opentelemetry"):
        # What the exporter says of its own failure must not be the next thing it has to export.
        return fields
    attributes = {key: value for key, value in fields.items() if isinstance(value, (str, int, float, bool))}
    text = str(attributes.pop("event", ""))
    level = logging.getLevelName(method.upper()) if method != "exception" else logging.ERROR
    _records.emit(
        # OpenTelemetry has four steps where the standard library has ten.
        severity_number=SeverityNumber(level // 10 * 4 + 1) if isinstance(level, int) else SeverityNumber.INFO,
        severity_text=method.upper(),
        body=text,
        attributes=attributes,
        context=context.get_current(),
        timestamp=time.time_ns(),
    )
    return fields


def _json(value: Any, **_options: Any) -> bytes:
    return to_json(value, fallback=str)
