"""Who may talk to whom, worked out from the policies as a cluster would, is what the README says and no more."""

from collections.abc import Callable, Iterator

import yaml

from charts.tests.rendering import CHART, Rendering, of_kind, pod_of
from tulou_city.services import SERVICES

NAMES = [service.name for service in SERVICES]
CALLS = [
    (name, called)
    for name, service in yaml.safe_load((CHART / "values.yaml").read_text())["services"].items()
    for called in service.get("calls", [])
]
# A pod of ours as "component/role", or what is outside.
DATABASE, BROKER, ISSUER = "10.20.0.0/24", "10.20.1.0/24", "10.30.0.5/32"
DOOR, PROMETHEUS, COLLECTOR, DNS = "ingress-nginx", "monitoring", "monitoring", "kube-system"


def _pods(objects: list[Rendering]) -> dict[str, Rendering]:
    """The pods of all workloads, by "component/role"."""
    pods = [pod_of(each) for each in of_kind(objects, "Deployment", "Job", "Pod")]
    labels = [pod["metadata"]["labels"] for pod in pods]
    keys = [f"{each['app.kubernetes.io/component']}/{each['tulou.io/role']}" for each in labels]
    return dict(zip(keys, pods, strict=True))


def _selects(selector: Rendering, pod: Rendering) -> bool:
    chosen: dict[str, str] = selector.get("matchLabels", {})
    assert selector.keys() <= {"matchLabels"}
    return bool(chosen.items() <= pod["metadata"]["labels"].items())


def _peers(rule: Rendering, direction: str, pods: dict[str, Rendering]) -> Iterator[str]:
    assert rule[direction], "an empty list would mean everyone"
    for peer in rule[direction]:
        if "ipBlock" in peer:
            yield peer["ipBlock"]["cidr"]
        elif "namespaceSelector" in peer:
            yield peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        else:
            yield from (name for name, pod in pods.items() if _selects(peer["podSelector"], pod))


def _number(port: int | str, pod: Rendering) -> int:
    """A port's number; a name is one of the pod's own."""
    named = {each["name"]: each["containerPort"] for c in pod["spec"]["containers"] for each in c.get("ports", [])}
    return port if isinstance(port, int) else int(named[port])


def _allowed(objects: list[Rendering]) -> tuple[set[tuple[str, str, int]], set[tuple[str, str, int]]]:
    """What may leave our pods, and what may reach them: (from, to, TCP port)."""
    pods = _pods(objects)
    leaving, reaching = set(), set()
    for policy in of_kind(objects, "NetworkPolicy"):
        for name, pod in pods.items():
            if not _selects(policy["spec"]["podSelector"], pod):
                continue
            for rule in policy["spec"].get("egress", []):
                ports = [_number(port["port"], pod) for port in rule["ports"]]
                leaving |= {(name, peer, port) for peer in _peers(rule, "to", pods) for port in ports}
            for rule in policy["spec"].get("ingress", []):
                ports = [_number(port["port"], pod) for port in rule["ports"]]
                reaching |= {(peer, name, port) for peer in _peers(rule, "from", pods) for port in ports}
    return leaving, reaching


def test_every_pod_is_shut_both_ways_by_default(rendered: Callable[[str], list[Rendering]]) -> None:
    objects = rendered("production")
    (default,) = [each for each in of_kind(objects, "NetworkPolicy") if each["metadata"]["name"] == "city-default"]
    assert sorted(default["spec"]["policyTypes"]) == ["Egress", "Ingress"]
    assert "ingress" not in default["spec"]
    pods = _pods(objects)
    assert len(pods) == 3 * len(NAMES) + 3
    assert all(_selects(default["spec"]["podSelector"], pod) for pod in pods.values())


def test_exactly_those_talk_who_must(rendered: Callable[[str], list[Rendering]]) -> None:
    objects = rendered("production")
    assert ("approval", "credit") in CALLS
    leaving, reaching = _allowed(objects)
    pods = _pods(objects)
    inside = {("gateway/gateway", f"{name}/server", 50051) for name in NAMES} | {
        *((f"{name}/server", f"{called}/server", 50051) for name, called in CALLS),
        ("gateway/gateway", "portal/portal", 8081),
        ("test/test", "gateway/gateway", 8080),
    }
    # What one end lets through and the other does not is not let through.
    assert {each for each in leaving if each[1] in pods} == inside
    assert {each for each in reaching if each[0] in pods} == inside
    assert {each for each in leaving if each[1] not in pods} == {
        *((name, DNS, 53) for name in pods),
        *((f"{name}/{role}", DATABASE, 5432) for name in NAMES for role in ("server", "worker", "migrate")),
        *((f"{name}/worker", BROKER, port) for name in NAMES for port in (5672, 5671)),
        *((f"{name}/server", ISSUER, 443) for name in NAMES),
        *((f"{name}/{role}", COLLECTOR, 4318) for name in NAMES for role in ("server", "worker")),
        ("gateway/gateway", ISSUER, 443),
        ("gateway/gateway", COLLECTOR, 4318),
    }
    assert {each for each in reaching if each[0] not in pods} == {
        (DOOR, "gateway/gateway", 8080),
        (PROMETHEUS, "gateway/gateway", 9464),
        *((PROMETHEUS, f"{name}/{role}", 9464) for name in NAMES for role in ("server", "worker")),
    }


def test_migrations_reach_their_database_before_the_release_is_there(
    rendered: Callable[[str], list[Rendering]],
) -> None:
    policies = of_kind(rendered("production"), "NetworkPolicy")
    early = {each["metadata"]["name"]: each for each in policies if "annotations" in each["metadata"]}
    assert early.keys() == {f"city-{name}-migrate" for name in NAMES}
    for policy in early.values():
        annotations = policy["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert int(annotations["helm.sh/hook-weight"]) < 0
        (dns, database) = policy["spec"]["egress"]
        assert {port["port"] for port in dns["ports"]} == {53}
        assert {port["protocol"] for port in dns["ports"]} == {"TCP", "UDP"}
        assert [port["port"] for port in database["ports"]] == [5432]


def test_on_openshift_every_pod_finds_names_where_they_are_resolved(
    rendered: Callable[[str], list[Rendering]],
) -> None:
    objects = rendered("airgapped")
    pods = _pods(objects)
    # OpenShift, because it chooses the user.
    assert all("runAsUser" not in pod["spec"]["securityContext"] for pod in pods.values())
    leaving, _ = _allowed(objects)
    assert {each for each in leaving if each[2] in (53, 5353)} == {(name, "openshift-dns", 5353) for name in pods}


def test_keys_in_a_file_need_no_way_to_the_issuer(rendered: Callable[[str], list[Rendering]]) -> None:
    leaving, _ = _allowed(rendered("airgapped"))
    assert not {each for each in leaving if each[2] == 443}


def test_there_are_no_policies_unless_asked_for(rendered: Callable[[str], list[Rendering]]) -> None:
    assert of_kind(rendered("minimal"), "NetworkPolicy") == []
