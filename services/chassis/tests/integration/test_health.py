"""What a server process says of itself to those who start it and those who send it calls, and its end among others."""

import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import grpc
import httpx
from sqlalchemy import text

from e2e.eventually import eventually
from services.chassis.tests.house import HOUSE
from services.chassis.tests.integration.place import HOUSE_PROCESS, PATIENCE, SERVING, House, echo, free_address
from tulou_chassis.syncdb import SyncDatabase

WELL = {"database": True, "schema": True, "open": True}
# Calls go to one server after the other, and to none that says that it is not well: what Envoy does.
IN_TURN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}})


def revise(place: House, revision: str) -> None:
    database = SyncDatabase(place.environment["TULOU_DATABASE_URL"].replace("{service}", "chassis"))
    change = text("UPDATE alembic_version SET version_num = :revision")
    database.write(lambda session: session.connection().execute(change, {"revision": revision}))
    database.close()


def test_a_server_that_is_well_is_alive_and_ready_and_says_so_in_its_metrics(place: House) -> None:
    place.start()
    assert place.get("/livez").status_code == 200
    assert place.ready() == WELL
    assert place.get("/healthz").json() == {"chassis": WELL}
    assert place.get("/anything").status_code == 404
    metrics = place.get("/metrics").text
    for check in ("database", "schema"):
        [line] = [
            line for line in metrics.splitlines() if line.startswith("tulou_ready") and f'check="{check}"' in line
        ]
        assert 'service="chassis"' in line
        assert line.endswith(" 1.0")


def test_a_server_whose_event_loop_is_stuck_is_neither_alive_nor_ready_until_it_turns_again(place: House) -> None:
    place.start()
    with socket.create_server(("127.0.0.1", 0)) as door, place.channel() as channel:
        call = echo(channel, f"stuck{door.getsockname()[1]}")
        held, _ = door.accept()
        assert place.get("/livez").status_code == 503
        assert place.ready() == {}
        assert place.get("/metrics").status_code == 200
        held.close()
        assert call.result().text
    assert place.get("/livez").status_code == 200


def test_a_server_takes_no_calls_before_its_schema_is_there_and_goes_on_with_a_newer_one(place: House) -> None:
    place.run(HOUSE_PROCESS)

    def told(schema: bool) -> bool:
        try:
            return place.ready() == WELL | {"schema": schema}
        except httpx.TransportError:
            return False

    eventually(lambda: told(False), seconds=PATIENCE)
    assert place.health(HOUSE.full_name) == "NOT_SERVING"
    assert "schema_behind" in place.log
    assert place.get("/livez").status_code == 200

    place.migrate()
    eventually(lambda: told(True), seconds=PATIENCE)
    assert place.health(HOUSE.full_name) == SERVING

    warned = place.log.count("schema_behind")
    revise(place, "of the next release")
    assert place.ready() == WELL
    # It has looked since, and more than once.
    revise(place, "0001")
    assert place.health("") == SERVING
    assert place.log.count("schema_behind") == warned


def test_a_server_that_is_to_end_says_so_at_once_and_takes_calls_for_a_while(place: House) -> None:
    # Longer than any machine takes to ask; the process is killed in the end.
    place.environment["TULOU_DRAIN_DELAY"] = "60"
    process = place.start()
    process.send_signal(signal.SIGTERM)
    eventually(lambda: place.ready() == WELL | {"open": False}, seconds=PATIENCE)
    assert place.health("") == place.health(HOUSE.full_name) == "NOT_SERVING"
    assert place.get("/livez").status_code == 200
    assert place.echo() == "OK"
    assert process.poll() is None


def test_no_call_fails_when_two_servers_are_replaced_one_after_the_other(place: House) -> None:
    place.environment["TULOU_DRAIN_DELAY"] = "3"
    other = House(place.folder, place.environment, address=free_address(), metrics=free_address())
    servers = {place.address: place.start(), other.address: other.start()}
    options = [("grpc.service_config", IN_TURN), ("grpc.max_reconnect_backoff_ms", 500)]
    done = Flag()

    def call_on(channel: grpc.Channel) -> list[str]:
        codes = []
        while not done.is_set():
            error = echo(channel, "").exception()
            codes.append("OK" if error is None else f"{error.code().name} {error.details()}")
        return codes

    with grpc.insecure_channel(f"ipv4:{','.join(servers)}", options) as channel, ThreadPoolExecutor(4) as callers:
        running = [callers.submit(call_on, channel) for _ in range(4)]
        try:
            for one in (place, other):
                eventually(lambda one=one: is_called(one), seconds=PATIENCE)  # type: ignore[misc]
                servers[one.address].send_signal(signal.SIGTERM)
                assert servers[one.address].wait(PATIENCE) == 0
                servers[one.address] = one.start()
                # The callers know of it: else they would have nobody when the other one ends.
                eventually(lambda one=one: is_called(one), seconds=PATIENCE)  # type: ignore[misc]
        finally:
            done.set()
        codes = [code for caller in running for code in caller.result(PATIENCE)]
    other.close()
    assert set(codes) == {"OK"}


def is_called(place: House) -> bool:
    return "rpc_server_duration_milliseconds_count" in place.get("/metrics").text
