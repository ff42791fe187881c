"""PostgreSQL and RabbitMQ from Debian's packages, on ports and in a folder of their own."""

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from e2e.providers.kinds import Server, Unavailable

START_SECONDS = 90
POLICY = Path("/usr/sbin/policy-rc.d")
INSTALLING = Path("/run/lock/tulou-installing")


@contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """Starts a PostgreSQL under `folder`. Raises Unavailable where there is none and none can be installed."""
    initdb = installed("initdb", package="postgresql", folders="/usr/lib/postgresql/*/bin")
    home, user = _home(folder / "postgresql", "postgres")
    password = secrets.token_hex(16)
    password_file = home / "password"
    password_file.write_text(password)
    os.chown(password_file, home.stat().st_uid, -1)
    _run(
        [initdb, "-D", home / "data", "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password_file, "-E", "UTF8"],
        cwd=home,
        user=user,
    )
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 300,
        # The data dies with the run: it need not survive a crash of the machine.
        "fsync": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"

    def ready() -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
            return True
        return False

    # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
    with running([initdb.with_name("postgres"), "-D", home / "data", *options], home, {}, user, signal.SIGINT, ready):
        yield Server(uri=url, origin="Debian's packages")


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Server]:
    """Starts a RabbitMQ with its management API under `folder`. Raises Unavailable where there is none."""
    program = installed("rabbitmq-server", package="rabbitmq-server", folders="/usr/lib/rabbitmq/bin")
    home, user = _home(folder / "rabbitmq", "rabbitmq")
    amqp, management, distribution, epmd = free_port(), free_port(), free_port(), free_port()
    password = secrets.token_hex(16)
    (home / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{amqp}\n"
        f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n"
        f"default_user = tulou\ndefault_pass = {password}\n"
    )
    (home / "enabled_plugins").write_text("[rabbitmq_management].\n")
    (home / "rabbitmq-env.conf").touch()
    environment = {
        # The Erlang cookie is made in it.
        "HOME": str(home),
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"tulou-{amqp}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
    }
    api = f"http://tulou:{password}@127.0.0.1:{management}"

    def ready() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{api}/api/health/checks/port-listener/{amqp}").is_success
        return False

    # epmd runs here in the foreground, else Erlang leaves one behind as a daemon.
    with (
        running(["epmd", "-address", "127.0.0.1", "-port", str(epmd)], home, environment, user, signal.SIGTERM),
        # Its orderly end takes seconds, for data that nobody wants any more.
        running([program], home, environment, user, signal.SIGKILL, ready),
    ):
        yield Server(uri=f"amqp://tulou:{password}@127.0.0.1:{amqp}/", api=api, origin="Debian's packages")


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def installed(name: str, *, package: str, folders: str) -> Path:
    """The program, installed from its Debian package where it is missing and can be. Raises Unavailable."""
    found = _find(name, folders)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # Two processes of one run may ask at once, and apt gives up where another one holds its lists.
        with INSTALLING.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _find(name, folders) is None:
                _install(package)
        found = _find(name, folders)
    if found is None:
        raise Unavailable(f"{name} is not installed (as root on Debian it would be)")
    return found


def _find(name: str, folders: str) -> Path | None:
    return max(Path("/").glob(f"{folders[1:]}/{name}"), default=None)


def _install(package: str) -> None:
    # Installing must not start the system's own server; Debian asks this script first.
    forbidden = not POLICY.exists()
    if forbidden:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    try:
        _run([*apt, "update"])
        _run([*apt, "install", "-y", "--no-install-recommends", package], {"DEBIAN_FRONTEND": "noninteractive"})
    finally:
        if forbidden:
            POLICY.unlink()


def _home(home: Path, user: str) -> tuple[Path, str | None]:
    """Makes the folder; under root it belongs to the package's user, as whom the server then runs."""
    home.mkdir()
    if os.geteuid() != 0:
        return home, None
    account = pwd.getpwnam(user)
    os.chown(home, account.pw_uid, account.pw_gid)
    return home, user


def _run(command: list[Any], environment: dict[str, str] | None = None, **options: Any) -> None:
    done = subprocess.run(
        command,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode != 0:
        raise Unavailable(f"{Path(command[0]).name} failed: {done.stdout.strip()[-300:]}")


@contextmanager
def running(
    command: list[Any],
    home: Path,
    environment: dict[str, str] | None = None,
    user: str | None = None,
    end: signal.Signals = signal.SIGTERM,
    ready: Callable[[], bool] = lambda: True,
) -> Iterator[None]:
    """Starts a server, waits until it is ready, and ends it. Its log lies in `home`. Raises Unavailable."""
    log = home / f"{Path(command[0]).name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=os.environ | (environment or {}),
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        give_up = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > give_up:
                raise Unavailable(f"{log.stem} did not start: {log.read_text()[-300:]}")
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(end)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        # What it started is in its session too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
