"""Runs a command, and anew whenever /tmp/restart is touched: how a live update becomes effective in a container.

    python restart.py COMMAND ARGUMENT…

SIGTERM goes on to the command, whose end ends this. Tilt puts this program before the command of each container.
"""

import os
import signal
import subprocess
import sys
import time

TOUCHED = "/tmp/restart"
process: subprocess.Popen[bytes] | None = None
ending = False


def end(_number: int, _frame: object) -> None:
    """Asks the command to end."""
    global ending
    ending = True
    if process is not None:
        process.terminate()


def touched() -> float:
    """When the file was touched last; 0 when it never was."""
    return os.stat(TOUCHED).st_mtime if os.path.exists(TOUCHED) else 0.0


signal.signal(signal.SIGTERM, end)
while not ending:
    started_at = touched()
    process = subprocess.Popen(sys.argv[1:])
    # A command that fails stays down until a change repairs it.
    while touched() == started_at and not ending:
        time.sleep(0.2)
    process.terminate()
    process.wait()
sys.exit(process.returncode if process is not None else 0)
