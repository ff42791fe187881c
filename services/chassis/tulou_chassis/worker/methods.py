"""How an entrypoint runs its method: as a nameko worker, in the trace of who runs it, and waited for."""

from dataclasses import dataclass
from typing import Any, Final

import structlog
from eventlet.event import Event as Outcome
from nameko.extensions import DependencyProvider, Entrypoint
from opentelemetry import context

from tulou_chassis import housekeeping
from tulou_chassis.syncdb import SyncDatabase

TRACE: Final = "trace"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a worker goes about things; in seconds where no other unit is named."""

    # After the first failure of a handler, after the second, …; after the last one more failure is final.
    retry_after: tuple[float, ...] = (0.1, 0.5, 2, 5)
    # While the database or the broker is away.
    outage: float = 1
    poll_busy: float = 0.05
    poll_idle: float = 0.25
    # How long the work of a killed process waits for another to take it over.
    lease: float = 10
    replay: float = 1
    # Between two looks at how the service is.
    look: float = 5
    batch: int = 100
    idempotency_days: int = housekeeping.IDEMPOTENCY_DAYS
    inbox_days: int = housekeeping.INBOX_DAYS
    outbox_days: int = housekeeping.OUTBOX_DAYS


class InHost:
    """What an extension of nameko's knows of where it is hosted."""

    container: Any

    def setup(self) -> None:
        self.service: str = self.container.service_name
        self._host = self.container.config["host"]
        self._database: SyncDatabase = self._host.databases[self.service]
        self._pace: Pace = self.container.service_cls.pace


class TraceContext(DependencyProvider):  # type: ignore[misc]
    """Brings the caller's span into the greenlet that nameko starts for a method."""

    def worker_setup(self, worker_ctx: Any) -> None:
        context.attach(worker_ctx.data[TRACE])
        structlog.contextvars.bind_contextvars(service=worker_ctx.service_name)


def run_method(entrypoint: Entrypoint, *arguments: object) -> None:
    """Runs the entrypoint's method and waits until it has ended. Raises what it raises."""
    outcome = Outcome()

    def ended(_worker: object, result: object, error: Any) -> tuple[object, Any]:
        outcome.send(error and error[1])
        return result, error

    entrypoint.container.spawn_worker(
        entrypoint, arguments, {}, context_data={TRACE: context.get_current()}, handle_result=ended
    )
    raised = outcome.wait()
    if raised is not None:
        raise raised
