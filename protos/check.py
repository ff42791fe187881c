"""Checks the protos with buf: style and comments, and that nothing a released client relies on has changed.

    python protos/check.py [--protos FOLDER] [--against FOLDER]

--against is an older protos/ folder; without it the last release tag's (v*) is taken from git. Nothing is fetched:
buf gets the google protos of the installed googleapis-common-protos beside ours.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import yaml
from generate import put_operations
from google.api import annotations_pb2

HERE = Path(__file__).resolve().parent
BUF = Path(sys.executable).with_name("buf")


def main() -> None:
    """Exits with buf's findings, or says what was checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protos", type=Path, default=HERE)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        now = workspace(given.protos, Path(folder) / "now")
        _buf("lint", str(now))
        print("protos: style and comments are right")
        tag = "" if given.against else last_release()
        if not tag and not given.against:
            print("protos: no release tag (v*) yet, so there is nothing to break")
            return
        older = given.against or protos_of(tag, Path(folder) / "release")
        _buf("breaking", str(now), "--against", str(workspace(older, Path(folder) / "then")))
        print(f"protos: nothing is broken since {tag or given.against}")


def workspace(protos: Path, folder: Path) -> Path:
    """Makes a buf workspace of our protos and google's at `folder`; the rules of protos/buf.yaml are for ours alone."""
    shutil.copytree(protos / "tulou", folder / "ours/tulou")
    google = Path(annotations_pb2.__file__).parents[1]
    for package in ("api", "rpc", "type"):
        shutil.copytree(google / package, folder / "google/google" / package, ignore=_all_but_protos)
    put_operations(folder / "google", google)
    rules = yaml.safe_load((HERE / "buf.yaml").read_text())
    google_rules = {"path": "google", "lint": {"ignore": ["google"]}, "breaking": {"ignore": ["google"]}}
    (folder / "buf.yaml").write_text(yaml.safe_dump(rules | {"modules": [{"path": "ours"}, google_rules]}))
    return folder


def last_release() -> str:
    """The newest tag v* that HEAD descends from; empty when there is none."""
    found = subprocess.run(
        ["git", "describe", "--tags", "--match", "v*", "--abbrev=0"], cwd=HERE, capture_output=True, text=True
    )
    return found.stdout.strip()


def protos_of(tag: str, folder: Path) -> Path:
    """Unpacks protos/ as it was at `tag`."""
    archive = subprocess.run(["git", "archive", tag, "tulou"], cwd=HERE, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def _all_but_protos(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not (name.endswith(".proto") or (Path(folder) / name).is_dir())]


def _buf(*arguments: str) -> None:
    if subprocess.run([BUF, *arguments]).returncode != 0:
        raise SystemExit(f"buf {arguments[0]} refused the protos; what it found stands above")


if __name__ == "__main__":
    main()
