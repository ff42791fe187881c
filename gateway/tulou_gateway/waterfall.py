"""How one trace is laid out: a tree of spans over an axis of time on which long pauses are cut short."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tulou_gateway.otlp import Span

# A pause longer than this share of the trace is cut to that share of the work: a worker that takes up an event later
# shall not press the request that caused it into a corner.
LONG_PAUSE = 0.2
CUT_PAUSE = 0.05

_ORIGIN = re.compile(r"^[a-z]+://[^/]*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATEMENT = re.compile(r'\s*(?:(SELECT|DELETE|INSERT)\b.*?\b(?:FROM|INTO)|(UPDATE))\s+"?(\w+)', re.DOTALL)


@dataclass(frozen=True)
class Row:
    """One span. `left` and `width` are shares of the axis, 0 to 1."""

    span: Span
    depth: int
    left: float
    width: float


@dataclass(frozen=True)
class Waterfall:
    """One trace. `begin` is nanoseconds since 1970, `whole` nanoseconds. A tick is (share of the axis, nanoseconds
    since begin), a pause (share, width)."""

    begin: int
    whole: int
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, int], ...]
    pauses: tuple[tuple[float, float], ...]


class _Axis:
    """Where an instant lies, with long pauses cut."""

    def __init__(self, by_start: Sequence[Span]) -> None:
        self.begin = by_start[0].start
        self.whole = max(span.start + span.duration for span in by_start) - self.begin
        busy_until = self.begin
        self.pauses: list[tuple[int, int]] = []
        for span in by_start:
            if span.start - busy_until > self.whole * LONG_PAUSE:
                self.pauses.append((busy_until, span.start))
            busy_until = max(busy_until, span.start + span.duration)
        work = max(self.whole - sum(end - start for start, end in self.pauses), 1)
        self._cut = work * CUT_PAUSE
        self._length = work + self._cut * len(self.pauses)

    def share(self, instant: int) -> float:
        """0 at the begin, 1 at the end. No span starts or ends within a pause."""
        cut = sum(end - start - self._cut for start, end in self.pauses if instant >= end)
        return (instant - self.begin - cut) / self._length

    def ticks(self) -> list[tuple[float, int]]:
        """Quarters of an axis without pauses; else where work begins again, and the end."""
        if not self.pauses:
            return [(quarter / 4, self.whole * quarter // 4) for quarter in range(5)]
        found = [(0.0, 0)]
        for _, end in self.pauses:
            share = self.share(end)
            if found[-1][0] + 0.12 < share < 0.8:  # room for its text
                found.append((share, end - self.begin))
        return [*found, (1.0, self.whole)]


def waterfall(spans: Iterable[Span]) -> Waterfall:
    """The spans of one trace as a tree, each parent before its children and siblings by start. A span whose parent is
    not there stands at the top; so does the first of a circle. `spans` must not be empty."""
    by_start = sorted(spans, key=lambda span: (span.start, -span.duration))
    axis = _Axis(by_start)
    ids = {span.span_id for span in by_start}
    children: dict[str, list[Span]] = {}
    for span in by_start:
        children.setdefault(span.parent_id if span.parent_id in ids else "", []).append(span)
    rows: dict[str, Row] = {}
    for root in [*children.get("", []), *by_start]:
        waiting = [(root, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span.span_id not in rows:
                left = axis.share(span.start)
                rows[span.span_id] = Row(span, depth, left, axis.share(span.start + span.duration) - left)
                waiting.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))
    pauses = [(axis.share(start), axis.share(end) - axis.share(start)) for start, end in axis.pauses]
    return Waterfall(axis.begin, axis.whole, tuple(rows.values()), tuple(axis.ticks()), tuple(pauses))


def title(name: str, attributes: Mapping[str, Any]) -> str:
    """What to call a span on a page. Envoy names all of its alike: they are called by method and path, ids left out.
    SQLAlchemy names a statement after the database: it is called after its table."""
    method, url = attributes.get("http.method"), attributes.get("http.url")
    if name in ("ingress", "egress") and method and url:
        return f"{method} {_UUID.sub('…', _ORIGIN.sub('', str(url)))}"
    statement = str(attributes.get("db.statement", ""))
    if found := _STATEMENT.match(statement):
        return f"{found[1] or found[2]} {found[3]}"
    return name.partition(" ")[0] if statement else name
