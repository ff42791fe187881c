"""The second listener: what Prometheus and probes get there, and that it is nothing else."""

import re
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from gateway.tests.integration.conftest import Gateway, at, free_port, running_gateway
from tulou.approval.v1 import approval_service_pb2 as service
from tulou.approval.v1 import approval_service_pb2_grpc

SERVICE = "tulou.approval.v1.ApprovalService"


@pytest.fixture(scope="module")
def place() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, issuer: Any, running_upstream: Any, place: str
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("metrics")
    with running_gateway(folder, issuer, *at(running_upstream.port), "--metrics-address", place) as found:
        yield found


@pytest.fixture
def metrics(measured: Gateway, place: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{place}") as client:
        yield client


def counted(metrics: httpx.Client, name: str, **labels: str) -> float:
    """The sum of a metric over the series that have these labels."""
    lines = re.findall(rf"^{name}\{{(.*)\}} ([0-9.]+)$", metrics.get("/metrics").text, re.MULTILINE)
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(float(value) for found, value in lines if wanted <= set(found.split(",")))


def test_every_rpc_is_counted_by_its_grpc_status_and_timed_however_it_was_called(metrics, measured, issuer, upstream):
    before = {
        status: counted(metrics, "envoy_cluster_grpc", grpc_method="GetCase", grpc_status=status)
        for status in ("0", "5")
    }
    url, metadata = f"{measured.url}/approval/v1/cases/c1", tuple(issuer.header("clerk").items())
    assert httpx.get(url, headers=issuer.header("clerk")).status_code == 200
    with grpc.insecure_channel(f"127.0.0.1:{measured.port}") as channel:
        approval_service_pb2_grpc.ApprovalServiceStub(channel).GetCase(service.GetCaseRequest(), metadata=metadata)
    upstream.answers["GetCase"] = lambda _, context: context.abort(grpc.StatusCode.NOT_FOUND, "no")
    assert httpx.get(url, headers=issuer.header("clerk")).status_code == 404
    after = {
        status: counted(
            metrics,
            "envoy_cluster_grpc",
            envoy_cluster_name="approval",
            grpc_service=SERVICE,
            grpc_method="GetCase",
            grpc_status=status,
        )
        for status in before
    }
    assert {status: after[status] - before[status] for status in before} == {"0": 2, "5": 1}
    # Envoy gathers its histograms every five seconds.
    for _ in range(100):
        if counted(metrics, "envoy_cluster_grpc_upstream_rq_time_bucket", grpc_method="GetCase", le="+Inf") == 3:
            return
        time.sleep(0.1)
    raise AssertionError("not timed")


def test_a_call_that_no_instance_could_take_is_counted_with_the_service(measured, metrics, issuer, upstream):
    failed = {"envoy_cluster_name": "approval", "envoy_response_code_class": "5"}
    before = counted(metrics, "envoy_cluster_upstream_rq_xx", **failed)
    upstream.stop()
    try:
        answer = httpx.get(f"{measured.url}/approval/v1/items", headers=issuer.header("clerk"))
    finally:
        upstream.start()
    assert answer.status_code == 503
    assert counted(metrics, "envoy_cluster_upstream_rq_xx", **failed) - before == 1


def test_a_caller_cannot_make_metrics_of_its_own(measured, metrics, issuer):
    headers = {"content-type": "application/grpc", **issuer.header("admin")}
    paths = ("/made.up.Service/Invented", f"/{SERVICE}/Invented", "/grpc.health.v1.Health/Invented", "/docs/Invented")
    for path in paths:
        httpx.post(f"{measured.url}{path}", headers=headers)
    assert "Invented" not in metrics.get("/metrics").text


def test_what_is_collected_is_bounded_and_has_what_alerts_need(metrics):
    text = metrics.get("/metrics").text
    assert text.count("\n") < 3000
    for name in (
        'envoy_http_downstream_rq_xx{envoy_response_code_class="5",envoy_http_conn_manager_prefix="gateway"}',
        'envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="gateway",le="1000"}',
        'envoy_cluster_membership_healthy{envoy_cluster_name="credit"}',
        'envoy_cluster_upstream_rq_retry_overflow{envoy_cluster_name="approval"}',
        'envoy_http_local_rate_limit_rate_limited{envoy_local_http_ratelimit_prefix="gateway"}',
        "envoy_server_days_until_first_cert_expiring{}",
    ):
        assert f"\n{name} " in text, name


def test_probes_are_answered(metrics):
    assert metrics.get("/livez").status_code == 200
    assert metrics.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/stats", "/stats/prometheus", "/config_dump", "/metrics/", "/metrics/../certs", "/healthz"]
)
def test_nothing_else_of_the_admin_page_is_reached(metrics, path):
    assert metrics.get(path).status_code == 404
    assert metrics.post(path).status_code == 404


def test_nothing_is_changed_from_there(metrics):
    assert metrics.post("/quitquitquit").status_code == 404
    assert metrics.post("/metrics").status_code == 404
    assert metrics.get("/readyz").status_code == 200
