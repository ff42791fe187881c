"""Ends the cities of a test run that was killed:  python -m e2e.providers.reaper PID-OF-THE-TEST-RUN"""

import shutil
import subprocess
import sys
import time
from contextlib import suppress

import psutil

from e2e.providers.servers import OWNER
from tulou_city.layout import MARKER


def lives(process: psutil.Process) -> bool:
    """Whether it runs; killed and not yet waited for, it is still listed."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def reap(owner: int) -> None:
    """Waits for the end of `owner`, then kills every process of a city that it started and removes the city's state."""
    run = psutil.Process(owner)
    while lives(run):
        time.sleep(0.5)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if MARKER in environment and environment.get(OWNER) == str(owner):
                process.kill()
                shutil.rmtree(environment[MARKER], ignore_errors=True)
    if shutil.which("docker"):
        _remove_containers(f"label=city.tulou.run={owner}")


def _remove_containers(label: str) -> None:
    def docker(*arguments: str) -> list[str]:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True).stdout.split()

    for kind, removal in (("container", ("rm", "-fv")), ("network", ("rm",)), ("volume", ("rm",))):
        every = ("-a",) if kind == "container" else ()
        if found := docker(kind, "ls", "-q", *every, "--filter", label):
            docker(kind, *removal, *found)


if __name__ == "__main__":
    reap(int(sys.argv[1]))
