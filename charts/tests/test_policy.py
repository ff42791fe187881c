"""No manifest of any profile breaks the rules of policy.py, and each rule finds what breaks it."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from charts.tests.policy import violations
from charts.tests.rendering import Rendering, named, of_kind, pod_of


def test_no_manifest_breaks_a_rule(profile: list[Rendering]) -> None:
    found = {f"{each['kind']} {each['metadata']['name']}": violations(each) for each in profile}
    assert {name: sentences for name, sentences in found.items() if sentences} == {}


def _set(*path: str | int, to: Any) -> Callable[[Rendering], None]:
    """A change of one place below the pod's spec; to None takes the key away."""

    def change(manifest: Rendering) -> None:
        place: Any = pod_of(manifest)["spec"]
        for key in path[:-1]:
            place = place[key]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return change


FIRST = ("containers", 0)
SECURITY = (*FIRST, "securityContext")
BAD: dict[str, Callable[[Rendering], None]] = {
    "the account's token is mounted": _set("automountServiceAccountToken", to=None),
    "it runs under the namespace's default account": _set("serviceAccountName", to=None),
    "it shares the node's or another container's namespaces": _set("hostNetwork", to=True),
    "it may run as root": _set("securityContext", "runAsUser", to=0),
    "no seccomp profile": _set("securityContext", "seccompProfile", "type", to="Unconfined"),
    "volume tmp is a hostPath": _set("volumes", 0, to={"name": "tmp", "hostPath": {"path": "/"}}),
    "volume tmp may fill the node": _set("volumes", 0, to={"name": "tmp", "emptyDir": {}}),
    "server: it may run as root": _set(*SECURITY, "runAsNonRoot", to=None),
    "server: it may gain privileges": _set(*SECURITY, "privileged", to=True),
    "server: it keeps capabilities": _set(*SECURITY, "capabilities", "add", to=["NET_ADMIN"]),
    "server: its root file system can be written": _set(*SECURITY, "readOnlyRootFilesystem", to=False),
    "server: no requests of cpu": _set(*FIRST, "resources", "requests", "cpu", to=None),
    "server: no limits of memory": _set(*FIRST, "resources", "limits", to=None),
    "server: its image tulou/approval:latest may be another one tomorrow": _set(
        *FIRST, "image", to="tulou/approval:latest"
    ),
    "server: its image host:5000/approval may be another one tomorrow": _set(*FIRST, "image", to="host:5000/approval"),
    "server: it takes a port of the node": _set(*FIRST, "ports", 0, "hostPort", to=80),
    "server: DB_PASSWORD may hold a secret": _set(*FIRST, "env", 0, to={"name": "DB_PASSWORD", "value": "x"}),
    "server: URL may hold a secret": _set(*FIRST, "env", 0, to={"name": "URL", "value": "postgresql://a:b@c"}),
    "server: no livenessProbe that is run in it": _set(*FIRST, "livenessProbe", to=None),
    "server: no readinessProbe that is run in it": _set(*FIRST, "readinessProbe", to={"httpGet": {"port": 1}}),
    "its instances may all stand on one node or in one zone": _set("topologySpreadConstraints", 0, to=None),
    "a rollout takes instances away before there are new ones": lambda manifest: manifest["spec"]["strategy"].update(
        rollingUpdate={"maxUnavailable": 1}
    ),
    "it does not select its own pods": lambda manifest: pod_of(manifest)["metadata"]["labels"].clear(),
    "Secret is not ours to make": lambda manifest: manifest.update(kind="Secret"),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_manifest_that_breaks_a_rule_is_found(sentence: str, rendered: Callable[[str], list[Rendering]]) -> None:
    manifest = deepcopy(named(rendered("minimal"), "Deployment", "approval"))
    assert violations(manifest) == []
    BAD[sentence](manifest)
    assert sentence in violations(manifest)


def test_every_account_is_without_a_token(profile: list[Rendering]) -> None:
    accounts = of_kind(profile, "ServiceAccount")
    assert len(accounts) >= 5
    for account in accounts:
        account = deepcopy(account)
        del account["automountServiceAccountToken"]
        assert violations(account) == ["the account's token is mounted"]
