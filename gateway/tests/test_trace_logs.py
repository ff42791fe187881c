"""Log records from the wire to the span they belong to."""

import time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from gateway.tests.test_portal import Client
from gateway.tests.test_traces import MS, NOW, span
from tulou_gateway.otlp import LogRecord, Malformed, logs_of
from tulou_gateway.portal import create_app
from tulou_gateway.traces import MAX_AGE_SECONDS, SECOND, TraceStore


def request(**changes: object) -> ExportLogsServiceRequest:
    """One good record, with `changes`."""
    whole: dict[str, object] = {
        "trace_id": bytes.fromhex(span(1).trace_id),
        "span_id": bytes.fromhex(span(1).span_id),
        "time_unix_nano": span(1).start + 3 * MS,
        "severity_text": "INFO",
    }
    found = ExportLogsServiceRequest()
    record = found.resource_logs.add().scope_logs.add().log_records.add(**{**whole, **changes})  # type: ignore[arg-type]
    record.body.string_value = "call"
    record.attributes.add(key="code").value.string_value = "OK"
    return found


def records(**changes: object) -> list[LogRecord]:
    return logs_of(request(**changes).SerializeToString())


def test_a_record_is_shown_with_its_span() -> None:
    store = TraceStore(":memory:")
    store.add([span(1), span(2, 1)], now=NOW)
    store.add_logs(records(), now=NOW)

    first, second = store.trace(span(1).trace_id)

    assert first.events[-1] == {"name": "INFO call", "after": 3 * MS, "attributes": {"code": "OK"}}
    assert second.events == span(2).events


@pytest.mark.parametrize("changes", [{"trace_id": b""}, {"span_id": b"short"}, {"time_unix_nano": 0}])
def test_a_record_without_a_span_or_a_time_is_left_out(changes: dict[str, object]) -> None:
    assert records(**changes) == []


def test_what_is_no_request_is_malformed() -> None:
    with pytest.raises(Malformed):
        logs_of(b"\xff\xff")


def test_the_store_bounds_records_by_number_and_age() -> None:
    store = TraceStore(":memory:", max_spans=2)
    store.add([span(1)], now=NOW)
    for _ in range(5):
        store.add_logs(records(), now=NOW)
    assert len(store.trace(span(1).trace_id)[0].events) == len(span(1).events) + 2

    store.add_logs([], now=span(1).start + (MAX_AGE_SECONDS + 1) * SECOND)
    assert store.trace(span(1).trace_id)[0].events == span(1).events


def test_the_portal_takes_records_in_and_refuses_what_is_none() -> None:
    store = TraceStore(":memory:")
    store.add([span(1)], now=span(1).start)
    client = Client(create_app(document=b"{}", roles=[], traces=store, issuer=None))
    protobuf = {"content-type": "application/x-protobuf"}

    assert client.post("/v1/logs", content=b"\xff\xff", headers=protobuf).status_code == 400
    assert client.post("/v1/logs", content=b"{}", headers={"content-type": "application/json"}).status_code == 415
    # The portal drops by today's date what is too old, so the record is of now.
    answer = client.post(
        "/v1/logs", content=request(time_unix_nano=time.time_ns()).SerializeToString(), headers=protobuf
    )
    assert answer.status_code == 200
    assert store.trace(span(1).trace_id)[0].events[-1]["name"] == "INFO call"
