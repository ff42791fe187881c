"""Where each service has an entry, and what is missing where: each place must name the same services."""

import re
import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

# Packages of ours that are no services.
OTHERS: Final = {"chassis", "city", "civics", "gateway"}
SHARED_PROTOS: Final = {"options", "type"}


def missing(root: Path) -> list[str]:
    """One sentence for each entry that a service of the repository at `root` lacks: where, and what would be one."""
    places = {place: names(root) for place, (names, _) in PLACES.items()}
    services = sorted(set().union(*places.values()))
    return [
        f"{place}: {service} is missing; add {entry(root, service)}"
        for place, (_, entry) in PLACES.items()
        for service in services
        if service not in places[place]
    ]


def _folders(root: Path) -> set[str]:
    return {path.parent.parent.name for path in root.glob("services/*/tulou_*/__main__.py")}


def _protos(root: Path) -> set[str]:
    return {path.parent.name for path in root.glob("protos/tulou/*/v1")} - SHARED_PROTOS


def _ports(root: Path) -> tuple[Any, ...]:
    found: tuple[Any, ...] = runpy.run_path(str(root / "city/tulou_city/services.py"))["SERVICES"]
    return found


def _port_entry(root: Path, service: str) -> str:
    free = max(one.metrics_offset for one in _ports(root)) + 1
    return f'Service("{service}", grpc_offset={free}, metrics_offset={free + 1})'


def _processes(root: Path) -> set[str]:
    return set(re.findall(r"^(\w+): python -m tulou_\1 serve$", (root / "Procfile").read_text(), re.MULTILINE))


def _contracts(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    return found


def _own(packages: list[str]) -> set[str]:
    return {package.removeprefix("tulou_") for package in packages} - OTHERS


def _layered(root: Path) -> set[str]:
    (contract,) = (contract for contract in _contracts(root)["contracts"] if contract["type"] == "layers")
    return _own([package for layer in contract["layers"] for package in layer.split(" | ")])


def _chart(root: Path) -> set[str]:
    return set(yaml.safe_load((root / "charts/tulou/values.yaml").read_text("utf-8"))["services"])


def _compose(root: Path) -> set[str]:
    found = set(yaml.safe_load((root / "e2e/containers/compose.yaml").read_text("utf-8"))["services"])
    services = {name for name in found if f"{name}-worker" in found or f"{name}-migrate" in found}
    return {name for name in services if {f"{name}-worker", f"{name}-migrate"} <= found}


# What names services, in the order in which one is added: who is named there, and how an entry looks.
PLACES: Final[dict[str, tuple[Callable[[Path], set[str]], Callable[[Path, str], str]]]] = {
    "services/": (_folders, lambda _, service: f"{service}/tulou_{service}/__main__.py"),
    "protos/tulou/": (_protos, lambda _, service: f"{service}/v1/"),
    "city/tulou_city/services.py": (lambda root: {one.name for one in _ports(root)}, _port_entry),
    "Procfile": (_processes, lambda _, service: f"{service}: python -m tulou_{service} serve"),
    "pyproject.toml, tool.importlinter.root_packages": (
        lambda root: _own(_contracts(root)["root_packages"]),
        lambda _, service: f'"tulou_{service}"',
    ),
    "pyproject.toml, tool.importlinter, layers": (_layered, lambda _, service: f"tulou_{service} |"),
    "charts/tulou/values.yaml, services": (
        _chart,
        lambda _, service: f"{service}: {{testPath: /{service}/v1/notes:count}}",
    ),
    "e2e/containers/compose.yaml, services": (
        _compose,
        lambda _, service: f"{service}, {service}-worker and {service}-migrate",
    ),
}
