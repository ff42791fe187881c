"""Tells Envoy that it ends, and waits for the calls under way."""

import argparse
import json
import time
from urllib.request import Request, urlopen


def main(argv: list[str]) -> None:
    """Returns when nothing is under way any more, or the time is up. Raises OSError when Envoy is not there."""
    parser = argparse.ArgumentParser(prog="python -m tulou_gateway drain", description=__doc__)
    parser.add_argument("--admin-port", type=int, required=True, help="as given to `render`")
    parser.add_argument("--delay", type=float, default=0, help="how long to take new calls (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="how long to wait then at most (%(default)s)")
    arguments = parser.parse_args(argv)
    drain(arguments.admin_port, arguments.delay, arguments.seconds)


def drain(admin_port: int, delay: float, seconds: float) -> None:
    """/healthz and /readyz answer 503 and every answer closes its connection from here on. New calls are still taken
    for `delay` seconds, because whoever sends them needs a while to notice; then what runs has `seconds` to end."""
    _admin(admin_port, "/healthcheck/fail", method="POST")
    time.sleep(delay)
    until = time.monotonic() + seconds
    while _calls(admin_port) and time.monotonic() < until:
        time.sleep(0.05)


def _calls(admin_port: int) -> int:
    stats = json.loads(_admin(admin_port, "/stats?format=json&filter=^http.gateway.downstream_rq_active$"))
    return sum(stat["value"] for stat in stats["stats"])


def _admin(port: int, path: str, method: str = "GET") -> bytes:
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=5) as answer:
        return bytes(answer.read())
