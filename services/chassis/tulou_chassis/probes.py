"""The HTTP port of every process: /metrics for Prometheus, /livez and /readyz for whoever starts and routes."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from prometheus_client import make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# For each service of the process, what it needs to be ready, and whether it has it.
Checks = Mapping[str, Mapping[str, bool]]


def application(*, live: Callable[[], bool], checks: Callable[[], Checks]) -> "WSGIApplication":
    """Answers GET. `/readyz` is 200 where all checks hold, else 503, with the checks in JSON; so is `/healthz`."""
    prometheus = make_wsgi_app()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return prometheus(environ, start_response)  # type: ignore[no-any-return]
            case "/livez":
                good = live()
                told: object = {"live": good}
            case "/readyz" | "/healthz":
                found = checks()
                good, told = ready(found), found
            case _:
                start_response("404 Not Found", [("content-type", "text/plain")])
                return [b"/metrics, /livez or /readyz\n"]
        start_response("200 OK" if good else "503 Service Unavailable", [("content-type", "application/json")])
        return [json.dumps(told).encode() + b"\n"]

    return answer


def ready(checks: Checks) -> bool:
    """Whether all checks of all services hold."""
    return bool(checks) and all(all(of_service.values()) for of_service in checks.values())


def observe(checks: Callable[[], Checks]) -> None:
    """Tells the checks as the metric `tulou_ready`."""

    def values(_options: CallbackOptions) -> list[Observation]:
        return [
            Observation(int(holds), {"service": service, "check": check})
            for service, of_service in checks().items()
            for check, holds in of_service.items()
        ]

    metrics.get_meter(__name__).create_observable_gauge(
        "tulou.ready", [values], description="Whether the process has what it needs: 1 or 0"
    )


def listen(address: str, app: "WSGIApplication") -> WSGIServer:
    """Answers on the address (host:port) in threads of its own until `shutdown`. Raises OSError."""
    host, port = split(address)
    server = make_server(host, port, app, _Threads6 if ":" in host else _Threads, _Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def split(address: str) -> tuple[str, int]:
    """Host, without the brackets of an IPv6 address, and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Threads6(_Threads):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: who asks every few seconds would fill the log."""
