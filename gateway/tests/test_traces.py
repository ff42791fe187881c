"""Spans from the wire into the store, and from the store onto the page."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from tulou_gateway import otlp
from tulou_gateway.otlp import Malformed, Span, TooLarge, inflate, spans_of
from tulou_gateway.trace_pages import clock, duration
from tulou_gateway.traces import MAX_AGE_SECONDS, SECOND, TraceStore
from tulou_gateway.waterfall import title, waterfall

NOW = 1_790_000_000 * SECOND
MS = SECOND // 1000


def span(
    number: int, parent: int = 0, *, trace: int = 1, service: str = "approval", after: int = 0, took: int = 1
) -> Span:
    """A span of trace `trace` that starts `after` ms into it and takes `took` ms."""
    return Span(
        trace_id=f"{trace:032x}",
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        service=service,
        name=f"span {number}",
        kind="server",
        start=NOW + trace * SECOND + after * MS,
        duration=took * MS,
        error=False,
        message="",
        attributes={"answer": 42},
        events=[{"name": "retry", "after": 5, "attributes": {"why": "busy"}}],
        links=[],
    )


@pytest.fixture
def store() -> Iterator[TraceStore]:
    found = TraceStore(":memory:")
    yield found
    found.close()


def request(**changes: object) -> ExportTraceServiceRequest:
    """One good span, with `changes`."""
    whole: dict[str, object] = {
        "trace_id": b"\x01" * 16,
        "span_id": b"\x02" * 8,
        "name": "GetCase",
        "kind": OtlpSpan.SPAN_KIND_SERVER,
        "start_time_unix_nano": NOW,
        "end_time_unix_nano": NOW + 7,
    }
    found = ExportTraceServiceRequest()
    part = found.resource_spans.add()
    part.resource.attributes.add(key="service.name").value.string_value = "approval"
    part.scope_spans.add().spans.append(OtlpSpan(**{**whole, **changes}))  # type: ignore[arg-type]
    return found


def one(sent: ExportTraceServiceRequest) -> Span:
    (found,), rejected = spans_of(sent.SerializeToString())
    assert rejected == 0
    return found


def test_a_span_is_read_whole() -> None:
    sent = request(parent_span_id=b"\x03" * 8)
    wire = sent.resource_spans[0].scope_spans[0].spans[0]
    wire.attributes.add(key="rpc.system").value.string_value = "grpc"
    wire.attributes.add(key="retries").value.int_value = 2
    wire.events.add(name="exception", time_unix_nano=NOW + 3).attributes.add(
        key="type"
    ).value.string_value = "ValueError"
    wire.links.add(trace_id=b"\x09" * 16, span_id=b"\x08" * 8)
    wire.status.code = 2
    wire.status.message = "no"
    assert one(sent) == Span(
        trace_id="01" * 16,
        span_id="02" * 8,
        parent_id="03" * 8,
        service="approval",
        name="GetCase",
        kind="server",
        start=NOW,
        duration=7,
        error=True,
        message="no",
        attributes={"retries": 2, "rpc.system": "grpc"},
        events=[{"name": "exception", "after": 3, "attributes": {"type": "ValueError"}}],
        links=["09" * 16],
    )


def test_a_parent_of_zeros_is_none() -> None:
    assert one(request(parent_span_id=bytes(8))).parent_id == ""


def test_lists_maps_bytes_and_numbers_that_are_none_become_text() -> None:
    sent = request()
    attributes = sent.resource_spans[0].scope_spans[0].spans[0].attributes
    attributes.add(key="list").value.array_value.values.add().string_value = "土"
    attributes.add(key="map").value.kvlist_value.values.add(key="k").value.bool_value = True
    attributes.add(key="bytes").value.bytes_value = b"\x01\xff"
    attributes.add(key="nan").value.double_value = float("nan")
    attributes.add(key="nothing")
    assert one(sent).attributes == {
        "list": '["土"]',
        "map": '{"k": true}',
        "bytes": "01ff",
        "nan": "nan",
        "nothing": None,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"trace_id": b"short"},
        {"span_id": b""},
        {"parent_span_id": b"short"},
        {"end_time_unix_nano": NOW - 1},
        {"start_time_unix_nano": 0},
        {"start_time_unix_nano": 2**63, "end_time_unix_nano": 2**63},
    ],
    ids=["trace id", "no span id", "parent id", "ends before it starts", "no start", "far future"],
)
def test_a_span_that_cannot_be_is_counted_and_left_out(changes: dict[str, object]) -> None:
    assert spans_of(request(**changes).SerializeToString()) == ([], 1)


def test_what_is_no_request_is_malformed() -> None:
    with pytest.raises(Malformed):
        spans_of(b"\xff\xff\xff not protobuf")


def test_long_texts_and_many_attributes_are_cut() -> None:
    sent = request()
    wire = sent.resource_spans[0].scope_spans[0].spans[0]
    for number in range(500):
        wire.attributes.add(key=f"key {number:03}").value.string_value = "长" * 5000
        wire.events.add(name="again", time_unix_nano=NOW)
    found = one(sent)
    assert len(found.attributes) == otlp.MAX_ATTRIBUTES
    assert len(found.events) == otlp.MAX_EVENTS
    assert {len(value) for value in found.attributes.values()} == {otlp.MAX_TEXT}


def test_a_resource_without_a_name_is_unknown() -> None:
    sent = request()
    del sent.resource_spans[0].resource.attributes[:]
    assert one(sent).service == "unknown"


def test_gzip_is_unpacked() -> None:
    assert inflate(gzip.compress(b"spans")) == b"spans"


def test_a_gzip_bomb_is_refused_before_it_bursts() -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=1)
    assert len(bomb) < otlp.MAX_BODY
    with pytest.raises(TooLarge):
        inflate(bomb)


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"spans")[:-4]], ids=["no gzip", "cut off"])
def test_broken_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        inflate(body)


def test_what_is_kept_can_be_read_again(store: TraceStore) -> None:
    kept = [span(1), replace(span(2, 1, after=3), error=True, message="no")]
    store.add(kept, now=NOW)
    assert store.trace(kept[0].trace_id) == kept
    assert store.trace("f" * 32) == []


def test_a_span_that_is_sent_twice_is_kept_once(store: TraceStore) -> None:
    store.add([span(1)], now=NOW)
    store.add([span(1), span(2, 1)], now=NOW)
    assert [found.span_id for found in store.trace(span(1).trace_id)] == [span(1).span_id, span(2).span_id]


def test_the_store_never_holds_more_than_its_bound() -> None:
    store = TraceStore(":memory:", max_spans=100)
    for trace in range(1, 31):
        store.add([span(number, trace=trace) for number in range(1, 11)], now=NOW)
    assert sum(summary.spans for summary in store.recent(limit=200)) == 100
    assert store.trace(span(1, trace=1).trace_id) == []
    assert len(store.trace(span(1, trace=30).trace_id)) == 10
    store.close()


def test_what_is_too_old_goes(store: TraceStore) -> None:
    store.add([span(1, trace=1), span(1, trace=100)], now=NOW)
    store.add([], now=NOW + (MAX_AGE_SECONDS + 50) * SECOND)
    assert [summary.trace_id for summary in store.recent()] == [span(1, trace=100).trace_id]


def test_the_list_names_root_services_and_errors(store: TraceStore) -> None:
    store.add(
        [
            replace(span(3, 2, service="worker", after=40, took=9), error=True),
            span(2, 1, service="approval", after=2, took=5),
            # The caller sent a trace context: the root's parent is not ours.
            span(1, 99, service="gateway", took=10),
        ],
        now=NOW,
    )
    (summary,) = store.recent()
    assert (summary.service, summary.title) == ("gateway", "span 1")
    assert summary.services == ("gateway", "approval", "worker")
    assert (summary.spans, summary.errors, summary.duration) == (3, 1, 10 * MS)


def test_the_list_is_newest_first_and_bounded(store: TraceStore) -> None:
    store.add([span(1, trace=trace) for trace in range(1, 301)], now=NOW)
    assert [summary.trace_id for summary in store.recent(limit=2)] == [
        span(1, trace=300).trace_id,
        span(1, trace=299).trace_id,
    ]
    assert len(store.recent(limit=10_000)) == 200
    assert len(store.recent(limit=0)) == 1


def test_the_list_can_be_narrowed(store: TraceStore) -> None:
    store.add(
        [span(1, trace=1, service="grid"), span(1, trace=2, took=50), replace(span(1, trace=3), error=True)], now=NOW
    )

    def found(**filters: object) -> list[int]:
        return [int(summary.trace_id, 16) for summary in store.recent(**filters)]  # type: ignore[arg-type]

    assert found(service="grid") == [1]
    assert found(min_duration=20 * MS) == [2]
    assert found(errors_only=True) == [3]
    assert found(service="grid", errors_only=True) == []
    assert store.services() == ["approval", "grid"]


def test_a_file_is_read_again_after_a_restart(tmp_path: Path) -> None:
    first = TraceStore(tmp_path / "traces.db")
    first.add([span(1)], now=NOW)
    first.close()
    second = TraceStore(tmp_path / "traces.db")
    assert second.trace(span(1).trace_id) == [span(1)]
    second.close()


def shape(*spans: Span) -> list[tuple[str, int]]:
    return [(row.span.name, row.depth) for row in waterfall(spans).rows]


def test_the_waterfall_puts_children_below_their_parents() -> None:
    spans = [span(4, 3, after=6, took=1), span(2, 1, after=1, took=2), span(3, 1, after=5, took=3), span(1, took=10)]
    assert shape(*spans) == [("span 1", 0), ("span 2", 1), ("span 3", 1), ("span 4", 2)]
    rows = waterfall(spans).rows
    assert (rows[0].left, rows[0].width) == (0, 1)
    assert (rows[2].left, rows[2].width) == pytest.approx((0.5, 0.3))


def test_the_axis_without_long_pauses_has_quarters() -> None:
    found = waterfall([span(1, took=10), span(2, 1, after=11, took=9)])
    assert found.ticks == ((0, 0), (0.25, 5 * MS), (0.5, 10 * MS), (0.75, 15 * MS), (1, 20 * MS))
    assert found.pauses == ()


def test_a_long_pause_is_cut_short() -> None:
    found = waterfall([span(1, took=10), span(2, 1, after=90, took=10)])
    first, second = found.rows
    # 20 ms of work and a pause drawn as 5% of it.
    assert (first.left, first.width) == pytest.approx((0, 10 / 21))
    assert (second.left, second.width) == pytest.approx((11 / 21, 10 / 21))
    ((left, width),) = found.pauses
    assert (left, width) == pytest.approx((10 / 21, 1 / 21))
    assert [after for _, after in found.ticks] == [0, 90 * MS, 100 * MS]
    assert found.whole == 100 * MS


def test_what_runs_meanwhile_is_no_pause() -> None:
    assert waterfall([span(1, took=100), span(2, 1, took=1), span(3, 1, after=90, took=1)]).pauses == ()


def test_spans_whose_parent_is_missing_stand_at_the_top() -> None:
    spans = [span(1), span(5, 4, after=2), span(6, 5, after=3)]
    assert shape(*spans) == [("span 1", 0), ("span 5", 0), ("span 6", 1)]


def test_a_circle_of_spans_is_drawn_once() -> None:
    spans = [span(1, 2), span(2, 1, after=1), span(3, 3, after=2)]
    assert shape(*spans) == [("span 1", 0), ("span 2", 1), ("span 3", 0)]


def test_a_waterfall_of_spans_without_length_has_no_division_by_zero() -> None:
    assert [(row.left, row.width) for row in waterfall([span(1, took=0)]).rows] == [(0, 0)]


def test_a_deep_trace_does_not_exhaust_the_stack() -> None:
    rows = waterfall([span(number, number - 1, after=number) for number in range(1, 3001)]).rows
    assert rows[-1].depth == 2999


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 µs"),
        (830_400, "830 µs"),
        (999_499, "999 µs"),
        (999_500, "1.0 ms"),
        (12_345_678, "12.3 ms"),
        (999_949_999, "999.9 ms"),
        (999_950_000, "1.00 s"),
        (61_240_000_000, "61.24 s"),
    ],
)
def test_durations_read_well(nanoseconds: int, text: str) -> None:
    assert duration(nanoseconds) == text


def test_instants_are_shown_in_shanghai() -> None:
    assert clock(1_790_000_000 * SECOND + 204_900_000) == "2026-09-21 22:13:20.204"


def test_envoys_spans_are_called_by_method_and_path() -> None:
    url = "http://127.0.0.1:8080/approval/v1/cases/366ad278-29cd-44d5-9805-181f3e92d952:grant"
    assert title("ingress", {"http.method": "POST", "http.url": url}) == "POST /approval/v1/cases/…:grant"
    assert title("GrantCase", {"http.method": "POST", "http.url": url}) == "GrantCase"
    assert title("ingress", {}) == "ingress"


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT a, b \nFROM case_file \nWHERE id = ?", "SELECT case_file"),
        ("INSERT INTO counter (name) VALUES (?) ON CONFLICT DO UPDATE SET value = 1", "INSERT counter"),
        ('UPDATE "case_file" SET title=?', "UPDATE case_file"),
        ("DELETE FROM outbox WHERE id = ?", "DELETE outbox"),
        ("BEGIN IMMEDIATE", "BEGIN"),
        ("SELECT 1", "BEGIN"),
    ],
)
def test_statements_are_called_after_their_table(statement: str, shown: str) -> None:
    assert title("BEGIN /var/db/approval.db", {"db.statement": statement}) == shown
