"""`make lint` refuses protos that would break a client or that say too little."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROTOS = Path(__file__).resolve().parents[1]
CASE = "tulou/approval/v1/case.proto"
REASONS = "  // Reasons; always there for a refusal (行政许可法 art. 38).\n  string reasons = 3;\n"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    folder = tmp_path / "protos"
    shutil.copytree(PROTOS / "tulou", folder / "tulou")
    return folder


def replace(folder: Path, old: str, new: str) -> None:
    path = folder / CASE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROTOS / "check.py"), "--protos", str(folder), "--against", str(PROTOS)]
    return subprocess.run(command, capture_output=True, text=True)


def test_protos_that_did_not_change_pass(changed: Path) -> None:
    done = check(changed)
    assert done.returncode == 0, done.stderr
    assert "nothing is broken" in done.stdout


def test_a_removed_field_is_refused(changed: Path) -> None:
    replace(changed, REASONS, "")
    done = check(changed)
    assert done.returncode != 0
    assert 'Previously present field "3" with name "reasons"' in done.stdout


def test_a_renamed_field_is_refused_because_json_clients_use_names(changed: Path) -> None:
    replace(changed, "string reasons = 3;", "string grounds = 3;")
    done = check(changed)
    assert done.returncode != 0
    assert '"reasons"' in done.stdout


def test_a_new_field_passes(changed: Path) -> None:
    replace(changed, REASONS, f"{REASONS}  // Who signed it.\n  string signed_by = 99;\n")
    assert check(changed).returncode == 0


def test_a_field_without_a_comment_is_refused(changed: Path) -> None:
    replace(changed, REASONS, f"{REASONS}  string signed_by = 99;\n")
    done = check(changed)
    assert done.returncode != 0
    assert '"signed_by" should have a non-empty comment' in done.stdout
