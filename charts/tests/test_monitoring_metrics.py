"""The rules and dashboards against a running city: Prometheus reads its processes, and what is asked for is there."""

import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import grpc
import httpx
import pytest
import yaml

from charts.tests.monitoring import (
    NAMESPACE,
    dashboards,
    expressions,
    groups,
    manifests,
    rules,
    selectors,
    without_selectors,
)
from e2e.eventually import eventually
from e2e.providers.cities import run_city, running_city
from e2e.providers.tools import promtool
from e2e.tokens import Tokens
from tulou_city.layout import HOST, City
from tulou_city.services import SERVICES

# From others than our processes; the labels that their documentation names.
ASSUMED: Final = {
    "kube_deployment_spec_replicas": {"namespace", "deployment"},
    "kube_deployment_status_replicas_available": {"namespace", "deployment"},
    "kube_pod_container_status_waiting_reason": {"namespace", "pod", "container", "reason"},
    "kube_job_failed": {"namespace", "job_name", "condition"},
    "kube_horizontalpodautoscaler_status_desired_replicas": {"namespace", "horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"namespace", "horizontalpodautoscaler"},
    "kubelet_volume_stats_available_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
    "certmanager_certificate_expiration_timestamp_seconds": {"namespace", "exported_namespace", "name"},
    # Prometheus' own, while an alert waits or fires.
    "ALERTS": {"namespace", "alertname", "alertstate", "severity"},
    # Recorded where there are certificates.
    "tulou:certificate_left:days": {"namespace", "name"},
}
# Values that a healthy city does not show, but that there are.
RARE: Final = {
    "envoy_response_code_class": {"5"},
    "code": {code.name for code in grpc.StatusCode},
    "grpc_status": {str(code.value[0]) for code in grpc.StatusCode},
    "outcome": {"failed", "buried"},
    "state": {"failed", "broke_off"},
}
LANGUAGE: Final = {
    *("sum", "min", "max", "count", "topk", "by", "on", "and", "or", "unless", "group_left", "offset"),
    *("rate", "increase", "deriv", "avg_over_time", "max_over_time", "sum_over_time"),
    *("histogram_quantile", "absent", "time", "vector"),
}


class Prometheus:
    """A Prometheus that reads a city and evaluates the chart's rules."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api

    def get(self, path: str, **parameters: str) -> Any:
        """An answer's data. Fails with Prometheus' own words."""
        answer = self._api.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expression: str) -> list[Any]:
        """What the expression gives now."""
        result: list[Any] = self.get("query", query=expression)["result"]
        return result


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with running_city(database="postgresql", bus="rabbitmq") as city:
        day = run_city("demo", city=city)
        assert day.returncode == 0, day.stdout
        _upload_what_is_no_file_of_rows(city)
        (folder / "rules.yaml").write_text(
            yaml.safe_dump({"groups": [group | {"interval": "2s"} for group in groups()]}, allow_unicode=True)
        )
        (folder / "config.yaml").write_text(yaml.safe_dump(_configuration(city)))
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            address = f"{HOST}:{probe.getsockname()[1]}"
        command = [str(promtool().with_name("prometheus")), f"--config.file={folder}/config.yaml"]
        command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as process,
            httpx.Client(base_url=f"http://{address}/api/v1", timeout=30) as api,
        ):
            found = Prometheus(api)
            try:
                eventually(lambda: _has_settled(found), seconds=200)
                yield found
            finally:
                process.terminate()


def _upload_what_is_no_file_of_rows(city: City) -> None:
    clerk = Tokens(city).token(role="clerk", sub="clerk-1", org="SCJG")
    answer = httpx.post(
        f"{city.url}/credit/v1/imports:upload",
        params={"requestId": str(uuid4()), "filename": "rows.csv"},
        headers={"authorization": f"Bearer {clerk}", "content-type": "text/csv"},
        content=bytes(range(256)),
    )
    assert answer.status_code == 200, answer.text


def _configuration(city: City) -> dict[str, Any]:
    """As the monitors say it, but with places in place of a cluster's API. One worker hosts all services here; it is
    read once for each of them, for the metrics that name this one or none."""
    targets = [
        ("gateway", "gateway", city.port + 2, "/stats/prometheus"),
        *((service.name, "worker", city.port + 3, "/metrics") for service in SERVICES),
        *((service.name, "server", city.port + service.metrics_offset, "/metrics") for service in SERVICES),
    ]
    (endpoint,) = manifests("ServiceMonitor")[0]["spec"]["endpoints"]
    return {
        "global": {"scrape_interval": "5s", "scrape_timeout": "5s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": f"{component}-{role}",
                "metrics_path": path,
                "honor_labels": endpoint["honorLabels"],
                "static_configs": [
                    {
                        "targets": [f"{HOST}:{port}"],
                        "labels": {"namespace": NAMESPACE, "component": component, "role": role},
                    }
                ],
                "metric_relabel_configs": [
                    *endpoint["metricRelabelings"],
                    {"source_labels": ["service"], "regex": f"({component})?", "action": "keep"},
                ],
            }
            for component, role, port, path in targets
        ],
    }


def _has_settled(found: Prometheus) -> bool:
    """Whether all processes were read and the rules evaluated more than once, and the import has ended."""
    try:
        burns = found.query('tulou:slo_burn:rate30d{slo="latency"} offset 2s')
        return len(burns) == len(SERVICES) + 1 and bool(found.query("tulou_imports_ended_total"))
    except httpx.TransportError:
        return False


def _asked() -> list[tuple[str, str, tuple[tuple[str, str, str], ...]]]:
    """Every selector: where it stands, the metric, the matchers."""
    texts = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()} | expressions()
    found = {(metric, tuple(matchers)): place for place, text in texts.items() for metric, matchers in selectors(text)}
    return [(place, metric, matchers) for (metric, matchers), place in found.items()]


def test_every_expression_names_metrics_only_with_the_labels_they_are_chosen_by() -> None:
    for text in [*(rule["expr"] for rule in rules()), *expressions().values()]:
        rest = re.sub(r"(by|on|group_left) \([^)]*\)", r"\1", without_selectors(text))
        words = set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.sub(r"\[\w+\]|\b\d[\w.]*", "", rest)))
        assert words <= LANGUAGE, (words - LANGUAGE, text)
        assert all(
            {"namespace", "exported_namespace"} & {label for label, _, _ in matchers} for _, matchers in selectors(text)
        ), text


def test_every_metric_and_label_that_is_asked_for_is_exposed(prometheus: Prometheus) -> None:
    missing = {}
    for place, metric, matchers in _asked():
        if metric in ASSUMED:
            assert {label for label, _, _ in matchers} <= ASSUMED[metric], place
            continue
        for label, operator, value in matchers:
            if label in RARE and operator in {"=", "=~"}:
                assert set(value.split("|")) <= RARE[label], place
        told = ", ".join(
            f'{label}!=""' if label in RARE else f'{label}{operator}"{value}"' for label, operator, value in matchers
        )
        if not prometheus.get("series", **{"match[]": f"{metric}{{{told}}}"}):
            missing[f"{metric}{{{told}}}"] = place
    assert not missing


def test_every_rule_can_be_evaluated(prometheus: Prometheus) -> None:
    told = prometheus.get("rules")["groups"]
    ill = {rule["name"]: rule.get("lastError") for group in told for rule in group["rules"] if rule["health"] != "ok"}
    assert not ill
    assert sum(len(group["rules"]) for group in told) == len(rules())


def test_every_panel_shows_something(prometheus: Prometheus) -> None:
    # Where no series means that nothing happened, the panel says 0.
    may_be_empty = {
        f"{file}: {panel['title']}"
        for file, dashboard in dashboards().items()
        for panel in dashboard["panels"]
        if panel["fieldConfig"]["defaults"].get("noValue")
    }
    empty = [
        place
        for place, text in expressions().items()
        if not prometheus.query(text) and place.rpartition(" ")[0] not in may_be_empty
    ]
    assert not empty


def test_every_legend_names_labels_that_its_series_have(prometheus: Prometheus) -> None:
    texts = expressions()
    for file, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                series = prometheus.query(texts[f"{file}: {panel['title']} {target['refId']}"])
                for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                    assert all(label in found["metric"] for found in series), (panel["title"], label)


def test_the_city_raises_the_alert_for_what_went_wrong_in_it_and_no_other(prometheus: Prometheus) -> None:
    def raised() -> set[tuple[str, str]]:
        return {(found["metric"]["alertname"], found["metric"]["component"]) for found in prometheus.query("ALERTS")}

    assert eventually(raised) == {("TulouImportsFail", "credit")}


def test_monitors_give_every_series_the_labels_that_alerts_go_by() -> None:
    for kind, key in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        (monitor,) = manifests(kind)
        (endpoint,) = monitor["spec"][key]
        assert {told["targetLabel"] for told in endpoint["relabelings"]} == {"component", "role"}


def test_monitors_find_every_process_that_tells_metrics() -> None:
    found = set()
    for monitor, kind in (("ServiceMonitor", "Service"), ("PodMonitor", "Deployment")):
        selector = manifests(monitor)[0]["spec"]["selector"]
        (roles,) = [told["values"] for told in selector["matchExpressions"]]
        for each in manifests(kind):
            has = (each if kind == "Service" else each["spec"]["template"])["metadata"]["labels"]
            if selector["matchLabels"].items() <= has.items() and has["tulou.io/role"] in roles:
                assert "metrics" in _port_names(each), each["metadata"]["name"]
                found.add((has["app.kubernetes.io/component"], has["tulou.io/role"]))
    names = {service.name for service in SERVICES}
    assert found == {("gateway", "gateway"), *((name, role) for name in names for role in ("server", "worker"))}


def _port_names(each: dict[str, Any]) -> set[str]:
    spec = each["spec"]
    ports = spec["ports"] if each["kind"] == "Service" else spec["template"]["spec"]["containers"][0]["ports"]
    return {port["name"] for port in ports}


def test_metrics_are_not_offered_where_the_world_may_come_in() -> None:
    (door,) = [each for each in manifests("Service") if each["metadata"]["labels"]["tulou.io/role"] == "gateway"]
    assert "metrics" not in _port_names(door)
