"""The small store of spans of one machine."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tulou_gateway.otlp import LogRecord, Span
from tulou_gateway.waterfall import title

MAX_SPANS = 50_000
MAX_AGE_SECONDS = 3 * 24 * 3600
MAX_SHOWN = 2000  # spans of one trace
MAX_LISTED = 200  # traces of one list
SECOND = 1_000_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spans (
  number INTEGER PRIMARY KEY,
  trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT NOT NULL,
  service TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
  start INTEGER NOT NULL, duration INTEGER NOT NULL, error INTEGER NOT NULL,
  message TEXT NOT NULL, attributes TEXT NOT NULL, events TEXT NOT NULL, links TEXT NOT NULL,
  UNIQUE (trace_id, span_id)
);
CREATE INDEX IF NOT EXISTS spans_start ON spans (start);
CREATE TABLE IF NOT EXISTS logs (
  number INTEGER PRIMARY KEY,
  trace_id TEXT NOT NULL, span_id TEXT NOT NULL, time INTEGER NOT NULL,
  level TEXT NOT NULL, text TEXT NOT NULL, attributes TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS logs_trace ON logs (trace_id);
"""
_NAMES = [field.name for field in fields(Span)]
_COLUMNS = ", ".join(_NAMES)
_AS_JSON = ("attributes", "events", "links")


@dataclass(frozen=True)
class Summary:
    """One trace in the list. `service` and `title` are its root's; `services` stand in the order in which the trace
    reached them; `duration` is that of its longest span: what the caller waited, however late a worker took up the
    rest. Nanoseconds."""

    trace_id: str
    start: int
    duration: int
    service: str
    title: str
    services: tuple[str, ...]
    spans: int
    errors: int


class TraceStore:
    """Spans in one SQLite file, the newest MAX_SPANS of the last MAX_AGE_SECONDS. May be called from any thread."""

    def __init__(self, path: Path | str, *, max_spans: int = MAX_SPANS) -> None:
        self._max_spans = max_spans
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False)
        # What a power failure may take is not worth a sync of the disk.
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + _SCHEMA)

    def add(self, spans: Sequence[Span], *, now: int) -> None:
        """Keeps the spans, each once though exporters repeat them, and drops what is too old at `now` (nanoseconds) or
        too much."""
        rows = [
            (
                *(
                    s.trace_id,
                    s.span_id,
                    s.parent_id,
                    s.service,
                    s.name,
                    s.kind,
                    s.start,
                    s.duration,
                    s.error,
                    s.message,
                ),
                *(json.dumps(part, ensure_ascii=False) for part in (s.attributes, s.events, s.links)),
            )
            for s in spans
        ]
        marks = ", ".join("?" * 13)
        with self._lock, self._connection as connection:
            connection.executemany(f"INSERT OR IGNORE INTO spans ({_COLUMNS}) VALUES ({marks})", rows)
            connection.execute(
                "DELETE FROM spans WHERE number <= (SELECT max(number) FROM spans) - ?", (self._max_spans,)
            )
            connection.execute("DELETE FROM spans WHERE start < ?", (now - MAX_AGE_SECONDS * SECOND,))

    def add_logs(self, records: Sequence[LogRecord], *, now: int) -> None:
        """Keeps log records beside their spans, within the same bounds."""
        rows = [
            (r.trace_id, r.span_id, r.time, r.level, r.text, json.dumps(r.attributes, ensure_ascii=False))
            for r in records
        ]
        with self._lock, self._connection as connection:
            connection.executemany(
                "INSERT INTO logs (trace_id, span_id, time, level, text, attributes) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            connection.execute(
                "DELETE FROM logs WHERE number <= (SELECT max(number) FROM logs) - ?", (self._max_spans,)
            )
            connection.execute("DELETE FROM logs WHERE time < ?", (now - MAX_AGE_SECONDS * SECOND,))

    def recent(
        self, *, service: str = "", min_duration: int = 0, errors_only: bool = False, limit: int = 50
    ) -> list[Summary]:
        """The newest traces that touch `service` ("" means any) and take at least `min_duration` nanoseconds; at most
        `limit`, which is at most MAX_LISTED."""
        query = """SELECT trace_id, max(duration), count(*), sum(error) FROM spans GROUP BY trace_id
                   HAVING max(duration) >= :least AND sum(error) >= :errors
                     AND (:service = '' OR sum(service = :service))
                   ORDER BY min(start) DESC LIMIT :limit"""
        values = {
            "least": min_duration,
            "errors": int(errors_only),
            "service": service,
            "limit": max(1, min(limit, MAX_LISTED)),
        }
        with self._lock:
            return [self._summary(*row) for row in self._connection.execute(query, values).fetchall()]

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace by start, at most MAX_SHOWN; none when it is not known. What a service logged within a
        span is among the span's events."""
        query = f"SELECT {_COLUMNS} FROM spans WHERE trace_id = ? ORDER BY start, number LIMIT ?"
        logged = "SELECT span_id, time, level, text, attributes FROM logs WHERE trace_id = ? ORDER BY time LIMIT ?"
        with self._lock:
            rows = self._connection.execute(query, (trace_id, MAX_SHOWN)).fetchall()
            records = self._connection.execute(logged, (trace_id, MAX_SHOWN)).fetchall()
        spans = {span.span_id: span for span in map(_span, rows)}
        for span_id, time, level, text, attributes in records:
            if span := spans.get(span_id):
                event = {"name": f"{level} {text}", "after": time - span.start, "attributes": json.loads(attributes)}
                span.events.append(event)
        return list(spans.values())

    def services(self) -> list[str]:
        """The services that have sent spans, by name."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT service FROM spans ORDER BY service").fetchall()
        return [name for (name,) in rows]

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _summary(self, trace_id: str, duration: int, spans: int, errors: int) -> Summary:
        # The root is the first span whose parent is not here: a caller may have sent a trace context of its own.
        query = """SELECT service, name, start, attributes FROM spans a WHERE trace_id = ? ORDER BY EXISTS
                   (SELECT 1 FROM spans b WHERE b.trace_id = a.trace_id AND b.span_id = a.parent_id), start"""
        rows = self._connection.execute(query, (trace_id,)).fetchall()
        service, name, start, attributes = rows[0]
        services = dict.fromkeys(row[0] for row in [rows[0], *sorted(rows, key=lambda row: row[2])])
        shown = title(name, json.loads(attributes))
        return Summary(trace_id, start, duration, service, shown, tuple(services), spans, errors)


def _row(span: Span) -> list[Any]:
    values = ((name, getattr(span, name)) for name in _NAMES)
    return [json.dumps(value, ensure_ascii=False) if name in _AS_JSON else value for name, value in values]


def _span(row: Sequence[Any]) -> Span:
    values = dict(zip(_NAMES, row, strict=True))
    values |= {name: json.loads(values[name]) for name in _AS_JSON}
    return Span(**{**values, "error": bool(values["error"])})
