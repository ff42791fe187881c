"""How a service of the worker is: looked up in its database every few seconds, told by /readyz and by metrics."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import eventlet
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from tulou_chassis import deadletters, leases, outbox
from tulou_chassis.revisions import Revisions, stored_revisions
from tulou_chassis.syncdb import SyncDatabase

# What was found longer ago counts as unknown. Longer than a look waits for a connection that is away.
FRESH_SECONDS: Final = 15.0
log = structlog.get_logger()


class Condition:
    """What was found last of one service."""

    def __init__(self, worker: Any, database: SyncDatabase) -> None:
        self.service: str = worker.name
        self._every: float = worker.pace.look
        self._revisions = Revisions.of(worker.migrations)
        self.measures: Mapping[str, Callable[[Session], Mapping[str, int]]] = worker.measures
        self._database = database
        self._looked_at = -FRESH_SECONDS
        self._schema = False
        self._oldest: datetime | None = None
        self.backlog = self.dead_letters = 0
        # When a lease's job was last done with success.
        self.succeeded: Mapping[str, datetime | None] = {}
        # By the measure's name, then by state.
        self.measured: Mapping[str, Mapping[str, int]] = {}

    @property
    def database(self) -> bool:
        """Whether the database has answered lately."""
        return time.monotonic() - self._looked_at < FRESH_SECONDS

    @property
    def schema(self) -> bool:
        """Whether the database's schema is one that this code can work on."""
        return self._schema and self.database

    @property
    def lag(self) -> float:
        """How long, in seconds, the oldest event that is not published has waited."""
        return (datetime.now(UTC) - self._oldest).total_seconds() if self._oldest else 0.0

    def keep_looking(self) -> None:
        """Looks for as long as the process runs."""
        while True:
            try:
                self._database.read(self._look)
            except SQLAlchemyError as error:
                log.warning("database_unreachable", service=self.service, error=str(error))
            except Exception:
                log.exception("condition_failed", service=self.service)
            else:
                self._looked_at = time.monotonic()
            eventlet.sleep(self._every)

    def _look(self, session: Session) -> None:
        stored = stored_revisions(session)
        self._schema = self._revisions.fit(stored)
        if not self._schema:
            log.warning("schema_behind", service=self.service, stored=sorted(stored), needed=self._revisions.newest)
            return
        self.backlog, self._oldest = outbox.waiting(session)
        self.dead_letters = deadletters.count_unresolved(session)
        self.succeeded = leases.successes(session)
        self.measured = {name: measure(session) for name, measure in self.measures.items()}
