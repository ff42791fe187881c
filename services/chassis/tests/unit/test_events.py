"""What is noted in a session goes to the outbox once, in order, with the trace of whoever did it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from sqlalchemy import create_engine
from sqlmodel import Session, SQLModel, col, select

from tulou_chassis.events import Publication, emit, envelope, write_outbox
from tulou_chassis.tables import OutboxEvent

NOW = datetime(2026, 3, 2, 1, 2, 3, 456789, tzinfo=UTC)


@pytest.fixture
def session() -> Iterator[Session]:
    """A session on an empty outbox in memory."""
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine, [OutboxEvent.__table__])  # type: ignore[attr-defined]
    with Session(engine) as session:
        yield session
    engine.dispose()


def publish(happened: object) -> Publication:
    """What happens here are texts about a case."""
    return Publication(subject="case-1", region="350602", payload=StringValue(value=str(happened)))


def rows(session: Session) -> list[OutboxEvent]:
    return list(session.exec(select(OutboxEvent).order_by(col(OutboxEvent.id))).all())


def texts(session: Session) -> list[str]:
    found = []
    for row in rows(session):
        text = StringValue()
        assert envelope(row, source="approval").data.Unpack(text)
        found.append(text.value)
    return found


def test_what_was_noted_is_written_in_its_order(session: Session) -> None:
    for text in ("filed", "accepted", "granted"):
        emit(session, text)
    write_outbox(session, publish, now=NOW)
    assert texts(session) == ["filed", "accepted", "granted"]
    assert len({row.event_id for row in rows(session)}) == 3


def test_what_was_written_is_not_written_again(session: Session) -> None:
    emit(session, "filed")
    write_outbox(session, publish, now=NOW)
    write_outbox(session, publish, now=NOW)
    emit(session, "accepted")
    write_outbox(session, publish, now=NOW)
    assert texts(session) == ["filed", "accepted"]


def test_where_nothing_was_noted_the_database_is_not_asked(session: Session) -> None:
    def never(happened: object) -> Publication:
        raise AssertionError(happened)

    write_outbox(session, never, now=NOW)
    assert not session.in_transaction()
    assert rows(session) == []


def test_nothing_is_noted_before_it_is_written(session: Session) -> None:
    emit(session, "filed")
    assert rows(session) == []
    session.rollback()
    assert rows(session) == []


def test_what_was_written_goes_with_its_transaction(session: Session) -> None:
    emit(session, "filed")
    write_outbox(session, publish, now=NOW)
    session.rollback()
    assert rows(session) == []


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF], ids=["sampled", "not sampled"])
def test_an_event_carries_the_running_span(session: Session, sampler: Sampler) -> None:
    span = TracerProvider(sampler=sampler).get_tracer(__name__).start_span("call")
    emit(session, "filed")
    with trace.use_span(span):
        emit(session, "accepted")
        write_outbox(session, publish, now=NOW)
    span.end()
    context = span.get_span_context()
    assert context.trace_flags.sampled == (sampler is ALWAYS_ON)
    expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert [row.traceparent for row in rows(session)] == [expected, expected]


def test_without_a_span_there_is_no_trace_to_carry(session: Session) -> None:
    emit(session, "filed")
    write_outbox(session, publish, now=NOW)
    assert [row.traceparent for row in rows(session)] == [""]


def test_an_event_travels_as_it_was_published(session: Session) -> None:
    emit(session, "已受理")
    write_outbox(session, publish, now=NOW.astimezone(timezone(timedelta(hours=8))))
    [row] = rows(session)
    assert row.region == "350602"

    event = envelope(row, source="approval")

    assert (event.id, event.source, event.subject) == (row.event_id, "approval", "case-1")
    assert event.type == "StringValue"
    assert event.time.ToDatetime(UTC) == NOW
    assert event.data.type_url == "type.googleapis.com/google.protobuf.StringValue"
    text, number = StringValue(), Int64Value()
    assert event.data.Unpack(text)
    assert text.value == "已受理"
    assert not event.data.Unpack(number)


def test_an_event_has_no_position_before_the_relay_gave_it_one(session: Session) -> None:
    emit(session, "filed")
    write_outbox(session, publish, now=NOW)
    [row] = rows(session)
    assert envelope(row, source="approval").position == 0
    row.position = 7
    assert envelope(row, source="approval").position == 7
