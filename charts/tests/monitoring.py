"""What the chart renders for Prometheus and Grafana, in the production profile."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

from charts.tests import rendering
from e2e.providers.tools import helm

NAMESPACE: Final = "tulou"
# Selectors of the rules and dashboards: a name and what stands in its braces. Every one has braces, with its namespace.
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[^}\"]|\"[^\"]*\")*)\}")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@cache
def _objects() -> list[rendering.Rendering]:
    return rendering.manifests(rendering.render(str(helm()), rendering.PROFILES["production"]))


def manifests(kind: str) -> list[rendering.Rendering]:
    """The objects of one kind."""
    return rendering.of_kind(_objects(), kind)


@cache
def groups() -> list[dict[str, Any]]:
    """The groups of all PrometheusRules, as Prometheus gets them."""
    return [group for rule in manifests("PrometheusRule") for group in rule["spec"]["groups"]]


def rules() -> list[dict[str, Any]]:
    """All rules."""
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards by file name."""
    files = [
        found["data"].items() for found in manifests("ConfigMap") if "grafana_dashboard" in found["metadata"]["labels"]
    ]
    return {name: json.loads(text) for [(name, text)] in files}


def expressions() -> dict[str, str]:
    """Every expression of the dashboards, as Grafana asks it for one namespace and service, by place."""
    fill = {"$namespace": NAMESPACE, "$component": "approval", "$__rate_interval": "5m"}
    found = {}
    for file, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                text = target["expr"]
                for variable, value in fill.items():
                    text = text.replace(variable, value)
                found[f"{file}: {panel['title']} {target['refId']}"] = text
    return found


def selectors(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The names in an expression, each with its matchers: label, operator, value."""
    return [(name, _MATCHER.findall(matchers)) for name, matchers in _SELECTOR.findall(expression)]


def without_selectors(expression: str) -> str:
    """The expression with nothing in the place of its selectors."""
    return _SELECTOR.sub(" ", expression)


def run_promtool(promtool: Path, *arguments: str | Path) -> str:
    """What promtool says, when it fails or finds a test failing; else nothing."""
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr if done.returncode else ""
