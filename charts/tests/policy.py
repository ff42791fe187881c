"""What every manifest of the chart must keep to, whatever the values."""

import re
from collections.abc import Iterator

from charts.tests.rendering import Rendering, hooks_of, pod_of

WORKLOADS = ("Deployment", "Job", "Pod")
# Nothing of ours asks the cluster's own API, and secrets come from outside.
FORBIDDEN = ("Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Namespace", "DaemonSet")
VOLUMES = ("emptyDir", "secret", "configMap", "persistentVolumeClaim")


def violations(manifest: Rendering) -> list[str]:
    """What is wrong with it, in sentences; none is good."""
    kind = manifest["kind"]
    found = [f"{kind} is not ours to make"] if kind in FORBIDDEN else []
    if kind == "ServiceAccount" and manifest.get("automountServiceAccountToken") is not False:
        found.append("the account's token is mounted")
    if kind in WORKLOADS:
        found += _pod(pod_of(manifest)["spec"])
        for container in _containers(manifest):
            found += (f"{container['name']}: {sentence}" for sentence in _container(container))
    if kind == "Deployment":
        found += _deployment(manifest)
    return found


def _containers(manifest: Rendering) -> list[Rendering]:
    spec = pod_of(manifest)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def _pod(spec: Rendering) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if spec.get("automountServiceAccountToken") is not False:
        yield "the account's token is mounted"
    if spec.get("serviceAccountName", "default") == "default":
        yield "it runs under the namespace's default account"
    if any(spec.get(shared) for shared in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")):
        yield "it shares the node's or another container's namespaces"
    if security.get("runAsNonRoot") is not True or 0 in (security.get("runAsUser"), security.get("runAsGroup")):
        yield "it may run as root"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile"
    for volume in spec.get("volumes", []):
        (source,) = volume.keys() - {"name"}
        if source not in VOLUMES:
            yield f"volume {volume['name']} is a {source}"
        elif source == "emptyDir" and not volume[source].get("sizeLimit"):
            yield f"volume {volume['name']} may fill the node"


def _container(container: Rendering) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or security.get("runAsUser") == 0:
        yield "it may run as root"
    if security.get("privileged") or security.get("allowPrivilegeEscalation") is not False:
        yield "it may gain privileges"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "it keeps capabilities"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "its root file system can be written"
    resources = container.get("resources", {})
    for bound in ("requests", "limits"):
        for what in ("cpu", "memory"):
            if not resources.get(bound, {}).get(what):
                yield f"no {bound} of {what}"
    name, _, tag = container["image"].rpartition(":")
    if not name or "/" in tag or tag == "latest":
        yield f"its image {container['image']} may be another one tomorrow"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "it takes a port of the node"
    for variable in container.get("env", []):
        if re.search("password|secret|token", variable["name"], re.I) or "@" in variable.get("value", ""):
            yield f"{variable['name']} may hold a secret"


def _deployment(manifest: Rendering) -> Iterator[str]:
    spec, pod = manifest["spec"], pod_of(manifest)
    if spec["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
        yield "a rollout takes instances away before there are new ones"
    if spec["selector"]["matchLabels"].items() - pod["metadata"]["labels"].items():
        yield "it does not select its own pods"
    if {each["topologyKey"] for each in pod["spec"].get("topologySpreadConstraints", [])} != {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }:
        yield "its instances may all stand on one node or in one zone"
    for container in pod["spec"]["containers"]:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if "exec" not in container.get(probe, {}):
                yield f"{container['name']}: no {probe} that is run in it"
    if hooks_of(manifest):
        yield "what runs on is no hook"
