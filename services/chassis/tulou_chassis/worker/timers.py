"""`@timer`: a method that runs once a period, however many workers there are."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Final, TypeVar

import structlog
from nameko.extensions import Entrypoint
from opentelemetry import metrics
from opentelemetry.trace import SpanKind
from sqlalchemy.exc import SQLAlchemyError

from tulou_chassis import leases
from tulou_chassis.telemetry import span
from tulou_chassis.worker.methods import InHost, run_method

# So that a worker notices when another one's clock or lease was set right.
LONGEST_SLEEP: Final = 60.0
log = structlog.get_logger()
F = TypeVar("F", bound=Callable[..., None])
_RUNS = metrics.get_meter(__name__).create_counter("tulou.timer.runs", description="Runs by timer and outcome")


def timer(name: str, seconds: float) -> Callable[[F], F]:
    """Makes `method(self, database, now)` run once every `seconds`, at first when the service is started first.

    The name says which timer it is to all workers of the service. No two runs overlap. A run that raises is logged and
    the next comes in its time; the work of a worker that was killed is taken up when its lease has run out.
    """
    return Timer.decorator(name, seconds)  # type: ignore[no-any-return]


class Timer(InHost, Entrypoint):  # type: ignore[misc]
    """One timed method; see `timer`."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__()
        self.name = name
        self.seconds = seconds

    def setup(self) -> None:
        super().setup()
        self.lease = f"timer {self.name}"
        self._host.timers.append(self)
        self._stop = Flag()

    def start(self) -> None:
        self._thread = self.container.spawn_managed_thread(self._loop)

    def stop(self) -> None:
        self._stop.set()
        self._thread.wait()

    def _loop(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                pause = min(self._tick(), LONGEST_SLEEP)
            except SQLAlchemyError as error:
                log.warning("timer_without_database", service=self.service, timer=self.name, error=str(error))
                pause = self._pace.outage

    def _tick(self) -> float:
        """Runs if it is time; gives the seconds until it may be time again."""
        # Each run is a holder of its own: the lease of the last one, kept to the end of its period, holds it off too.
        holder = uuid.uuid4().hex
        now = datetime.now(UTC)
        if not self._acquire(holder, now):
            end = self._database.read(lambda session: leases.expiry(session, self.lease))
            return max((end - now).total_seconds(), 0.01) if end else 0.01
        done = Flag()
        keeper = self.container.spawn_managed_thread(lambda: self._keep(holder, done))
        try:
            succeeded = self._run(now)
        finally:
            done.set()
            keeper.wait()
        end = now + timedelta(seconds=self.seconds)
        succeeded_at = datetime.now(UTC) if succeeded else None
        self._database.write(
            lambda session: leases.hold_until(session, self.lease, holder, end, succeeded_at=succeeded_at)
        )
        return max((end - datetime.now(UTC)).total_seconds(), 0.0)

    def _run(self, now: datetime) -> bool:
        outcome = "done"
        try:
            with span(f"timer {self.name}", SpanKind.INTERNAL, ""):
                run_method(self, self._database, now)
        except Exception:
            outcome = "failed"
            log.exception("timer_failed", service=self.service, timer=self.name)
        _RUNS.add(1, {"service": self.service, "timer": self.name, "outcome": outcome})
        return outcome == "done"

    def _acquire(self, holder: str, now: datetime) -> bool:
        return self._database.write(lambda session: leases.acquire(session, self.lease, holder, now, self._pace.lease))

    def _keep(self, holder: str, done: Flag) -> None:
        """Renews the lease while the run goes on."""
        while not done.wait(self._pace.lease / 3):
            try:
                kept = self._acquire(holder, datetime.now(UTC))
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", service=self.service, lease=self.lease, error=str(error))
                continue
            if not kept:
                log.error("lease_lost", service=self.service, lease=self.lease)
                return
