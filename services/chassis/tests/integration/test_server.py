"""The server as a process: its end, its health, reflection, metrics, and what it says when it cannot begin."""

import signal
import socket
from contextlib import ExitStack
from urllib.request import urlopen

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from sqlalchemy.engine import make_url

from e2e.eventually import eventually
from e2e.providers.servers import databases
from services.chassis.tests.house import HOUSE
from services.chassis.tests.integration.place import HOUSE_PROCESS, PATIENCE, SERVING, House, running
from services.chassis.tests.integration.worker.proxy import Proxy


def test_on_sigterm_what_runs_is_answered_and_what_is_new_is_refused(place: House) -> None:
    process = place.start()
    with place.channel() as channel, running(channel) as (call, held):
        process.send_signal(signal.SIGTERM)

        eventually(lambda: place.echo() == "UNAVAILABLE", seconds=PATIENCE)
        assert place.health("") in {"NOT_SERVING", "UNAVAILABLE"}
        assert process.poll() is None
        assert not call.done()
        held.close()
        assert call.result().text
    # The bound is twice as far away.
    assert process.wait(PATIENCE) == 0
    assert '"stopped"' in place.log


def test_whoever_watches_the_health_is_told_of_the_end_before_it(place: House) -> None:
    process = place.start()
    with place.channel() as channel, running(channel) as (call, held):
        request = health_pb2.HealthCheckRequest(service=HOUSE.full_name)
        watched = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=PATIENCE)
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGTERM)
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watched.cancel()
        held.close()
        assert call.result().text
    assert process.wait(PATIENCE) == 0


def test_whoever_goes_on_watching_does_not_hold_up_the_end(place: House) -> None:
    process = place.start()
    with place.channel() as channel:
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE * 3)
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGTERM)
        # What runs would be given twice the time.
        assert process.wait(PATIENCE) == 0
    assert '"stopped"' in place.log


def test_a_call_that_does_not_end_is_cut_off(place: House) -> None:
    place.environment["TULOU_DRAIN_SECONDS"] = "1"
    process = place.start()
    with place.channel() as channel, running(channel) as (call, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        # Neither its own deadline nor the server's for any call has ended it.
        assert call.exception().code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert '"stopped"' in place.log


def test_sigint_is_an_end_like_any_other(place: House) -> None:
    process = place.start()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    assert "Traceback" not in place.log


def test_health_is_told_of_the_process_and_of_each_service(place: House) -> None:
    place.start()
    assert place.health("") == SERVING
    assert place.health(HOUSE.full_name) == SERVING
    assert place.health("tulou.test.house.v1.Nobody") == "NOT_FOUND"


def test_who_has_lost_its_database_is_not_serving_until_it_is_back(place: House, postgres_admin_url: str) -> None:
    with ExitStack() as stack:
        url = make_url(stack.enter_context(databases(postgres_admin_url)).format(service="chassis"))
        proxy = Proxy(url.host or "127.0.0.1", url.port or 5432)
        stack.callback(proxy.cut)
        place.environment["TULOU_DATABASE_URL"] = url.set(host="127.0.0.1", port=proxy.port).render_as_string(False)
        process = place.start()

        proxy.cut()

        for name in ("", HOUSE.full_name):
            eventually(lambda name=name: place.health(name) == "NOT_SERVING", seconds=PATIENCE)  # type: ignore[misc]
        assert "database_unreachable" in place.log
        proxy.open()
        for name in ("", HOUSE.full_name):
            eventually(lambda name=name: place.health(name) == SERVING, seconds=PATIENCE)  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_reflection_tells_the_services_and_their_files(place: House) -> None:
    place.start()
    with place.channel() as channel:
        reflected = ProtoReflectionDescriptorDatabase(channel)
        assert set(reflected.get_services()) == {
            HOUSE.full_name,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        found = DescriptorPool(reflected).FindServiceByName(HOUSE.full_name)
        assert [method.name for method in found.methods] == [method.name for method in HOUSE.methods]
        assert found.methods_by_name["Echo"].input_type.fields_by_name["text"].number == 1


def test_the_metrics_tell_of_calls(place: House) -> None:
    place.start()
    assert place.echo() == "OK"

    def count() -> str:
        with urlopen(f"http://{place.metrics}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith("rpc_server_duration_milliseconds_count") and "Echo" in line]
        return found[0] if found else ""

    line = eventually(count, seconds=PATIENCE)
    assert 'code="OK"' in line
    assert float(line.rpartition(" ")[2]) == 1


@pytest.mark.parametrize("which", ["address", "metrics"])
def test_a_taken_port_is_named(place: House, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        setattr(place, which, address)
        assert place.run(HOUSE_PROCESS).wait(PATIENCE) == 1
    assert f"chassis: cannot listen on {address}" in place.log
    assert "Traceback" not in place.log


def approval(place: House, **changes: str) -> str:
    """What `python -m tulou_approval serve` says when it does not begin; its exit code is checked."""
    place.environment |= {"TULOU_BLOB_DIR": str(place.folder / "blobs")} | changes
    assert place.run("tulou_approval", "serve").wait(PATIENCE) == 1
    assert "Traceback" not in place.log
    return place.log


def test_wrong_settings_are_named_each_and_no_secret_is(place: House) -> None:
    told = approval(
        place,
        TULOU_DATABASE_URL="postgresql://tulou:hunter2",
        TULOU_METRICS_ADDRESS="127.0.0.1:94640",
        TULOU_OIDC_JWKS="ftp://tulou:hunter2@issuer.test/jwks",
    )
    assert [line.partition(": ")[0].strip() for line in told.splitlines()[1:]] == [
        "TULOU_DATABASE_URL",
        "TULOU_METRICS_ADDRESS",
        "TULOU_OIDC_JWKS",
    ]
    assert "hunter2" not in told


def test_files_that_are_not_there_are_named(place: House) -> None:
    told = approval(place, TULOU_OIDC_JWKS=str(place.folder / "none"), TULOU_KEYRING_FILE=str(place.folder / "none"))
    assert [line.partition(": ")[0].strip() for line in told.splitlines()[1:]] == [
        "TULOU_OIDC_JWKS",
        "TULOU_KEYRING_FILE",
    ]


@pytest.mark.parametrize("content", ["not JSON hunter2", '{"keys": []}', '{"keys": "hunter2"}'])
def test_keys_that_are_none_are_named(place: House, content: str) -> None:
    keys = place.folder / "jwks.json"
    keys.write_text(content)
    told = approval(place, TULOU_OIDC_JWKS=str(keys))
    assert told.splitlines()[-1].startswith(f"approval: TULOU_OIDC_JWKS: {keys}: ")
    assert "hunter2" not in told


@pytest.mark.parametrize("content", ["not JSON", '{"keys": {"k1": "hunter2"}}'])
def test_a_keyring_that_is_none_is_named(place: House, content: str) -> None:
    keyring = place.folder / "keyring.json"
    keyring.write_text(content)
    told = approval(place)
    assert told.startswith(f"TULOU_KEYRING_FILE: {keyring}: ")
    assert told.count("\n") == 1
    assert "hunter2" not in told


def test_a_calendar_that_is_none_is_named(place: House) -> None:
    calendar = place.folder / "2027.json"
    calendar.write_text('{"years": {"soon": {}}}')
    told = approval(place, TULOU_CALENDAR_FILES=str(calendar))
    assert told == f"TULOU_CALENDAR_FILES: {calendar}: years.soon: not a year\n"
