"""The portal's process as it runs in a cluster: without traces and key, on every address, ended by SIGTERM."""

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from gateway.tests.integration.conftest import free_port

PORT = free_port()
URL = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def portal() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tulou_gateway", "portal", "--address", "0.0.0.0", "--port", str(PORT)]
    with subprocess.Popen([*command, "--drain-delay", "3"]) as process:
        try:
            for _ in range(200):
                try:
                    httpx.get(f"{URL}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield process
        finally:
            process.kill()


def test_it_serves_until_sigterm_and_a_while_after_it(portal):
    with httpx.Client(base_url=URL) as client:
        for path in ("/", "/docs", "/openapi.json", "/credit/verify?code=X", "/healthz"):
            assert client.get(path).status_code == 200, path
        portal.terminate()
        for _ in range(20):
            if client.get("/healthz").status_code == 503:
                break
            time.sleep(0.1)
        assert client.get("/healthz").status_code == 503
        assert httpx.get(f"{URL}/openapi.json").status_code == 200
    assert portal.wait(20) == 0
