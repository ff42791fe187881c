"""What make does when things are not as they should be; and its list of targets."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e2e.providers.cities import Cities, new_city, run_city, settings_of
from e2e.providers.servers import OWNER
from tulou_city import prepare, supervise
from tulou_city.layout import MARKER, City

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("up", "stop", "demo", "test", "lint", "bench", "token", "e2e", "clean")


@pytest.fixture
def city() -> Iterator[City]:
    with new_city() as unstarted:
        yield unstarted


def test_make_lists_every_target_with_a_line_of_help() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in TARGETS:
        [line] = [line for line in listed.splitlines() if line.split()[:2] == ["make", target]]
        assert len(line.split()) > 4


def test_a_killed_supervisor_does_not_keep_the_next_start_from_working(city: City) -> None:
    assert run_city("up", "--detach", city=city).returncode == 0
    [supervisor] = [one for one in supervise.members(city) if "supervisor.supervisord" in " ".join(one.cmdline())]
    supervisor.kill()
    supervisor.wait(10)
    assert supervise.members(city)
    assert run_city("up", "--detach", city=city).returncode == 0
    assert httpx.get(f"{city.url}/approval/v1/departments").status_code == 200


def test_status_shows_every_process_with_its_memory(cities: Cities) -> None:
    shown = run_city("status", city=cities()).stdout
    for process in ("portal", "approval", "worker", "gateway", "all"):
        assert f" {process} " in shown


def test_a_python_that_is_too_old_is_named_before_anything_is_made(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    patch = "import sys; sys.version_info = (3, 9, 1); sys.version = '3.9.1 (main)'; exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -c "{patch}" "$1"\n')
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    refused = subprocess.run(["make", "up", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode != 0
    assert f"Tulou needs Python 3.11 or newer; {old} is 3.9.1" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_interrupted_start_leaves_nothing_behind(city: City) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "tulou_city", "up", "--detach"],
        env=os.environ | settings_of(city),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + 60
    while not supervise.members(city) and time.monotonic() < give_up:
        time.sleep(0.05)
    starting.send_signal(signal.SIGTERM)
    starting.wait(60)
    assert supervise.members(city) == []
    assert prepare.taken_ports(city) == {}


def test_a_database_that_is_not_there_stops_the_start_and_says_so(city: City) -> None:
    refused = run_city("up", "--detach", city=city, DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/tulou_{service}")
    assert refused.returncode == 1
    assert "tulou_approval migrate failed" in refused.stdout
    assert supervise.members(city) == []


def test_the_cities_of_a_killed_test_run_are_ended_and_no_others(tmp_path: Path) -> None:
    def sleeper(**environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ | environment)

    run = sleeper()
    processes = [run]
    var = tmp_path / "var"
    var.mkdir()
    owned = {MARKER: str(var), OWNER: str(run.pid)}
    others = [sleeper(**{MARKER: str(tmp_path), OWNER: "1"}), sleeper(**{OWNER: str(run.pid)})]
    processes += [own := sleeper(**owned), *others]
    try:
        reaper = subprocess.Popen([sys.executable, "-m", "e2e.providers.reaper", str(run.pid)], cwd=ROOT)
        processes.append(reaper)
        with pytest.raises(subprocess.TimeoutExpired):
            own.wait(2)
        run.kill()
        assert own.wait(60) == -signal.SIGKILL
        assert reaper.wait(60) == 0
        assert [other.poll() for other in others] == [None, None]
        assert not var.exists()
    finally:
        for process in processes:
            process.kill()
            process.wait()
