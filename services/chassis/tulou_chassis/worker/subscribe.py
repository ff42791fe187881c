"""`@subscribe`: a method that takes events in, each once, in order, with retries and a place for dead letters."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from threading import Event as Flag
from typing import Any, TypeVar

import structlog
from google.protobuf.message import DecodeError
from kombu.utils.encoding import str_to_bytes
from nameko.extensions import Entrypoint, SharedExtension
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from tulou.type.v1.event_pb2 import Event
from tulou_chassis import deadletters, inbox
from tulou_chassis.telemetry import span
from tulou_chassis.worker.bus import BusError
from tulou_chassis.worker.methods import InHost, run_method
from tulou_chassis.worker.streams import Stream, StreamReader, acknowledge

log = structlog.get_logger()
F = TypeVar("F", bound=Callable[..., None])
T = TypeVar("T")
_HANDLED = metrics.get_meter(__name__).create_counter(
    "tulou.events.handled", description="Events by handler and outcome: done, duplicate, failed or buried"
)


class Stopping(BusError):
    """The process ends; the event will come again."""


class Unreadable(ValueError):
    """A message that is no event of the source it came from."""


def subscribe(source: str, *types: str) -> Callable[[F], F]:
    """Makes `method(self, session, event)` take in the events of these types that the service `source` publishes.

    It is called in a transaction that also holds the event's inbox entry, so what it writes is written once for each
    event. Events of one source come one after another, in the order of their positions. When it raises, the transaction
    is rolled back and the method tried again; when its tries are used up the event becomes a dead letter.
    """
    if not types:
        raise ValueError("a subscription names at least one type of event")
    return Subscription.decorator(source, *types)  # type: ignore[no-any-return]


def read_event(body: bytes, source: str) -> Event:
    """The event in a message of the source. Raises Unreadable."""
    try:
        event = Event.FromString(body)
    except DecodeError as error:
        raise Unreadable(str(error)) from error
    if not (event.id and event.type) or event.source != source:
        raise Unreadable(f"no event of {source}: id {event.id!r}, source {event.source!r}, type {event.type!r}")
    return event


class Subscriptions(InHost, SharedExtension):  # type: ignore[misc]
    """All subscriptions of one service: they share its database, and one queue for each source."""

    def __init__(self) -> None:
        self.handlers: list[Subscription] = []
        self._reader: Any = None
        self._threads: dict[Stream, Any] = {}
        self._stop = Flag()

    def start(self) -> None:
        self.handlers.sort(key=lambda handler: handler.method_name)
        if self._host.amqp_uri is None:
            self._host.local_bus.subscribers.append(self.deliver)
            self._subscribed()
        elif not self.handlers:
            self._subscribed()
        else:
            types: dict[str, set[str]] = {}
            for handler in self.handlers:
                types.setdefault(handler.source, set()).update(handler.types)
            streams = [Stream(self.service, source, types[source]) for source in sorted(types)]
            for stream in streams:
                self._threads[stream] = self.container.spawn_managed_thread(partial(self._work, stream))
            reader = StreamReader(self._host.amqp_uri, streams, self._subscribed)
            self._host.readers[self.service] = reader
            self._reader = self.container.spawn_managed_thread(reader.run)

    def finish(self) -> None:
        """Lets the handlers that run end, and takes nothing more."""
        self._stop.set()
        for stream, thread in self._threads.items():
            stream.end()
            thread.wait()
        if self._reader is not None:
            self._reader.kill()

    def deliver(self, event: Event) -> None:
        """Runs every handler of the event; returns when each has succeeded or buried it. Raises Stopping."""
        for handler in self.matching(event):
            self._pause(0)
            attributes = {
                "messaging.destination.name": f"{event.source}.{event.type}",
                "messaging.message.id": event.id,
                "tulou.handler": f"{self.service}.{handler.method_name}",
            }
            with span(f"{event.source}.{event.type} process", SpanKind.CONSUMER, event.traceparent, **attributes):
                self._handle(handler, event)

    def matching(self, event: Event) -> "list[Subscription]":
        """The subscriptions that ask for the event."""
        return [handler for handler in self.handlers if handler.source == event.source and event.type in handler.types]

    def apply(self, session: Session, handler: "Subscription", event: Event) -> bool:
        """Runs the handler in the session's transaction unless it has taken the event in before; whether it ran."""
        if not inbox.take(session, event.id, handler.method_name, now=datetime.now(UTC)):
            return False
        run_method(handler, session, event)
        return True

    def _subscribed(self) -> None:
        self._host.unsubscribed.discard(self.service)

    def _work(self, stream: Stream) -> None:
        while (message := stream.inbound.get()) is not None and not self._stop.is_set():
            try:
                self._receive(stream.source, str_to_bytes(message.body))  # type: ignore[no-untyped-call]
            except Stopping:
                return
            acknowledge(message)

    def _receive(self, source: str, body: bytes) -> None:
        try:
            event = read_event(body, source)
        except Unreadable as error:
            log.error("event_unreadable", service=self.service, source=source, error=str(error))
            # It has no id by which it could be known again, so its content stands for one.
            digest = sha256(body).hexdigest()[:36]
            self._bury(digest, deadletters.ANY_HANDLER, body, error, attempts=1)
        else:
            self.deliver(event)

    def _handle(self, handler: "Subscription", event: Event) -> None:
        names = {"service": self.service, "handler": handler.method_name}
        attempts = 0
        while True:
            try:
                ran = self._patiently(lambda session: self.apply(session, handler, event))
                _HANDLED.add(1, names | {"outcome": "done" if ran else "duplicate"})
                return
            except Stopping:
                raise
            except Exception as error:
                attempts += 1
                _HANDLED.add(1, names | {"outcome": "failed"})
                log.warning("event_failed", **names, event_id=event.id, attempts=attempts, exc_info=True)
                failure = error
            if attempts > len(self._pace.retry_after):
                break
            self._pause(self._pace.retry_after[attempts - 1])
        self._bury(event.id, handler.method_name, event.SerializeToString(), failure, attempts)
        _HANDLED.add(1, names | {"outcome": "buried"})
        trace.get_current_span().set_status(StatusCode.ERROR, "dead letter")
        log.error("event_buried", **names, event_id=event.id, attempts=attempts)

    def _bury(self, event_id: str, handler: str, envelope: bytes, error: Exception, attempts: int) -> None:
        self._patiently(
            lambda session: deadletters.bury(
                session,
                event_id=event_id,
                handler=handler,
                envelope=envelope,
                error=deadletters.one_line(error),
                attempts=attempts,
                now=datetime.now(UTC),
            )
        )

    def _patiently(self, operation: Callable[[Session], T]) -> T:
        """Writes; where the database is away, waits for it as long as it takes."""
        while True:
            try:
                return self._database.write(operation)
            except DBAPIError as error:
                if self._database.writable():
                    raise
                log.warning("database_unreachable", service=self.service, error=str(error))
            self._pause(self._pace.outage)

    def _pause(self, seconds: float) -> None:
        """Waits. Raises Stopping when the process ends."""
        if self._stop.wait(seconds):
            raise Stopping


class Subscription(Entrypoint):  # type: ignore[misc]
    """One subscribed method; see `subscribe`."""

    subscriptions = Subscriptions()

    def __init__(self, source: str, *types: str) -> None:
        super().__init__()
        self.source = source
        self.types = frozenset(types)

    def setup(self) -> None:
        self.subscriptions.handlers.append(self)

    def stop(self) -> None:
        self.subscriptions.finish()
