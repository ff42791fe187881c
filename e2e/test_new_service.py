"""A new service: the template is copied in and given its entries, and the city has it; what is left out is named."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from e2e.providers import tools
from e2e.test_tilt import tilt_of
from templates.entries import PLACES, missing
from templates.new_service import copy_service
from tulou_city.layout import ROOT

NAME: Final = "library"
ENTRIES: Final = {place: entry for place, (_, entry) in PLACES.items()}


def _inserted(path: Path, before: str, text: str) -> None:
    content = path.read_text("utf-8")
    assert content.count(before) == 1, f"{path}: {before!r}"
    path.write_text(content.replace(before, text + before), "utf-8")


def _in_compose(root: Path, entry: str) -> None:
    path = root / "e2e/containers/compose.yaml"
    # As the last of the others, under the new name.
    block = re.search(r"^  credit:\n.*?^  credit-migrate:[^\n]*\n", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert block
    blobs = re.compile(r', "credit-blobs:[^"]*"')
    _inserted(path, "\n  gateway:\n", "\n" + blobs.sub("", block[0]).replace("credit", NAME))
    assert entry == f"{NAME}, {NAME}-worker and {NAME}-migrate"


# How an entry is made where it is more than a copied folder. What is written is what the check asks for.
EDITS: Final[dict[str, Callable[[Path, str], None]]] = {
    "city/tulou_city/services.py": lambda root, entry: _inserted(
        root / "city/tulou_city/services.py", '    Service("credit"', f"    {entry},\n"
    ),
    "Procfile": lambda root, entry: _inserted(root / "Procfile", "worker: ", f"{entry}\n"),
    "pyproject.toml, tool.importlinter.root_packages": lambda root, entry: _inserted(
        root / "pyproject.toml", '  "tulou_approval",\n', f"  {entry},\n"
    ),
    "pyproject.toml, tool.importlinter, layers": lambda root, entry: _inserted(
        root / "pyproject.toml", "tulou_approval | ", f"{entry} "
    ),
    "charts/tulou/values.yaml, services": lambda root, entry: _inserted(
        root / "charts/tulou/values.yaml", "  approval:\n", f"  {entry}\n"
    ),
    "e2e/containers/compose.yaml, services": _in_compose,
}


def repository(folder: Path, *, but: str = "") -> Path:
    """A copy of this repository with the template as a new service and its entries, all but the one at that place."""
    ignored = (line.rstrip("/").rpartition("/")[2] for line in (ROOT / ".gitignore").read_text().splitlines())
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored), dirs_exist_ok=True)
    copy_service(NAME, folder)
    for place, edit in EDITS.items():
        if place != but:
            edit(folder, ENTRIES[place](folder, NAME))
    if but in ("services/", "protos/tulou/"):
        shutil.rmtree(folder / but / NAME)
    return folder


def packages(root: Path) -> str:
    """The packages of a repository, in front of those that are installed."""
    folders = [root / "protos/gen", *sorted((root / "services").iterdir()), root / "gateway", root / "city", root]
    return os.pathsep.join(map(str, folders))


def run(root: Path, *arguments: str, **environment: str) -> str:
    """What a command of this environment's Python prints in the copy. Fails where the command does."""
    # Not a pipe: a process that the command leaves behind would hold its end open.
    with tempfile.TemporaryFile("w+") as told:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=root,
            env=os.environ | {"PYTHONPATH": packages(root)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            timeout=500,
        )
        told.seek(0)
        output = told.read()
    assert done.returncode == 0, f"{arguments}: {output[-6000:]}"
    return output


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the new service, its stubs made."""
    root = repository(tmp_path_factory.mktemp("grown"))
    run(root, "protos/generate.py")
    return root


def test_every_service_has_every_entry() -> None:
    assert missing(ROOT) == []


def test_a_service_with_all_entries_lacks_none(grown: Path) -> None:
    assert missing(grown) == []


@pytest.mark.parametrize("place", PLACES)
def test_what_is_left_out_is_named_with_its_file(tmp_path: Path, place: str) -> None:
    [told] = missing(repository(tmp_path, but=place))
    assert told.startswith(f"{place}: {NAME} is missing; add ")


@pytest.mark.parametrize("name", ["Library", "a", "9lives", "land_use", "gateway", "type", "x" * 21])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit, match="cannot be a service's name"):
        copy_service(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_is_there_is_not_written_over(grown: Path) -> None:
    with pytest.raises(SystemExit, match="There is a service library already"):
        copy_service(NAME, grown)


def test_the_new_service_is_clean(grown: Path) -> None:
    made = [f"services/{NAME}", "city/tulou_city/services.py"]
    run(grown, "-m", "ruff", "check", *made)
    run(grown, "-m", "ruff", "format", "--check", *made)
    told = run(grown, "-m", "mypy", f"services/{NAME}/tulou_{NAME}", MYPYPATH=str(grown / "protos/gen"))
    assert "Success" in told
    run(grown, "protos/check.py", "--against", str(ROOT / "protos"))
    assert "0 broken" in run(grown, str(Path(sys.executable).with_name("lint-imports")))


def test_its_own_tests_pass(grown: Path) -> None:
    assert "passed" in run(grown, "-m", "pytest", "-q", f"services/{NAME}")


def test_it_is_called_through_the_gateway_over_http_and_grpc_and_its_events_arrive(grown: Path) -> None:
    # Its API cases and its page of the docs, on a city of the copy.
    tests = ["e2e/test_api_cases.py", "gateway/tests/test_openapi_document.py"]
    told = run(grown, "-m", "pytest", "-v", *tests, "-k", f"({NAME} and not direct) or test_every_r")
    for transport in ("http", "grpc"):
        assert f"its author reads a note that the worker has put on file-{transport}] PASSED" in told


def test_the_chart_runs_it(grown: Path) -> None:
    command = [tools.helm(), "template", "city", "charts/tulou", "--values", "charts/tulou/ci/minimal-values.yaml"]
    rendered = subprocess.run(command, cwd=grown, capture_output=True, text=True, check=True).stdout
    found: dict[tuple[str, str], Any] = {
        (each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(rendered) if each
    }
    for workload in [("Deployment", NAME), ("Deployment", f"{NAME}-worker"), ("Job", f"{NAME}-migrate")]:
        pod = found[workload[0], f"city-{workload[1]}"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"].startswith(f"tulou/{NAME}:")
    assert ("Service", f"city-{NAME}") in found
    [render] = found["Deployment", "city-gateway"]["spec"]["template"]["spec"]["initContainers"]
    assert f"--service={NAME}=city-{NAME}:50051" in render["args"]


def test_compose_runs_it(grown: Path) -> None:
    services = yaml.safe_load((grown / "e2e/containers/compose.yaml").read_text("utf-8"))["services"]
    for suffix in ("", "-worker", "-migrate"):
        assert f"/{NAME}:" in services[NAME + suffix]["image"]


def test_tilt_lists_it(grown: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    # Not tmp_path: a city's state needs a short one.
    tilt = tilt_of(grown, tmp_path_factory.mktemp("tilt"))
    assert tilt.builds[f"tulou/{NAME}"].build_args["SERVICE"] == NAME
    assert {NAME, f"{NAME}-worker", f"{NAME}-migrate", f"test-{NAME}"} <= tilt.resources.keys()
