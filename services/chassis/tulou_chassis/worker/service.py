"""What the worker of every service is made of. A service's `consumers.py` derives its `Worker` from `ServiceWorker`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import structlog
from nameko.extensions import DependencyProvider
from sqlmodel import Session

from tulou_chassis import housekeeping
from tulou_chassis.events import Publisher
from tulou_chassis.settings import Settings
from tulou_chassis.syncdb import SyncDatabase, no_publisher
from tulou_chassis.worker.methods import InHost, Pace, TraceContext
from tulou_chassis.worker.relay import Relay
from tulou_chassis.worker.replays import Replays
from tulou_chassis.worker.timers import timer

log = structlog.get_logger()


class Provide(InHost, DependencyProvider):  # type: ignore[misc]
    """Gives methods, under the name of the attribute, what `build(settings)` made when the worker started."""

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self._build = build

    def setup(self) -> None:
        super().setup()
        self._built = self._build(self._host.settings[self.service])

    def get_dependency(self, worker_ctx: object) -> Any:
        return self._built


class ServiceWorker:
    """A nameko service with relay, replays and housekeeping; subclasses add methods with `@subscribe` and `@timer`.

    nameko makes an instance for each call of a method: an instance keeps nothing.
    """

    name: ClassVar[str]
    settings: ClassVar[type[Settings]] = Settings
    # Turns what operations emit into what is published; the one that the service's servers use.
    publisher: ClassVar[Publisher] = staticmethod(no_publisher)
    pace: ClassVar[Pace] = Pace()
    # The folder with the service's migrations.
    migrations: ClassVar[Path]
    # What a metric of the service's own counts, by state; its name has dots.
    measures: ClassVar[Mapping[str, Callable[[Session], Mapping[str, int]]]] = MappingProxyType({})

    trace = TraceContext()
    relay = Relay()
    replays = Replays()

    @timer("housekeeping", seconds=3600)
    def keep_house(self, database: SyncDatabase, now: datetime) -> None:
        """Deletes what has had its time."""
        pace = self.pace
        gone = housekeeping.clean(
            database,
            now=now,
            idempotency_days=pace.idempotency_days,
            inbox_days=pace.inbox_days,
            outbox_days=pace.outbox_days,
        )
        if any(gone.values()):
            log.info("cleaned", **gone)
