"""Two workers of the same services: one leads at a time, and each takes over from the other."""

import time
from datetime import datetime
from itertools import pairwise

from google.protobuf.wrappers_pb2 import StringValue

from services.chassis.tests.integration.worker.home import Home
from services.chassis.tests.integration.worker.notes import TICK_SECONDS
from tulou_chassis.tables import Lease


def leader(home: Home) -> str | None:
    lease = home.maker.read(lambda session: session.get(Lease, "relay"))
    return lease.holder if lease else None


def runs(home: Home) -> list[tuple[str, str]]:
    return home.noted("tick")


def test_a_timer_runs_once_a_period_and_never_twice_at_once_however_many_workers_there_are(home: Home) -> None:
    home.switch("ticking")
    for _ in range(3):
        home.start()

    home.wait("five runs", lambda: len(runs(home)) >= 10)

    words = [word for word, _ in runs(home)[:10]]
    assert words == ["began", "ended"] * 5
    starts = [datetime.fromisoformat(time_) for word, time_ in runs(home) if word == "began"]
    assert all((b - a).total_seconds() >= TICK_SECONDS for a, b in pairwise(starts))


def test_a_timer_that_fails_runs_again_in_the_next_period(machine: Home) -> None:
    machine.switch("ticking")
    machine.switch("failing tick")
    machine.start()

    machine.wait("three runs", lambda: len(runs(machine)) >= 6)

    assert machine.logs().count("timer_failed") >= 2


def test_when_the_leader_is_killed_another_worker_takes_over(home: Home) -> None:
    home.switch("ticking")
    first = home.start()
    home.wait("the first leader", lambda: leader(home) is not None)
    home.start()
    home.emit(("case-1", StringValue(value="1")))
    home.wait("the first event", lambda: home.noted() == [("case-1", "1")])
    led = leader(home)

    first.kill()
    ran = len(runs(home))
    home.emit(("case-1", StringValue(value="2")))

    home.wait("the second event", lambda: home.noted() == [("case-1", "1"), ("case-1", "2")])
    assert leader(home) != led
    home.wait("the timer", lambda: len(runs(home)) >= ran + 4)


def test_only_the_leader_publishes(home: Home) -> None:
    for _ in range(2):
        home.start()
    for number in range(30):
        home.emit(("case-1", StringValue(value=str(number))))
        time.sleep(0.02)
    home.wait("all events", lambda: len(home.noted()) == 30)

    published = [
        line
        for process in home.processes
        for line in process.get("/metrics").text.splitlines()
        if "outbox_published" in line
    ]
    counts = [float(line.rpartition(" ")[2]) for line in published if 'service="maker"' in line]
    assert counts == [30.0]


def test_a_worker_that_ends_hands_over_at_once(home: Home) -> None:
    first = home.start()
    home.wait("the first leader", lambda: leader(home) is not None)

    assert first.end() == 0

    assert leader(home) is None
