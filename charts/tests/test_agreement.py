"""The chart sets what the processes know: their settings, their arguments, their ports, and no others."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import yaml

from charts.tests.rendering import CHART, PROFILES, Rendering, named, of_kind, pod_of
from services.chassis.tests.integration.certificates import make_certificates
from tulou_chassis.settings import Settings, read_settings
from tulou_city.services import SERVICES
from tulou_civics.calendar import WorkCalendar
from tulou_gateway import portal, render, run
from tulou_gateway.descriptors import load

NAMES = [service.name for service in SERVICES]


def test_the_chart_and_the_city_have_the_same_services() -> None:
    assert set(yaml.safe_load((CHART / "values.yaml").read_text())["services"]) == set(NAMES)


def _environment(objects: list[Rendering], workload: Rendering) -> dict[str, str]:
    """What the one container finds; a secret's place is taken by a URL."""
    (container,) = pod_of(workload)["spec"]["containers"]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        (settings,) = [
            each for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"] == source["configMapRef"]["name"]
        ]
        found |= settings["data"]
    secrets = {"TULOU_DATABASE_URL": "postgresql://u:p@db/{service}", "TULOU_AMQP_URI": "amqp://u:p@mq/tulou"}
    for variable in container["env"]:
        # A variable told twice would hide one of the two.
        assert variable["name"] not in found
        found[variable["name"]] = variable.get("value") or secrets[variable["name"]]
    return found


def _settings_of(service: str) -> type[Settings]:
    module = import_module(f"tulou_{service}.settings")
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Settings)]
    (own,) = [kind for kind in kinds if kind is not Settings]
    return own


@pytest.mark.parametrize("role", ["server", "worker", "migrate"])
@pytest.mark.parametrize("service", NAMES)
def test_a_process_is_told_all_it_must_know_and_nothing_it_does_not(
    service: str, role: str, profile: list[Rendering], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, suffix = ("Job", "-migrate") if role == "migrate" else ("Deployment", "-worker" if role == "worker" else "")
    workload = named(profile, kind, f"{service}{suffix}")
    environment = _environment(profile, workload)
    settings = _settings_of(service)
    ours = {name.removeprefix("TULOU_").lower() for name in environment if name.startswith("TULOU_")}
    assert ours <= settings.model_fields.keys()

    for name in [name for name in os.environ if name.startswith("TULOU_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os.path, "isfile", _mounted(workload))
    read = read_settings(settings)

    # Where the probes, the Service and the callers look for it.
    assert read.grpc_address == "0.0.0.0:50051"
    assert read.metrics_address == "0.0.0.0:9464"
    mounts = [mount["mountPath"] for mount in pod_of(workload)["spec"]["containers"][0]["volumeMounts"]]
    if role != "migrate" and "blob_dir" in settings.model_fields:
        assert str(read.model_dump()["blob_dir"]) in mounts


def _mounted(workload: Rendering) -> Callable[[Any], bool]:
    """Whether a file is in a volume that the container mounts."""
    spec = pod_of(workload)["spec"]
    folders = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    files = set()
    for volume in spec["volumes"]:
        source = volume.get("secret") or volume.get("configMap") or {}
        files |= {f"{folders[volume['name']]}/{item['path']}" for item in source.get("items", [])}
        if source and "items" not in source:
            files |= {f"{folders[volume['name']]}/typhoon.json"}
    return lambda path: str(path) in files


# Sends a log record and a span to the endpoint that it is given, with roots from the environment.
_EXPORT = """
import logging, sys
from opentelemetry import trace
from opentelemetry._logs import LogRecord, get_logger
from tulou_chassis.settings import Settings
from tulou_chassis.telemetry import configure_telemetry, shut_telemetry_down
logging.basicConfig()
configure_telemetry("approval", Settings.model_construct(otlp_endpoint=sys.argv[1], trace_ratio=1.0))
get_logger("test").emit(LogRecord(body="a record"))
trace.get_tracer("test").start_span("a span").end()
shut_telemetry_down()
"""


class _Collector(BaseHTTPRequestHandler):
    """Takes what is sent and keeps the paths."""

    paths: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        self.paths.add(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_spans_and_logs_reach_a_collector_of_a_private_authority(
    rendered: Callable[[str], list[Rendering]], tmp_path: Path
) -> None:
    objects = rendered("airgapped")
    make_certificates(tmp_path)
    told = {
        name: str(tmp_path / "ca.pem")
        for name, value in _environment(objects, named(objects, "Deployment", "approval")).items()
        if value == "/etc/tulou/ca/ca.crt"
    }
    server = HTTPServer(("127.0.0.1", 0), _Collector)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _EXPORT, f"https://127.0.0.1:{server.server_port}"],
            # This machine's own roots are not in a container.
            env=told,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert _Collector.paths == {"/v1/traces", "/v1/logs"}, done.stderr


def test_callers_know_the_services_they_ask(profile: list[Rendering]) -> None:
    assert (
        _environment(profile, named(profile, "Deployment", "approval"))["TULOU_CREDIT_ADDRESS"] == "city-credit:50051"
    )
    assert named(profile, "Service", "credit")["spec"]["clusterIP"] == "None"


def test_calendars_arrive_as_they_were_given(rendered: Callable[[str], list[Rendering]], tmp_path: Path) -> None:
    objects = rendered("production")
    file = tmp_path / "typhoon.json"
    file.write_text(named(objects, "ConfigMap", "calendars")["data"]["typhoon.json"])
    assert WorkCalendar.load([file]).overrides[0].reason == "台风"
    told = _environment(objects, named(objects, "Deployment", "approval"))["TULOU_CALENDAR_FILES"]
    assert told == "/etc/tulou/calendars/typhoon.json"


def test_every_image_is_one_that_is_built(rendered: Callable[[str], list[Rendering]]) -> None:
    images = set()
    for workload in of_kind(rendered("production"), "Deployment", "Job", "Pod"):
        spec = pod_of(workload)["spec"]
        images |= {each["image"] for each in [*spec.get("initContainers", []), *spec["containers"]]}
    assert images == {f"registry.tulou.example/tulou/{name}:0.1.0" for name in [*NAMES, "gateway"]}


def _arguments(objects: list[Rendering], name: str, container: str) -> list[str]:
    spec = pod_of(named(objects, "Deployment", name))["spec"]
    (found,) = [each for each in [*spec.get("initContainers", []), *spec["containers"]] if each["name"] == container]
    arguments: list[str] = found["args"]
    return arguments


def test_gateway_and_portal_take_their_arguments(profile: list[Rendering]) -> None:
    for module, name in ((run, "gateway"), (portal, "portal")):
        command, *arguments = _arguments(profile, name, name)
        assert module.__name__ == f"tulou_gateway.{command}"
        # It ends the process on one that it does not know.
        module.parser().parse_args(arguments)


@pytest.mark.parametrize("name", PROFILES)
def test_envoys_configuration_can_be_made_of_its_arguments(
    name: str, rendered: Callable[[str], list[Rendering]], tmp_path: Path
) -> None:
    command, *arguments = _arguments(rendered(name), "gateway", "render")
    assert command == "render"
    arguments = [f"--out={tmp_path}" if each.startswith("--out=") else each for each in arguments]
    render.main(arguments)
    bootstrap = yaml.safe_load((tmp_path / "bootstrap.yaml").read_text())
    (_, listener) = sorted(
        (each["address"]["socket_address"]["port_value"], each) for each in bootstrap["static_resources"]["listeners"]
    )[0]
    assert listener["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 8080}
    clusters = (tmp_path / "cds.yaml").read_text()
    assert all(f"city-{service}" in clusters for service in NAMES)
    run_arguments = _arguments(rendered(name), "gateway", "gateway")
    assert [each for each in run_arguments if "admin-port" in each] == [
        each for each in arguments if "admin-port" in each
    ]


@pytest.mark.parametrize("service", NAMES)
def test_the_test_call_needs_no_token_and_is_the_services(service: str) -> None:
    path = yaml.safe_load((CHART / "values.yaml").read_text())["services"][service]["testPath"]
    (rpc,) = [
        rpc for rpc in load().rpcs if any(http.verb.upper() == "GET" and http.template == path for http in rpc.http)
    ]
    assert rpc.service.startswith(f"tulou.{service}.")
    assert rpc.access is not None
    assert rpc.access.anonymous


def test_helm_test_calls_every_service_through_the_gateway(profile: list[Rendering]) -> None:
    (pod,) = of_kind(profile, "Pod")
    urls = {each["name"]: each["command"][1] for each in pod["spec"]["containers"]}
    assert urls.keys() == {"gateway", "portal", *NAMES}
    (service,) = [each for each in of_kind(profile, "Service") if each["metadata"]["name"] == "city-gateway"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    assert all(url.startswith(("http://city-gateway:", "https://city-gateway:")) for url in urls.values())
    assert all(f":{ports['http']}/" in url for url in urls.values())


def test_settings_are_text_that_yaml_does_not_read_otherwise(profile: list[Rendering]) -> None:
    for settings in of_kind(profile, "ConfigMap"):
        assert all(isinstance(value, str) for value in settings["data"].values()), json.dumps(settings["data"])
