"""How a server process is: asked over gRPC and over HTTP, found out by looking at its database every two seconds."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2

from tulou_chassis import probes
from tulou_chassis.db import Database
from tulou_chassis.revisions import Revisions, stored_revisions

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

EVERY_SECONDS: Final = 2.0
# Shorter than a probe's patience.
TURN_SECONDS: Final = 2.0
log = structlog.get_logger()


class Health:
    """Healthy is who reaches its database and can work on its schema: others say so, and calls are sent elsewhere."""

    def __init__(
        self,
        service: str,
        descriptors: Sequence[ServiceDescriptor],
        migrations: Path,
        database: Database,
        healthy: health.aio.HealthServicer,
    ) -> None:
        self._service = service
        self._revisions = Revisions.of(migrations)
        self._database = database
        self._healthy = healthy
        self._names = ["", *(descriptor.full_name for descriptor in descriptors)]
        self._checks = {"database": False, "schema": False, "open": True}
        probes.observe(self.checks)

    def checks(self) -> probes.Checks:
        """What was found last."""
        return {self._service: self._checks}

    def application(self, loop: asyncio.AbstractEventLoop) -> "WSGIApplication":
        """Answers, in other threads, for the process: alive is whose event loop turns."""

        def turns() -> bool:
            turned = threading.Event()
            loop.call_soon_threadsafe(turned.set)
            return turned.wait(TURN_SECONDS)

        return probes.application(live=turns, checks=lambda: self.checks() if turns() else {})

    async def look(self) -> None:
        """Looks at the database and tells what was found."""
        schema = False
        try:
            async with asyncio.timeout(EVERY_SECONDS):
                stored = await self._database.look(stored_revisions)
        except Exception as error:
            log.warning("database_unreachable", error=type(error).__name__)
            self._checks = {"database": False, "schema": False, "open": True}
        else:
            schema = self._revisions.fit(stored)
            if not schema:
                log.warning("schema_behind", stored=sorted(stored), needed=self._revisions.newest)
            self._checks = {"database": True, "schema": schema, "open": True}
        status = health_pb2.HealthCheckResponse.SERVING if schema else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self._healthy.set(name, status)

    async def keep_looking(self) -> None:
        """Looks every two seconds."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.look()

    async def end(self) -> None:
        """Tells that no more calls are wanted."""
        self._checks = self._checks | {"open": False}
        await self._healthy.enter_graceful_shutdown()
