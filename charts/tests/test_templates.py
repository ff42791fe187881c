"""What Helm makes of the chart: with both versions the same, valid in three versions of Kubernetes, and whole."""

import json
import tomllib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from charts.tests.rendering import (
    CHART,
    PROFILES,
    RELEASE,
    Rendering,
    hooks_of,
    manifests,
    named,
    of_kind,
    pod_of,
    render,
    run,
)
from e2e.providers import tools
from tulou_city.layout import ROOT
from tulou_city.services import SERVICES

# The three newest minor versions.
_MINOR = int(kubernetes_validate.latest_version().split(".")[1])
KUBERNETES = [f"1.{minor}" for minor in range(_MINOR - 2, _MINOR + 1)]
CRDS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("crds.yaml").read_text())


@pytest.mark.parametrize("name", PROFILES)
def test_lint_has_nothing_to_say(helm: str, name: str) -> None:
    done = run(helm, "lint", "--strict", "--quiet", *PROFILES[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("name", PROFILES)
def test_both_helms_make_the_same_each_time(name: str, rendered: Callable[[str], list[Rendering]]) -> None:
    assert manifests(render(str(tools.helm3()), PROFILES[name])) == rendered(name)


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid(version: str, rendered: Callable[[str], list[Rendering]]) -> None:
    # Most are alike in several profiles.
    for each in {json.dumps(each): each for name in PROFILES for each in rendered(name)}.values():
        _validate(each, version)


def _validate(manifest: Rendering, version: str) -> None:
    if definition := CRDS.get(manifest["kind"]):
        assert manifest["apiVersion"] == definition["apiVersion"]
        assert manifest.keys() == {"apiVersion", "kind", "metadata", "spec"}
        jsonschema.validate(manifest["spec"], definition["spec"])
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("kind", ["Deployment", "NetworkPolicy", *CRDS])
def test_an_unknown_field_is_found(kind: str, rendered: Callable[[str], list[Rendering]]) -> None:
    everything = [each for name in PROFILES for each in rendered(name)]
    manifest = deepcopy(of_kind(everything, kind)[0])
    _validate(manifest, KUBERNETES[-1])
    manifest["spec"]["unknown"] = True
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError), match="unknown"):
        _validate(manifest, KUBERNETES[-1])


def test_nothing_is_there_twice_and_all_bears_the_release(profile: list[Rendering]) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in profile]
    assert len(set(names)) == len(names)
    for each in profile:
        metadata = each["metadata"]
        assert metadata["name"] == RELEASE or metadata["name"].startswith(f"{RELEASE}-")
        assert metadata["namespace"] == "tulou"
        assert (
            metadata["labels"].items()
            >= {
                "app.kubernetes.io/name": "tulou",
                "app.kubernetes.io/instance": RELEASE,
                "app.kubernetes.io/part-of": "tulou",
                "helm.sh/chart": "tulou-0.1.0",
            }.items()
        )


NAMES = [service.name for service in SERVICES]
WITH_FILES = [
    name
    for name, service in yaml.safe_load((CHART / "values.yaml").read_text())["services"].items()
    if "blobs" in service
]
# What is made outside of the chart, in each profile.
OUTSIDE = {
    "minimal": {"tulou-database", "tulou-broker", "tulou-keyring"},
    "production": {*(f"tulou-{name}-database" for name in NAMES), "tulou-broker", "tulou-keyring"},
    "airgapped": {
        *(f"tulou-{name}" for name in NAMES),
        *(f"files-{name}" for name in WITH_FILES),
        *("tulou-tls", "issuer-keys", "city-ca"),
    },
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_a_pod_names_is_there_when_it_starts(name: str, rendered: Callable[[str], list[Rendering]]) -> None:
    objects = rendered(name)
    release = {(each["kind"], each["metadata"]["name"]) for each in objects if not hooks_of(each)}
    hooks = {(each["kind"], each["metadata"]["name"]): each for each in objects if hooks_of(each)}
    named_outside = set()
    for workload in of_kind(objects, "Deployment", "Job", "Pod"):
        for reference in _references(pod_of(workload)["spec"]):
            if reference in hooks:
                # Helm makes hooks by their weight.
                assert hooks_of(workload) == hooks_of(hooks[reference])
                assert _weight(hooks[reference]) < _weight(workload)
            elif reference in release:
                assert hooks_of(workload) in ("", "test"), f"{reference} is not there yet for {workload['metadata']}"
            else:
                named_outside.add(reference[1])
    assert named_outside == OUTSIDE[name]


def _references(spec: Rendering) -> set[tuple[str, str]]:
    found = {("ServiceAccount", spec["serviceAccountName"])}
    for volume in spec.get("volumes", []):
        match volume:
            case {"secret": {"secretName": name}}:
                found.add(("Secret", name))
            case {"configMap": {"name": name}}:
                found.add(("ConfigMap", name))
            case {"persistentVolumeClaim": {"claimName": name}}:
                found.add(("PersistentVolumeClaim", name))
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        found |= {("ConfigMap", source["configMapRef"]["name"]) for source in container.get("envFrom", [])}
        found |= {
            ("Secret", variable["valueFrom"]["secretKeyRef"]["name"])
            for variable in container.get("env", [])
            if "valueFrom" in variable
        }
    return found


def _weight(manifest: Rendering) -> int:
    return int(manifest["metadata"]["annotations"].get("helm.sh/hook-weight", "0"))


def test_volumes_and_mounts_belong_together(profile: list[Rendering]) -> None:
    for workload in of_kind(profile, "Deployment", "Job", "Pod"):
        spec = pod_of(workload)["spec"]
        containers = [*spec.get("initContainers", []), *spec["containers"]]
        mounted = {mount["name"] for each in containers for mount in each.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in spec.get("volumes", [])}
        for container in containers:
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            # A volume inside another one could not be mounted where that is read-only.
            assert not [(a, b) for a in paths for b in paths if b.startswith(f"{a}/")]


def test_services_find_pods_by_their_ports(profile: list[Rendering]) -> None:
    deployments = [pod_of(each) for each in of_kind(profile, "Deployment")]
    for service in of_kind(profile, "Service"):
        selector = service["spec"]["selector"].items()
        (pod,) = [each for each in deployments if selector <= each["metadata"]["labels"].items()]
        ports = {port["name"] for each in pod["spec"]["containers"] for port in each["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_production_keeps_enough_of_each_running(rendered: Callable[[str], list[Rendering]]) -> None:
    objects = rendered("production")
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in of_kind(objects, "HorizontalPodAutoscaler")
    }
    budgets = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "PodDisruptionBudget")}
    for deployment in of_kind(objects, "Deployment"):
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        # The autoscaler and the chart must not pull at one number.
        assert ("replicas" in spec) != (name in scaled)
        assert scaled[name]["minReplicas"] >= 3 if name in scaled else spec["replicas"] >= 3
        assert budgets[name]["selector"] == spec["selector"]
        assert budgets[name]["maxUnavailable"] == 1
    assert scaled.keys() == {f"city-{name}" for name in [*NAMES, "gateway"]}


def test_an_instance_has_time_to_drain(profile: list[Rendering]) -> None:
    for deployment in of_kind(profile, "Deployment"):
        (container,) = pod_of(deployment)["spec"]["containers"]
        settings = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
        arguments = dict(argument.removeprefix("--").partition("=")[::2] for argument in container["args"])
        delay = int(settings.get("TULOU_DRAIN_DELAY") or arguments.get("drain-delay") or 0)
        drain = int(settings.get("TULOU_DRAIN_SECONDS") or arguments.get("drain-seconds") or 0)
        role = deployment["spec"]["selector"]["matchLabels"]["tulou.io/role"]
        # No caller comes to a worker.
        assert (delay > 0) == (role != "worker")
        assert pod_of(deployment)["spec"]["terminationGracePeriodSeconds"] > delay + drain


def test_a_changed_setting_rolls_the_instances_that_read_it() -> None:
    helm, minimal = str(tools.helm()), PROFILES["minimal"]

    def templates(*arguments: str) -> dict[str, Rendering]:
        objects = manifests(render(helm, (*minimal, *arguments)))
        return {each["metadata"]["name"]: pod_of(each) for each in of_kind(objects, "Deployment")}

    before = templates()
    after = templates("--set=services.credit.env.TULOU_OFFICE=XYB")
    assert {name for name in before if before[name] != after[name]} == {"city-credit", "city-credit-worker"}
    after = templates('--set-json=calendars={"local": {"overrides": {}}}')
    assert {name for name in before if before[name] != after[name]} == {
        f"city-{name}{role}" for name in NAMES for role in ("", "-worker")
    }
    after = templates("--set=gateway.tokenRate=7")
    assert {name for name in before if before[name] != after[name]} == {"city-gateway"}


def test_what_people_filled_in_outlives_the_release(rendered: Callable[[str], list[Rendering]]) -> None:
    claims = of_kind(rendered("production"), "PersistentVolumeClaim")
    assert {each["metadata"]["name"] for each in claims} == {f"city-{name}" for name in WITH_FILES}
    for claim in claims:
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert of_kind(rendered("airgapped"), "PersistentVolumeClaim") == []


def test_the_catalogue_is_loaded_by_an_upgrade_too_unless_told() -> None:
    def arguments(*more: str) -> list[list[str]]:
        jobs = of_kind(manifests(render(str(tools.helm()), (*PROFILES["minimal"], *more))), "Job")
        return [pod_of(job)["spec"]["containers"][0]["args"] for job in jobs]

    assert arguments() == [["migrate", "--seed"]] * len(NAMES)
    # To Helm the second try of an installation that failed is an upgrade.
    assert arguments("--is-upgrade") == [["migrate", "--seed"]] * len(NAMES)
    assert arguments("--set=migrate.seed=never") == [["migrate"]] * len(NAMES)


def _spread(objects: list[Rendering]) -> set[tuple[str, ...]]:
    """What all Deployments' constraints say: (where, what is done when it cannot be, whose taints count)."""
    return {
        (each["topologyKey"], each["whenUnsatisfiable"], each["nodeTaintsPolicy"])
        for deployment in of_kind(objects, "Deployment")
        for each in pod_of(deployment)["spec"]["topologySpreadConstraints"]
    }


@pytest.mark.parametrize("spread", ["ScheduleAnyway", "DoNotSchedule"])
def test_instances_wait_for_a_node_where_told_and_never_for_a_zone(spread: str) -> None:
    objects = manifests(render(str(tools.helm()), (*PROFILES["minimal"], f"--set=pods.spread={spread}")))
    assert _spread(objects) == {
        ("kubernetes.io/hostname", spread, "Honor"),
        ("topology.kubernetes.io/zone", "ScheduleAnyway", "Honor"),
    }


def test_no_profile_waits_for_a_node(profile: list[Rendering]) -> None:
    # One that is full would hold up every upgrade.
    assert {unless for _, unless, _ in _spread(profile)} == {"ScheduleAnyway"}


def test_an_autoscaled_deployment_has_no_number_of_the_charts_at_an_upgrade_either() -> None:
    # One of the chart's would be at odds with the autoscaler's, and the apply be refused.
    objects = manifests(render(str(tools.helm()), (*PROFILES["production"], "--is-upgrade")))
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler")}
    deployments = of_kind(objects, "Deployment")
    assert {each["metadata"]["name"] for each in deployments if "replicas" not in each["spec"]} == scaled


def test_the_gateway_sees_callers_addresses_where_nodes_stand_before_it(
    rendered: Callable[[str], list[Rendering]],
) -> None:
    policies = {}
    for name in PROFILES:
        spec = named(rendered(name), "Service", "gateway")["spec"]
        policies[spec["type"]] = spec.get("externalTrafficPolicy")
    # A cluster takes none for ClusterIP.
    assert policies == {"ClusterIP": None, "LoadBalancer": "Local"}


def test_a_service_is_refused_the_names_that_the_chart_uses(rendered: Callable[[str], list[Rendering]]) -> None:
    objects = [each for name in PROFILES for each in rendered(name)]
    services, ours = set(), set()
    for each in objects:
        part, _, rest = each["metadata"]["name"].removeprefix(f"{RELEASE}-").partition("-")
        if part in NAMES:
            services.add(each["kind"])
        elif not rest:
            ours.add((each["kind"], part))
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["services"]
    # The test's pod is no Deployment, but its policy and its image go by its name.
    assert schema["properties"].keys() == {name for kind, name in ours if kind in services}


def test_the_certificate_is_asked_for_once(rendered: Callable[[str], list[Rendering]]) -> None:
    ingresses = of_kind(rendered("production"), "Ingress")
    assert {each["spec"]["rules"][0]["host"] for each in ingresses} == {"www.tulou.example", "grpc.tulou.example"}
    for ingress in ingresses:
        assert ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] == "city-ca"
    # Two Ingresses with one Secret would overwrite each other's certificate.
    assert len({each["spec"]["tls"][0]["secretName"] for each in ingresses}) == 2
    assert of_kind(rendered("production"), "Certificate") == []
    (certificate,) = of_kind(rendered("airgapped"), "Certificate")
    assert certificate["spec"]["dnsNames"] == ["tulou.city.internal", "grpc.tulou.city.internal"]


def test_what_is_said_of_all_pods_reaches_all_pods() -> None:
    values: dict[str, Any] = {
        "pods": {
            "user": 1234,
            "annotations": {"note": "a"},
            "labels": {"team": "b"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "city", "operator": "Exists", "effect": "NoSchedule"}],
            "priorityClassName": "high",
        },
        "images": {"pullSecrets": ["one", "two"], "pullPolicy": "Always"},
    }
    arguments = (f"--set-json={key}={json.dumps(value)}" for key, value in values.items())
    objects = manifests(render(str(tools.helm()), (*PROFILES["minimal"], *arguments)))
    for workload in of_kind(objects, "Deployment", "Job", "Pod"):
        pod = pod_of(workload)
        spec = pod["spec"]
        if workload["kind"] != "Pod":
            assert pod["metadata"]["annotations"]["note"] == "a"
            assert pod["metadata"]["labels"]["team"] == "b"
        assert spec["nodeSelector"] == {"disk": "ssd"}
        assert spec["tolerations"] == values["pods"]["tolerations"]
        assert spec["priorityClassName"] == "high"
        assert spec["securityContext"]["fsGroup"] == 1234
        assert [each["name"] for each in spec["imagePullSecrets"]] == ["one", "two"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert container["imagePullPolicy"] == "Always"
            assert container["securityContext"]["runAsUser"] == 1234


def test_a_new_service_is_one_entry() -> None:
    def made(*arguments: str) -> dict[tuple[str, str], Rendering]:
        objects = manifests(render(str(tools.helm()), (*PROFILES["production"], *arguments)))
        return {(each["kind"], each["metadata"]["name"]): each for each in objects}

    before, after = made(), made("--set=services.another.testPath=/another/v1/things")
    approvals = {(kind, name.replace("approval", "another")) for kind, name in before if "approval" in name}
    # It keeps no files.
    assert after.keys() - before.keys() == approvals - {("PersistentVolumeClaim", "city-another")}
    gateway = pod_of(after["Deployment", "city-gateway"])["spec"]["initContainers"][0]
    assert "--service=another=city-another:50051" in gateway["args"]
    calls = pod_of(after["Pod", "city-test"])["spec"]["containers"]
    assert "http://city-gateway:80/another/v1/things" in [each["command"][1] for each in calls]


def test_one_service_may_differ_from_the_others() -> None:
    image = "registry.example/credit@sha256:" + "0" * 64
    differs = {
        "image": image,
        "server": {"replicas": 5, "drainDelay": 0, "autoscaling": {"enabled": False}},
        "worker": {"resources": {"limits": {"memory": "2Gi"}}},
    }
    arguments = (
        "--set=server.autoscaling.enabled=true",
        *(f"--set-json=services.credit.{key}={json.dumps(value)}" for key, value in differs.items()),
    )
    objects = manifests(render(str(tools.helm()), (*PROFILES["minimal"], *arguments)))
    deployments = {each["metadata"]["name"]: each for each in of_kind(objects, "Deployment")}
    credit, worker = deployments["city-credit"], deployments["city-credit-worker"]
    assert credit["spec"]["replicas"] == 5
    assert "replicas" not in deployments["city-approval"]["spec"]
    (container,) = pod_of(credit)["spec"]["containers"]
    assert {"name": "TULOU_DRAIN_DELAY", "value": "0"} in container["env"]
    assert container["image"] == image
    resources = pod_of(worker)["spec"]["containers"][0]["resources"]
    assert resources["limits"] == {"cpu": "2", "memory": "2Gi"}
    migrate = next(each for each in of_kind(objects, "Job") if each["metadata"]["name"] == "city-credit-migrate")
    assert pod_of(migrate)["spec"]["containers"][0]["image"] == image


def test_the_chart_is_of_the_products_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    product = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert chart["version"] == chart["appVersion"] == product


def test_the_notes_name_the_secrets_that_must_be_there() -> None:
    # Helm 3 renders notes for a cluster that answers only.
    done = run(str(tools.helm()), "install", "--dry-run=client", *PROFILES["airgapped"])
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert "approval: tulou-approval/url, tulou-approval/amqp, tulou-approval/keyring" in notes
    assert "https://tulou.city.internal" in notes
