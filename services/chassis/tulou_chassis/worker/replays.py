"""Dead letters whose replay was asked for: the handler is run again, as it was when the event came."""

from datetime import UTC, datetime
from threading import Event as Flag

import structlog
from nameko.extensions import DependencyProvider
from opentelemetry.trace import SpanKind
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from tulou.type.v1.event_pb2 import Event
from tulou_chassis import deadletters
from tulou_chassis.telemetry import span
from tulou_chassis.worker.methods import InHost
from tulou_chassis.worker.subscribe import Subscriptions

log = structlog.get_logger()


class NoHandler(LookupError):
    """No method is subscribed to the event any more."""


class Replays(InHost, DependencyProvider):  # type: ignore[misc]
    """Looks for requests every second. Several workers may: a letter is locked while one of them replays it."""

    subscriptions = Subscriptions()

    def setup(self) -> None:
        super().setup()
        self._stop = Flag()

    def start(self) -> None:
        self._thread = self.container.spawn_managed_thread(self._loop)

    def stop(self) -> None:
        self._stop.set()
        self._thread.wait()

    def _loop(self) -> None:
        while not self._stop.wait(self._pace.replay):
            try:
                requested = self._database.read(deadletters.requested)
                for letter_id in requested:
                    self._replay(letter_id)
            except SQLAlchemyError as error:
                log.warning("replays_without_database", service=self.service, error=str(error))

    def _replay(self, letter_id: int) -> None:
        try:
            letter = self._database.read(lambda session: deadletters.show(session, letter_id))
            event = Event.FromString(letter.envelope)
            with span(f"{event.source}.{event.type} process", SpanKind.CONSUMER, event.traceparent):
                self._database.write(lambda session: self._run_again(session, letter_id, event))
        except Exception as error:
            failure = deadletters.one_line(error)
            self._database.write(lambda session: deadletters.note_failure(session, letter_id, failure))
            log.warning("replay_failed", service=self.service, letter=letter_id, exc_info=True)

    def _run_again(self, session: Session, letter_id: int, event: Event) -> None:
        letter = deadletters.claim(session, letter_id)
        if letter is None:
            return
        handlers = [
            handler
            for handler in self.subscriptions.matching(event)
            if letter.handler in (handler.method_name, deadletters.ANY_HANDLER)
        ]
        if not handlers:
            raise NoHandler(f"nothing here takes in {event.source}.{event.type} as {letter.handler or 'any handler'}")
        for handler in handlers:
            self.subscriptions.apply(session, handler, event)
        letter.replayed_at = datetime.now(UTC)
        log.info("replayed", service=self.service, letter=letter_id, event_id=event.id)
