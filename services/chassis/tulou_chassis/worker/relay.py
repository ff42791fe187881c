"""The outbox relay: one process at a time places a service's new events in order and hands them to the bus."""

import time
from datetime import UTC, datetime
from threading import Event as Flag
from typing import Final

import structlog
from nameko.extensions import DependencyProvider
from opentelemetry import metrics
from opentelemetry.trace import SpanKind
from sqlalchemy.exc import SQLAlchemyError

from tulou_chassis import leases, outbox
from tulou_chassis.events import envelope
from tulou_chassis.telemetry import span
from tulou_chassis.worker.bus import Bus, BusError
from tulou_chassis.worker.methods import InHost

LEASE: Final = "relay"
ALIVE_SECONDS: Final = 10
LONGEST_PAUSE: Final = 5.0
log = structlog.get_logger()
_METER = metrics.get_meter(__name__)
_PUBLISHED = _METER.create_counter("tulou.outbox.published", description="Events handed to the bus")


class Relay(InHost, DependencyProvider):  # type: ignore[misc]
    """Two loops: one holds the lease and gives new rows their positions, one publishes what has a position.

    Placing goes on while the bus is stuck, so streams read from the outbox stay fresh. A crash between publishing and
    marking publishes again. Whoever publishes goes by position, so no event comes for the first time after a later one.
    """

    def setup(self) -> None:
        super().setup()
        self._holder: str = self._host.holder
        self._bus: Bus = self._host.bus()
        self._stop = Flag()
        self._news = Flag()
        self._leads_until = 0.0
        self._renew_at = 0.0
        self._polled_at = 0.0
        # Says to look up from where on to publish: at the beginning, and when events are to go out again. Not said in
        # a number, which could be older than what has been published meanwhile.
        self._look_up = Flag()
        self.placed = self.published = 0
        self._host.relays[self.service] = self

    def start(self) -> None:
        self._threads = [self.container.spawn_managed_thread(loop) for loop in (self._lead, self._publish)]

    def stop(self) -> None:
        self._stop.set()
        self._news.set()
        for thread in self._threads:
            thread.wait()
        self._bus.close()
        if self.leads:
            self._leads_until = 0.0
            try:
                self._database.write(lambda session: leases.release(session, LEASE, self._holder))
            except SQLAlchemyError as error:
                log.warning("lease_not_released", service=self.service, lease=LEASE, error=str(error))

    @property
    def alive(self) -> bool:
        """Whether the database has answered lately."""
        return time.monotonic() - self._polled_at < ALIVE_SECONDS

    @property
    def leads(self) -> bool:
        """Whether this process holds the lease."""
        return time.monotonic() < self._leads_until

    def _lead(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                placed = self._poll()
            except SQLAlchemyError as error:
                log.warning("relay_poll_failed", service=self.service, error=str(error))
                pause = self._pace.outage
                continue
            self._polled_at = time.monotonic()
            if placed:
                pause = 0.0 if placed == self._pace.batch else self._pace.poll_busy
            else:
                pause = min(pause * 2 or self._pace.poll_busy, self._pace.poll_idle)

    def _poll(self) -> int:
        if time.monotonic() >= self._renew_at:
            self._renew()
        if not self.leads or not self._database.read(outbox.any_unplaced):
            return 0
        last = self._database.write(lambda session: outbox.place(session, limit=self._pace.batch))
        placed, self.placed = last - self.placed, last
        self._news.set()
        return placed

    def _renew(self) -> None:
        now, lease = time.monotonic(), self._pace.lease
        led = self.leads
        leads = self._database.write(
            lambda session: leases.acquire(session, LEASE, self._holder, datetime.now(UTC), lease)
        )
        if leads and not led:
            self.placed = self._database.read(outbox.last_position)
            log.info("relay_leads", service=self.service, position=self.placed)
        if leads and (not led or self._database.read(outbox.last_published) < self.published):
            self._look_up.set()
            self._news.set()
        self._leads_until = now + lease if leads else 0.0
        self._renew_at = now + (lease / 3 if leads else min(self._pace.outage, lease / 3))

    def _publish(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if self._look_up.is_set():
                    self._find_place()
                if not self.leads or self.published >= self.placed or self._host.unsubscribed:
                    self._news.clear()
                    self._news.wait(self._pace.poll_idle)
                    continue
                self._publish_batch()
                failures = 0
            except (BusError, SQLAlchemyError) as error:
                log.warning("relay_publish_failed", service=self.service, position=self.published, error=str(error))
                failures += 1
                self._stop.wait(min(0.1 * 2**failures, LONGEST_PAUSE))

    def _find_place(self) -> None:
        self._look_up.clear()
        try:
            self.published = self._database.read(outbox.last_published)
        except SQLAlchemyError:
            self._look_up.set()
            raise

    def _publish_batch(self) -> None:
        first = done = self.published
        rows = self._database.read(lambda session: outbox.behind(session, first, limit=self._pace.batch))
        try:
            for row in rows:
                if self._stop.is_set() or not self.leads:
                    break
                event = envelope(row, source=self.service)
                name = f"{event.source}.{event.type}"
                attributes = {"messaging.destination.name": name, "messaging.message.id": event.id}
                with span(f"{name} publish", SpanKind.PRODUCER, event.traceparent, **attributes):
                    self._bus.publish(event)
                done = event.position
        finally:
            if done > first:
                self._bus.settle()
                self._database.write(
                    lambda session: outbox.mark_published(session, after=first, upto=done, now=datetime.now(UTC))
                )
                self.published = done
                _PUBLISHED.add(done - first, {"service": self.service})
