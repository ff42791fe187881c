"""`make up` to `make stop`, as a newcomer meets them."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e2e.providers.cities import Cities, new_city, run_city, running_city, settings_of
from e2e.providers.servers import OWNER
from tulou_city import prepare, supervise
from tulou_city.layout import MARKER, City

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("up", "stop", "demo", "test", "lint", "bench", "token", "e2e", "clean")


@pytest.fixture(scope="module")
def started() -> Iterator[City]:
    with running_city() as city:
        yield city


@pytest.fixture
def city() -> Iterator[City]:
    with new_city() as unstarted:
        yield unstarted


def curl_of(output: str) -> list[str]:
    [line] = [line for line in output.splitlines() if line.startswith("curl ")]
    return shlex.split(line)


def test_make_lists_every_target_with_a_line_of_help() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in TARGETS:
        [line] = [line for line in listed.splitlines() if line.split()[:2] == ["make", target]]
        assert len(line.split()) > 4


def test_the_printed_curl_line_files_a_case_that_is_still_there_after_a_restart(started: City) -> None:
    told = run_city("up", "--detach", city=started)
    assert told.returncode == 0
    assert "runs already" in told.stdout
    filed = subprocess.run(curl_of(told.stdout), capture_output=True, text=True)
    head, _, body = filed.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200"), filed.stdout
    assert '"CASE_STATE_DRAFT"' in body

    assert "Ended" in run_city("stop", city=started).stdout
    assert supervise.members(started) == []
    assert prepare.taken_ports(started) == {}
    assert "No city was running" in run_city("stop", city=started).stdout

    assert run_city("up", "--detach", city=started).returncode == 0
    token = run_city("token", "--role", "citizen", city=started).stdout.strip()
    listed = httpx.get(f"{started.url}/approval/v1/cases", headers={"authorization": f"Bearer {token}"}).json()
    assert [case["title"] for case in listed["cases"]] == ["土楼茶餐厅食品经营许可"]


def test_a_killed_supervisor_does_not_keep_the_next_start_from_working(started: City) -> None:
    [supervisor] = [one for one in supervise.members(started) if "supervisor.supervisord" in " ".join(one.cmdline())]
    supervisor.kill()
    supervisor.wait(10)
    assert supervise.members(started)
    assert run_city("up", "--detach", city=started).returncode == 0
    assert httpx.get(f"{started.url}/approval/v1/departments").status_code == 200


def test_the_demo_plays_to_its_end_and_links_to_its_one_trace(cities: Cities) -> None:
    city = cities()
    played = run_city("demo", city=city)
    assert played.returncode == 0, played.stdout
    assert '"CASE_STATE_CLOSED"' in played.stdout
    link = played.stdout.split()[-1]
    assert link.startswith(f"{city.url}/traces/")
    # Spans are sent in batches, a moment after the calls.
    give_up = time.monotonic() + 30
    missing = parts = {"CreateCase", "CloseCase", "approval-worker"}
    while missing and time.monotonic() < give_up:
        page = httpx.get(link)
        assert page.status_code == 200
        missing = {part for part in parts if part not in page.text}
        time.sleep(0.2)
    assert not missing


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


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGHUP])
def test_a_city_in_the_foreground_ends_with_its_terminal(city: City, end: signal.Signals) -> None:
    foreground = subprocess.Popen(
        [sys.executable, "-u", "-m", "tulou_city", "up"],
        env=os.environ | settings_of(city),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert foreground.stdout is not None
    said = []
    for line in foreground.stdout:
        said.append(line)
        if "Ctrl-C ends the city" in line:
            break
    assert supervise.members(city), "".join(said)
    foreground.send_signal(end)
    said += foreground.stdout.readlines()
    foreground.communicate()
    assert "The city has ended." in "".join(said)
    assert supervise.members(city) == []
    assert prepare.taken_ports(city) == {}


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


def test_a_taken_port_stops_the_start_and_is_named(city: City) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", city.port))
        listener.listen()
        refused = run_city("up", "--detach", city=city)
    assert refused.returncode == 1
    assert f"{city.port} (gateway) is taken by process {os.getpid()}" in refused.stdout
    assert supervise.members(city) == []


def test_a_database_that_is_not_there_stops_the_start_and_says_so(city: City) -> None:
    refused = run_city("up", "--detach", city=city, DATABASE_URL="postgresql://nobody:x@127.0.0.1:1/tulou_{service}")
    assert refused.returncode == 1
    assert "tulou_approval migrate failed" in refused.stdout
    assert supervise.members(city) == []


def test_the_cities_of_a_killed_test_run_are_ended_and_no_others() -> None:
    def sleeper(**environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ | environment)

    run = sleeper()
    processes = [run]
    owned = {MARKER: "/tmp/x", OWNER: str(run.pid)}
    others = [sleeper(**owned | {OWNER: "1"}), sleeper(**{OWNER: str(run.pid)})]
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
    finally:
        for process in processes:
            process.kill()
            process.wait()
