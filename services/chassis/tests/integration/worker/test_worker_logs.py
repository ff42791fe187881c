"""The log of a worker, in which the greenlets of several services write."""

import json
import subprocess
import sys

WRITERS = """
from tulou_chassis.worker import _patch
_patch()
from types import SimpleNamespace
import eventlet, structlog
from tulou_chassis.logs import configure_logs
configure_logs("worker", SimpleNamespace(log_level="INFO", otlp_endpoint=None))
log = structlog.get_logger()
def write(number):
    for line in range(50):
        log.info("line", number=number, line=line)
writers = [eventlet.spawn(write, number) for number in range(4)]
for writer in writers:
    writer.wait()
"""


def test_what_several_greenlets_write_at_a_time_are_whole_lines() -> None:
    written = subprocess.run([sys.executable, "-c", WRITERS], capture_output=True, text=True, check=False)
    assert written.returncode == 0, written.stderr
    found = [json.loads(line) for line in written.stdout.splitlines()]
    assert {(one["number"], one["line"]) for one in found} == {(n, m) for n in range(4) for m in range(50)}
