"""The worker as a process: health, metrics, memory, its end."""

import re
import socket
from functools import partial

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.chassis.tests.integration.worker.home import Home, Process
from services.chassis.tests.integration.worker.notes import TICK_SECONDS

MEMORY_KB = 95_000


def told(worker: Process, name: str, *labels: str) -> float:
    """What the worker's metrics tell, -1 where they do not."""
    lines = worker.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith(name + "{") and all(label in line for label in labels)]
    return float(found[0].rpartition(" ")[2]) if found else -1


def test_on_sigterm_the_handler_that_runs_finishes_and_its_event_is_done(home: Home) -> None:
    home.switch("very slow")
    worker = home.start()
    home.emit(*(("case-1", StringValue(value=str(number))) for number in range(20)))
    home.wait("the first event", lambda: len(home.noted()) >= 1)

    assert worker.end() == 0

    done = len(home.noted())
    assert 1 <= done < 20
    assert "drain_cut_short" not in home.logs()
    home.switch("very slow", on=False)
    home.start()
    home.wait("the rest", lambda: len(home.noted()) >= 20)
    assert [text for _, text in home.noted()] == [str(number) for number in range(20)]


def test_a_handler_that_does_not_end_is_cut_off_and_its_event_comes_again(home: Home) -> None:
    home.environment["TULOU_DRAIN_SECONDS"] = "1"
    home.switch("endless")
    worker = home.start()
    home.emit(("case-1", StringValue(value="1")))
    home.wait("the handler", lambda: "began 1" in home.logs())

    assert worker.end() == 0

    assert "drain_cut_short" in home.logs()
    assert home.noted() == []
    home.switch("endless", on=False)
    home.start()
    home.wait("the event", lambda: home.noted() == [("case-1", "1")])


def test_metrics_tell_what_was_published_handled_and_what_waits(home: Home) -> None:
    home.switch("poison 2")
    worker = home.start()
    home.emit(("case-1", StringValue(value="1")))
    home.wait("the event", lambda: len(home.noted()) == 1)
    home.emit(("case-1", StringValue(value="2")))

    value = partial(told, worker)
    home.wait("the dead letter", lambda: value("tulou_dead_letters", 'service="taker"') == 1)
    home.wait("an empty outbox", lambda: value("tulou_outbox_backlog", 'service="maker"') == 0)
    home.wait("a run", lambda: value("tulou_timer_last_success_timestamp_seconds", 'timer="tick"') > 0)

    assert value("tulou_outbox_published_total", 'service="maker"') == 2
    assert value("tulou_events_handled_total", 'handler="note_both"', 'outcome="done"') == 1
    assert value("tulou_events_handled_total", 'handler="note_both"', 'outcome="failed"') == 5
    assert value("tulou_events_handled_total", 'handler="note_both"', 'outcome="buried"') == 1
    assert value("tulou_dead_letters", 'service="maker"') == 0
    assert value("tulou_outbox_lag_seconds", 'service="maker"') == 0
    assert value("tulou_timer_period_seconds", 'service="taker"', 'timer="tick"') == TICK_SECONDS
    assert value("tulou_timer_runs_total", 'timer="tick"', 'outcome="done"') >= 1
    assert value("tulou_relay_leads", 'service="maker"') == 1
    assert value("tulou_broker_connected", 'service="taker"') == (1 if "TULOU_AMQP_URI" in home.environment else -1)
    for check in ("database", "schema", "relay"):
        assert value("tulou_ready", 'service="taker"', f'check="{check}"') == 1


def test_a_count_that_fails_is_logged_and_asked_for_again(home: Home) -> None:
    home.switch("uncountable")
    worker = home.start()
    home.wait("the log", lambda: "condition_failed" in home.logs())
    home.switch("uncountable", on=False)
    home.emit(("case-1", StringValue(value="1")))
    home.wait("the count", lambda: told(worker, "tulou_notes", 'service="taker"', 'state="note_both"') == 1)


def test_what_waits_is_told_by_every_worker_also_while_the_broker_cannot_be_reached(cluster: Home) -> None:
    # Nothing listens there, so that no worker has ever seen the broker.
    cluster.environment["TULOU_AMQP_URI"] = "amqp://127.0.0.1:1/"
    workers = [cluster.start(), cluster.start()]
    cluster.emit(("case-1", StringValue(value="1")))

    for worker in workers:
        for told in (
            r'tulou_outbox_backlog\{.*"maker"} 1\.0',
            r'tulou_outbox_lag_seconds\{.*"maker"} [0-9.e-]*[1-9]',
            r'tulou_broker_connected\{.*"taker"} 0\.0',
        ):
            cluster.wait(told, lambda worker=worker, told=told: re.search(told, worker.get("/metrics").text))
        # What others publish would not wait for this one.
        checks = {"database": True, "schema": True, "relay": True, "subscribed": False}
        told = {"maker": checks, "taker": checks}
        cluster.wait("the checks", lambda worker=worker, told=told: worker.get("/readyz").json() == told)
        assert worker.get("/readyz").status_code == 503


def test_a_worker_waits_for_the_schema_that_it_needs_and_works_on_a_newer_one(home: Home) -> None:
    home.revision("taker", None)
    worker = home.start()
    home.emit(("case-1", StringValue(value="1")))
    home.wait("the worker's word", lambda: "schema_behind" in home.logs())
    home.wait("the checks", lambda: worker.get("/readyz").json().get("maker", {}).get("schema"))
    assert worker.get("/readyz").status_code == 503
    checks = {"database": True, "schema": False, "relay": False, "subscribed": False}
    assert worker.get("/readyz").json()["taker"] == checks
    assert worker.get("/livez").status_code == 200
    assert home.noted() == []
    assert '"working"' not in home.logs()

    home.revision("taker", "of the next release")

    home.wait("the event", lambda: home.noted() == [("case-1", "1")])
    home.wait("the good news", lambda: worker.get("/readyz").status_code == 200)


def test_a_worker_that_waits_for_its_schema_ends_when_it_is_told_to(machine: Home) -> None:
    machine.revision("maker", None)
    worker = machine.start()
    machine.wait("the worker's word", lambda: "schema_behind" in machine.logs())
    assert worker.end() == 0


def test_a_path_that_is_neither_metrics_nor_health_is_not_found(machine: Home) -> None:
    worker = machine.start()
    machine.wait("the worker", lambda: worker.get("/healthz").status_code == 200)
    good = {"database": True, "schema": True, "relay": True, "subscribed": True}
    assert worker.get("/healthz").json() == worker.get("/readyz").json() == {"maker": good, "taker": good}
    assert worker.get("/secrets").status_code == 404


def test_a_worker_of_one_service_stays_small(home: Home) -> None:
    worker = home.start("Taker")
    home.wait("the worker", lambda: worker.get("/healthz").status_code == 200)
    with open(f"/proc/{worker.popen.pid}/status") as status:
        [resident] = [int(line.split()[1]) for line in status if line.startswith("VmRSS")]
    assert resident < MEMORY_KB


def test_a_taken_port_is_named(machine: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = machine.start(address=address)
        assert other.popen.wait(60) == 1

    assert f"worker: cannot listen on {address}" in other.log.read_text()


@pytest.mark.parametrize("missing", ["TULOU_DATABASE_URL", "TULOU_KEYRING_FILE"])
def test_a_missing_setting_is_named(machine: Home, missing: str) -> None:
    del machine.environment[missing]
    worker = machine.start()
    assert worker.popen.wait(60) == 1
    assert missing in worker.log.read_text()
