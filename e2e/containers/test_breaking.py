"""Containers are killed, stopped, held and cut off while firms live through both services: all of it comes back
without a hand, nothing is lost and nothing is doubled."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from e2e.containers.load import living
from e2e.containers.stack import Containers, docker, inspect
from tulou_city.services import SERVICES

TWICE: Final = tuple(service.name + role for role in ("", "-worker") for service in SERVICES)
HELD_SECONDS: Final = 30
# The full five minutes with TULOU_E2E_BROKER_SECONDS=300.
BROKER_SECONDS: Final = int(os.environ.get("TULOU_E2E_BROKER_SECONDS", "60"))
PARTITION_SECONDS: Final = 20


def test_nothing_is_lost_or_doubled_whichever_container_is_killed(city: Containers) -> None:
    with living(city) as load:
        for service in (*TWICE, "gateway", "rabbitmq", "postgres"):
            [container, *_] = city.ids(service)
            docker("kill", container)
            # Which is what an orchestrator does.
            docker("start", container)
            load.wait_for_more()
            city.wait_until_healthy(service)
        assert load.failed, "no firm noticed any of it"


def test_a_container_that_is_stopped_drains_and_ends_with_0(city: Containers) -> None:
    with living(city) as load:
        # One of the two of each, all at once.
        with ThreadPoolExecutor() as pool:
            stopped = dict(zip(TWICE, pool.map(lambda service: stop(city, service), TWICE), strict=True))
        assert not load.failed, load.failed
        for service, container in stopped.items():
            assert inspect(container)["State"]["ExitCode"] == 0, service
            assert drained(container), docker("logs", "--tail", "50", container)
        docker("start", *stopped.values())
        load.wait_for_more()
        city.wait_until_healthy()
        # There is one of each of these, so calls fail and are sent again.
        for service in ("gateway", "rabbitmq", "postgres"):
            container = stop(city, service)
            # The images of the other two are not ours.
            assert service != "gateway" or inspect(container)["State"]["ExitCode"] == 0
            docker("start", container)
            load.wait_for_more()


def test_a_database_that_answers_nothing_for_half_a_minute(city: Containers) -> None:
    with living(city) as load:
        [container] = city.ids("postgres")
        docker("pause", container)
        time.sleep(HELD_SECONDS)
        docker("unpause", container)
        load.wait_for_more()
        city.wait_until_healthy()


def test_a_broker_that_is_away_is_waited_for_while_the_services_go_on(city: Containers) -> None:
    with living(city) as load:
        [container] = city.ids("rabbitmq")
        docker("stop", container)
        gone = time.monotonic()
        load.wait_for_more()
        time.sleep(max(0.0, BROKER_SECONDS - (time.monotonic() - gone)))
        assert not load.failed, load.failed
        docker("start", container)
        load.wait_for_more()


def test_a_broker_that_is_cut_off_is_found_again(city: Containers) -> None:
    with living(city) as load:
        [container] = city.ids("rabbitmq")
        [network] = inspect(container)["NetworkSettings"]["Networks"]
        docker("network", "disconnect", network, container)
        time.sleep(PARTITION_SECONDS)
        docker("network", "connect", "--alias", "rabbitmq", network, container)
        load.wait_for_more()
        assert not load.failed, load.failed


def stop(city: Containers, service: str) -> str:
    """Stops the service's oldest container and gives its id."""
    [container, *_] = city.ids(service)
    docker("stop", container)
    return container


def drained(container: str) -> bool:
    """Whether its last words say that it finished what it had begun."""
    said = []
    for line in docker("logs", "--tail", "200", container).splitlines():
        try:
            said.append(json.loads(line).get("event"))
        except ValueError:
            continue
    return "draining" in said and said[-1] == "stopped"
