"""A pytest plugin: PostgreSQL, RabbitMQ and whole cities for the tests that ask for them.

A server is found or started when the first test asks, once for all xdist workers, and ended with the run. Where there
is none, the tests that need it are not run and the closing block says so; under CI=true or TULOU_REQUIRE_SERVERS=1 they
fail.
"""

import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from e2e.providers.kinds import Server, Unavailable
from e2e.providers.servers import FOLDER, OWNER, TITLES, databases, lacking, server, vhost

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ["e2e.providers.cities"]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the folder that the run's processes share; xdist workers find it in their environment."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="tulou-tests-")
        # The servers run as users of their own and must be able to pass through.
        Path(os.environ[FOLDER]).chmod(0o711)
        os.environ[OWNER] = str(os.getpid())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what runs on a container engine and its images, so that it can be asked for, or left out, together."""
    for item in items:
        if re.search(r"^e2e/(containers|images|kube)/|\[.*\bcontainers-", item.nodeid):
            item.add_marker("containers")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends what was started, in the process that made the folder."""
    if os.environ.get(OWNER) != str(os.getpid()):
        return
    folder = Path(os.environ.pop(FOLDER))
    del os.environ[OWNER]
    pids = [json.loads(answer.read_text())["pid"] for answer in folder.glob("*.json")]
    running = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    for process in running:
        process.terminate()
    psutil.wait_procs(running, timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which servers the tests had, and loudly what did not run for want of one."""
    for path in sorted(Path(os.environ[FOLDER]).glob("*.json")):
        answer = json.loads(path.read_text())
        if "origin" in answer:
            terminalreporter.write_line(f"{TITLES[path.stem]} of this run: {answer['origin']}")
    absent: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.getreports("skipped") + terminalreporter.getreports("error"):
        if told := re.search(r"\w+ is not available: [^\n]*", str(report.longrepr)):
            absent[told[0].rstrip("')"), report.nodeid.split("::")[0]] += 1
    if absent:
        terminalreporter.section(f"NOT RUN: {absent.total()} tests lacked a server", red=True, bold=True)
        for reason in sorted({reason for reason, _ in absent}):
            terminalreporter.write_line(reason, red=True)
            for (why, file), count in sorted(absent.items()):
                if why == reason:
                    terminalreporter.write_line(f"    {count:4} in {file}", red=True)


@pytest.fixture(scope="session")
def postgres_admin_url() -> str:
    """URL of a PostgreSQL database whose user may create databases."""
    return server("postgresql").uri


@pytest.fixture(scope="session")
def amqp_admin() -> Server:
    """A RabbitMQ: `uri` of its first vhost, `api` its management address, both with a user that may create vhosts."""
    return server("rabbitmq")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium for one module: while it lives, its event loop keeps asynchronous tests from running."""
    # Playwright is slow to import and most tests need no browser.
    from e2e.providers.browser import chromium

    try:
        with chromium() as found:
            yield found
    except Unavailable as error:
        lacking("Chromium", str(error))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A template like TULOU_DATABASE_URL, with empty databases of the module's own, on SQLite and on PostgreSQL.

    "{service}" may be the name of any service, or "chassis".
    """
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('db')}/{{service}}.db"
        return
    with databases(request.getfixturevalue("postgres_admin_url")) as template:
        yield template


@pytest.fixture(scope="module")
def amqp_uri(amqp_admin: Server) -> Iterator[str]:
    """An empty vhost of the module's own."""
    with vhost(amqp_admin) as uri:
        yield uri
