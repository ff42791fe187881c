"""The providers of servers keep their promises: shared by workers, gone with the run, loud when absent."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import amqp
import httpx
import psutil
import psycopg
import pytest

from e2e.providers import engine, holder
from e2e.providers.kinds import Unavailable

ROOT = Path(__file__).resolve().parents[1]
NOTHING_LISTENS = {"TULOU_TEST_POSTGRES_URL": "postgresql://127.0.0.1:1/none", "TULOU_TEST_WAYS": "listening"}


def run(folder: Path, body: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    (folder / "conftest.py").write_text('pytest_plugins = ["e2e.providers"]\n')
    (folder / "test_it.py").write_text(dedent(body))
    inherited = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("TULOU_")}
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:pytest_nameko",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            ".",
            *arguments,
        ],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_a_module_gets_an_empty_database_for_each_service(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        assert not Path(database_url.removeprefix("sqlite:///").format(service="approval")).exists()
        return
    for service in ("approval", "chassis"):
        with psycopg.connect(database_url.format(service=service)) as connection:
            tables = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
        assert tables == (0,)


def test_a_module_gets_a_vhost_that_it_may_use(amqp_uri: str) -> None:
    uri = httpx.URL(amqp_uri)
    assert uri.path.startswith("/test-")
    with amqp.Connection(f"{uri.host}:{uri.port}", uri.username, uri.password, virtual_host=uri.path[1:]) as connection:
        assert connection.channel().queue_declare("q").message_count == 0


def test_workers_share_one_server(tmp_path: Path, running: list[subprocess.Popen[str]]) -> None:
    body = """
        import os, pathlib, pytest
        @pytest.mark.parametrize("n", range(4))
        def test_which(postgres_admin_url, n):
            worker = os.environ["PYTEST_XDIST_WORKER"]
            (pathlib.Path(__file__).parent / f"{worker}.uri").write_text(postgres_admin_url)
    """
    running.append(run(tmp_path, body, "-n", "2", "--dist", "each"))
    output, _ = running[0].communicate(timeout=180)
    assert running[0].returncode == 0, output
    uris = [path.read_text() for path in tmp_path.glob("*.uri")]
    assert len(uris) == 2
    assert len(set(uris)) == 1
    assert "PostgreSQL of this run: " in output


@pytest.mark.usefixtures("postgres_admin_url")
def test_a_killed_run_leaves_no_server_behind(tmp_path: Path, running: list[subprocess.Popen[str]]) -> None:
    body = """
        import os, pathlib, shutil, time
        def test_slow(postgres_admin_url):
            folder = pathlib.Path(os.environ["TULOU_TEST_FOLDER"])
            pathlib.Path(__file__).with_name("folder").write_text(str(folder))
            shutil.copy(folder / "postgresql.json", pathlib.Path(__file__).with_name("answer"))
            time.sleep(300)
    """
    running.append(run(tmp_path, body, TULOU_TEST_WAYS="docker,packages"))
    answer = tmp_path / "answer"
    _wait(lambda: answer.exists() and answer.read_text())
    server = psutil.Process(json.loads(answer.read_text())["pid"])
    family = [server, *server.children(recursive=True)]
    server_folder = (tmp_path / "folder").read_text()
    running[0].kill()
    gone, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    assert gone
    assert not Path(server_folder).exists()


def test_tests_without_their_server_are_named_in_a_closing_block(
    tmp_path: Path, running: list[subprocess.Popen[str]]
) -> None:
    body = """
        def test_one(postgres_admin_url): pass
        def test_both(database_url): pass
    """
    running.append(run(tmp_path, body, **NOTHING_LISTENS))
    output, _ = running[0].communicate(timeout=60)
    assert running[0].returncode == 0
    block = output.partition("NOT RUN: 2 tests lacked a server")[2]
    assert "PostgreSQL is not available: listening: " in block
    assert "   2 in test_it.py" in block
    assert "1 passed, 2 skipped" in block


@pytest.mark.parametrize("required", [{"CI": "true"}, {"TULOU_REQUIRE_SERVERS": "1"}])
def test_a_missing_server_fails_where_servers_are_required(
    tmp_path: Path, running: list[subprocess.Popen[str]], required: dict[str, str]
) -> None:
    running.append(run(tmp_path, "def test_one(postgres_admin_url): pass", **NOTHING_LISTENS, **required))
    output, _ = running[0].communicate(timeout=60)
    assert running[0].returncode == 1
    assert "NOT RUN: 1 tests lacked a server" in output


def test_a_docker_engine_is_used_through_its_compose_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "docker"
    engine.write_text('#!/bin/sh\necho "$@" >> "$0.log"\ncase "$*" in *" port "*) echo 127.0.0.1:4711;; esac\n')
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("TULOU_TEST_PASSWORD", raising=False)
    with holder.docker("rabbitmq", tmp_path) as server:
        assert server.uri.endswith("@127.0.0.1:4711/")
        assert server.api.endswith("@127.0.0.1:4711")
    calls = (tmp_path / "docker.log").read_text().splitlines()
    assert calls[1].endswith("up --wait rabbitmq")
    assert calls[-1].endswith("down -v")


def test_the_engine_that_the_client_reaches_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "docker"
    client.write_text('#!/bin/sh\n[ "$1" = compose ] || echo 28.0\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with engine.answering(tmp_path) as found:
        assert found.origin == "engine 28.0"
    assert engine.compose() == ["docker", "compose"]


def test_without_an_engine_only_root_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho cannot connect >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="cannot connect"), engine.answering(tmp_path):
        pass
    with pytest.raises(Unavailable, match="only root"), engine.from_packages(tmp_path):
        pass


def test_images_are_other_ones_when_what_they_are_made_of_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, test, lock = (tmp_path / name for name in ("services/a/b.py", "services/a/tests/t.py", "requirements.lock"))
    for path in (source, test, lock):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
    monkeypatch.setattr(engine, "ROOT", tmp_path)
    before = engine.digest()
    test.write_text("two")
    assert engine.digest() == before
    for path in (source, lock):
        path.write_text("two")
        assert engine.digest() != before
        before = engine.digest()


def _wait(condition: object) -> None:
    give_up = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < give_up
        time.sleep(0.1)
