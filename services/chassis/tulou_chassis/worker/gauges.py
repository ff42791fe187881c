"""Metrics of a worker that are looked up when they are asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from tulou_chassis.worker.condition import Condition
from tulou_chassis.worker.relay import Relay
from tulou_chassis.worker.streams import StreamReader
from tulou_chassis.worker.timers import Timer


def observe(
    conditions: Mapping[str, Condition],
    relays: Mapping[str, Relay],
    readers: Mapping[str, StreamReader],
    timers: Sequence[Timer],
) -> None:
    """Tells what services, by their names, and their relays, consumers and timers are at, also those that come later.

    What was read from the database is told while the database answers, by each worker of a service alike.
    """
    meter = metrics.get_meter(__name__)

    def gauge(name: str, unit: str, description: str, observe: Callable[[], Iterable[Observation]]) -> None:
        def values(_options: CallbackOptions) -> Iterable[Observation]:
            return list(observe())

        meter.create_observable_gauge(name, [values], unit, description)

    def of_each(value: Callable[[Condition], float]) -> Callable[[], Iterable[Observation]]:
        return lambda: (Observation(value(one), {"service": one.service}) for one in known())

    def known() -> Iterable[Condition]:
        return (one for one in conditions.values() if one.schema)

    def successes() -> Iterable[Observation]:
        for timer in timers:
            condition = conditions[timer.service]
            if condition.schema:
                at = condition.succeeded.get(timer.lease)
                yield Observation(at.timestamp() if at else 0, {"service": timer.service, "timer": timer.name})

    def measured(name: str) -> Callable[[], Iterable[Observation]]:
        return lambda: (
            Observation(count, {"service": one.service, "state": state})
            for one in known()
            for state, count in one.measured.get(name, {}).items()
        )

    gauge("tulou.outbox.backlog", "", "Events that are not published yet", of_each(lambda one: one.backlog))
    gauge("tulou.outbox.lag", "s", "How long the oldest of them has waited", of_each(lambda one: one.lag))
    gauge("tulou.dead_letters", "", "Events that a handler gave up on", of_each(lambda one: one.dead_letters))
    gauge(
        "tulou.relay.leads",
        "",
        "1 where this process publishes the service's events, else 0",
        lambda: (Observation(int(relay.leads), {"service": name}) for name, relay in relays.items()),
    )
    gauge(
        "tulou.broker.connected",
        "",
        "1 where this process reads the service's queues or waits for its turn, else 0",
        lambda: (Observation(int(reader.connected), {"service": name}) for name, reader in readers.items()),
    )
    gauge(
        "tulou.timer.last_success_timestamp", "s", "When the timer last succeeded, whoever ran it; 0: never", successes
    )
    gauge(
        "tulou.timer.period",
        "s",
        "How often the timer is to run",
        lambda: (Observation(one.seconds, {"service": one.service, "timer": one.name}) for one in timers),
    )
    for condition in conditions.values():
        for name, measure in condition.measures.items():
            gauge(name, "", measure.__doc__ or "", measured(name))
