"""One process that hosts workers: what they share, its health and metrics, its end."""

import logging
import signal
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import eventlet
import eventlet.wsgi
import structlog
from eventlet.event import Event as Outcome
from nameko.runners import ServiceRunner

from tulou_chassis import probes
from tulou_chassis.logs import configure_logs
from tulou_chassis.settings import Settings, read_settings
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.telemetry import configure_telemetry, shut_telemetry_down, trace_statements
from tulou_chassis.worker import gauges
from tulou_chassis.worker.bus import AmqpBus, Bus, LocalBus
from tulou_chassis.worker.condition import Condition
from tulou_chassis.worker.relay import Relay
from tulou_chassis.worker.service import ServiceWorker
from tulou_chassis.worker.streams import StreamReader
from tulou_chassis.worker.timers import Timer

# Greenlets of one service at a time; a service has far fewer handlers and timers than that.
MAX_WORKERS: Final = 100
# How soon it is seen that a migration has come.
LOOK_SECONDS: Final = 0.2
log = structlog.get_logger()


@dataclass
class Host:
    """What nameko's extensions find as `container.config["host"]`."""

    settings: dict[str, Settings]
    databases: dict[str, SyncDatabase]
    amqp_uri: str | None
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    local_bus: LocalBus = field(default_factory=LocalBus)
    # Services that the bus does not know as subscribers yet: what is published now would pass them by.
    unsubscribed: set[str] = field(default_factory=set)
    conditions: dict[str, Condition] = field(default_factory=dict)
    relays: dict[str, Relay] = field(default_factory=dict)
    timers: list[Timer] = field(default_factory=list)
    readers: dict[str, StreamReader] = field(default_factory=dict)

    def bus(self) -> Bus:
        """A bus for one relay. A connection to the broker is not for two greenlets."""
        return AmqpBus(self.amqp_uri) if self.amqp_uri else self.local_bus

    def checks(self) -> probes.Checks:
        """For each service whether its database answers and has a schema to work on, whether its relay goes round, and
        whether what others publish has waited for it ever since; that stays so when the broker goes away.
        """
        return {
            name: {
                "database": condition.database,
                "schema": condition.schema,
                "relay": name in self.relays and self.relays[name].alive,
                "subscribed": name not in self.unsubscribed,
            }
            for name, condition in self.conditions.items()
        }


def host(workers: Sequence[type[ServiceWorker]]) -> None:
    """Runs until SIGTERM or SIGINT; then lets what runs end, for at most `drain_seconds`. Raises what ends a worker."""
    settings = {worker.name: read_settings(worker.settings) for worker in workers}
    shared = settings[workers[0].name]
    process = f"{workers[0].name}-worker" if len(workers) == 1 else "worker"
    configure_logs(process, shared)
    # What a method raises is logged by the entrypoint that ran it.
    logging.getLogger("nameko.containers").setLevel(logging.CRITICAL)
    configure_telemetry(process, shared)
    databases = {
        worker.name: SyncDatabase(
            settings[worker.name].database_for(worker.name), publisher=worker.publisher, pool=shared.database_pool
        )
        for worker in workers
    }
    trace_statements(shared, *(database.engine for database in databases.values()))
    host_ = Host(settings, databases, shared.amqp_uri, unsubscribed=set(settings))
    host_.conditions |= {worker.name: Condition(worker, databases[worker.name]) for worker in workers}
    probes.observe(host_.checks)
    gauges.observe(host_.conditions, host_.relays, host_.readers, host_.timers)
    app = probes.application(live=lambda: True, checks=host_.checks)
    web = eventlet.spawn(eventlet.wsgi.server, _listen(shared.metrics_address), app, log_output=False)
    ending = Outcome()

    def end(*_: object) -> None:
        # It may run in eventlet's hub, which must not wait: sending does not.
        if not ending.ready():
            ending.send()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for condition in host_.conditions.values():
        eventlet.spawn(condition.keep_looking)
    # On an older schema nothing could be done; the migration may be on its way.
    while not ending.ready() and not all(condition.schema for condition in host_.conditions.values()):
        ending.wait(timeout=LOOK_SECONDS)
    if not ending.ready():
        _work(workers, host_, ending, shared)
    web.kill()
    for database in databases.values():
        database.close()
    shut_telemetry_down()
    log.info("stopped")


def _work(workers: Sequence[type[ServiceWorker]], host_: Host, ending: Outcome, settings: Settings) -> None:
    runner = ServiceRunner({"host": host_, "max_workers": MAX_WORKERS})
    for worker in workers:
        runner.add_service(worker)
    runner.start()
    eventlet.spawn(_end, ending, runner, settings.drain_seconds)
    log.info("working", services=list(host_.settings), address=settings.metrics_address)
    runner.wait()


def _end(ending: Outcome, runner: ServiceRunner, seconds: float) -> None:
    ending.wait()
    log.info("draining", seconds=seconds)
    with eventlet.Timeout(seconds, False):
        runner.stop()
        return
    log.warning("drain_cut_short", seconds=seconds)
    runner.kill()


def _listen(address: str) -> Any:
    host, port = probes.split(address)
    try:
        return eventlet.listen((host, port), socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise SystemExit(f"worker: cannot listen on {address}: {error.strerror}") from None
