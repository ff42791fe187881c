"""Ends the cities of a test run that was killed:  python -m e2e.providers.reaper PID-OF-THE-TEST-RUN"""

import shutil
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


if __name__ == "__main__":
    reap(int(sys.argv[1]))
