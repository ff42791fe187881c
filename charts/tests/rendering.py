"""The chart as Helm renders it."""

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[1] / "tulou"
RELEASE: Final = "city"
Rendering = dict[str, Any]
_ROUTES: Final = (
    "--set=ingress.enabled=false,gatewayApi.enabled=true",
    "--set=gatewayApi.parentRefs[0].name=door,gatewayApi.parentRefs[0].namespace=gateways",
)
# Helm's arguments for each profile. "routes" is the production's with the Gateway API in place of the Ingress.
PROFILES: Final = {
    **{
        path.name.removesuffix("-values.yaml"): (f"--values={path}",) for path in sorted(CHART.glob("ci/*-values.yaml"))
    },
    "routes": (f"--values={CHART}/ci/production-values.yaml", *_ROUTES),
}


def run(helm: str, command: str, *arguments: str, release: str = RELEASE) -> subprocess.CompletedProcess[str]:
    """Runs a command of Helm's on the chart; the caller looks at how it ended."""
    name = [] if command == "lint" else [release]
    return subprocess.run([helm, command, *name, str(CHART), *arguments], capture_output=True, text=True, timeout=300)


def render(helm: str, arguments: tuple[str, ...]) -> str:
    """What `helm template` writes. Fails with Helm's own words."""
    done = run(helm, "template", "--namespace=tulou", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(text: str) -> list[Rendering]:
    """The objects of a rendering."""
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(objects: list[Rendering], *kinds: str) -> list[Rendering]:
    """Those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def named(objects: list[Rendering], kind: str, name: str) -> Rendering:
    """The one of that kind and name."""
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == f"{RELEASE}-{name}"]
    return found


def pod_of(workload: Rendering) -> Rendering:
    """The pod of a Deployment or Job, or the Pod itself: its metadata and spec."""
    pod: Rendering = workload if workload["kind"] == "Pod" else workload["spec"]["template"]
    return pod


def hooks_of(workload: Rendering) -> str:
    """When Helm runs it apart from the rest; empty for what belongs to the release."""
    hook: str = workload["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return hook
