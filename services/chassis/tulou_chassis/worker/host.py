"""One process that hosts workers: what they share, its health and metrics, its end."""

import json
import logging
import signal
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import eventlet
import eventlet.wsgi
import structlog
from eventlet.event import Event as Outcome
from nameko.runners import ServiceRunner
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from prometheus_client import make_wsgi_app

from tulou_chassis.logs import configure_logs
from tulou_chassis.settings import Settings, read_settings
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.telemetry import configure_telemetry, shut_telemetry_down, trace_statements
from tulou_chassis.worker.bus import AmqpBus, Bus, LocalBus
from tulou_chassis.worker.relay import Relay
from tulou_chassis.worker.service import ServiceWorker

# Greenlets of one service at a time; a service has far fewer handlers and timers than that.
MAX_WORKERS: Final = 100
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
    relays: list[Relay] = field(default_factory=list)

    def bus(self) -> Bus:
        """A bus for one relay. A connection to the broker is not for two greenlets."""
        return AmqpBus(self.amqp_uri) if self.amqp_uri else self.local_bus

    def health(self) -> dict[str, bool]:
        """For each service whether its relay goes round and its database answers."""
        return {relay.service: relay.alive for relay in self.relays}


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
    runner = ServiceRunner({"host": host_, "max_workers": MAX_WORKERS})
    for worker in workers:
        runner.add_service(worker)
    _observe(host_)
    web = eventlet.spawn(eventlet.wsgi.server, _listen(shared.metrics_address), _web(host_), log_output=False)
    ending = Outcome()

    def end(*_: object) -> None:
        # It may run in eventlet's hub, which must not wait: sending does not.
        if not ending.ready():
            ending.send()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    runner.start()
    eventlet.spawn(_end, ending, runner, shared.drain_seconds)
    log.info("working", services=list(settings), address=shared.metrics_address)
    runner.wait()
    web.kill()
    for database in databases.values():
        database.close()
    shut_telemetry_down()
    log.info("stopped")


def _end(ending: Outcome, runner: ServiceRunner, seconds: float) -> None:
    ending.wait()
    log.info("draining", seconds=seconds)
    with eventlet.Timeout(seconds, False):
        runner.stop()
        return
    log.warning("drain_cut_short", seconds=seconds)
    runner.kill()


def _listen(address: str) -> Any:
    name, _, port = address.rpartition(":")
    try:
        return eventlet.listen((name, int(port)))
    except OSError as error:
        raise SystemExit(f"worker: cannot listen on {address}: {error.strerror}") from None


def _web(host_: Host) -> Callable[..., Iterable[bytes]]:
    prometheus = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            return prometheus(environ, start_response)  # type: ignore[no-any-return]
        if environ["PATH_INFO"] != "/healthz":
            start_response("404 Not Found", [("content-type", "text/plain")])
            return [b"/metrics or /healthz\n"]
        health = host_.health()
        status = "200 OK" if all(health.values()) else "503 Service Unavailable"
        start_response(status, [("content-type", "application/json")])
        return [json.dumps(health).encode() + b"\n"]

    return answer


def _observe(host_: Host) -> None:
    """Metrics that are looked up when they are asked for."""

    def of_each(value: Callable[[Relay], float]) -> Callable[[CallbackOptions], list[Observation]]:
        return lambda _: [Observation(value(relay), {"service": relay.service}) for relay in host_.relays]

    meter = metrics.get_meter(__name__)
    meter.create_observable_gauge(
        "tulou.outbox.backlog", [of_each(lambda relay: relay.backlog)], description="Events that are not published yet"
    )
    meter.create_observable_gauge(
        "tulou.outbox.lag", [of_each(lambda relay: relay.lag)], "s", "How long the oldest of them has waited"
    )
