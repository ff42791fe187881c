"""What a city needs before its processes start: folders, keys, free ports, Envoy's configuration, tables, seeds."""

import json
import os
import secrets
import socket
import subprocess
import sys
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil

from tulou_city.layout import HOST, City
from tulou_city.services import SERVICES, Service

FOLDERS = ("blobs", "db", "envoy", "log", "run", "secrets")


def make_folders_and_keys(city: City) -> None:
    """Makes what is missing under the city's `var`; what is there stays: it opens what was encrypted with it."""
    for folder in FOLDERS:
        (city.var / folder).mkdir(parents=True, exist_ok=True, mode=0o700 if folder == "secrets" else 0o755)
    secret = city.var / "secrets"
    if not (secret / "issuer.pem").exists():
        from tulou_gateway.tokens import create_issuer

        create_issuer(secret)
    keyring = secret / "keyring.json"
    if not keyring.exists():
        keys = {"primary": "k1", "keys": {"k1": _key()}, "index_key": _key()}
        with os.fdopen(os.open(keyring, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(keys, file)


def _key() -> str:
    return b64encode(secrets.token_bytes(32)).decode()


def check_ports(city: City) -> None:
    """Raises SystemExit naming each taken port of the city, what it is for and, where it can be seen, who holds it."""
    if taken := taken_ports(city):
        holders = _holders()
        lines = [f"  {port} ({purpose}) is taken{holders.get(port, '')}" for port, purpose in taken.items()]
        raise SystemExit(
            "\n".join([*lines, f"Free them, or choose another first port: make up PORT={city.port + 1000}"])
        )


def taken_ports(city: City) -> dict[int, str]:
    """Those of the city's ports that something listens on, and what the city would use each for."""
    return {port: purpose for port, purpose in city.ports.items() if _taken(port)}


def _taken(port: int) -> bool:
    with socket.socket() as listener:
        # As servers do: a port whose last connections only wait for their time to pass is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return True
    return False


def _holders() -> dict[int, str]:
    found = {}
    # Other users' processes are not shown to everyone.
    with suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr:
                with suppress(psutil.Error):
                    command = " ".join(psutil.Process(connection.pid).cmdline())[:80]
                    found[connection.laddr.port] = f" by process {connection.pid}: {command}"
    return found


def render_gateway(city: City, *more: str) -> None:
    """Writes Envoy's configuration into var/envoy; `more` are further arguments of the gateway's `render`."""
    environment = city.environment("gateway")
    command = [
        sys.executable,
        "-m",
        "tulou_gateway",
        "render",
        "--out",
        str(city.var / "envoy"),
        "--port",
        str(city.port),
    ]
    command += ["--portal", f"{HOST}:{city.port + 1}", "--otlp", environment["TULOU_OTLP_ENDPOINT"]]
    command += ["--issuer", environment["TULOU_OIDC_ISSUER"], "--audience", environment["TULOU_OIDC_AUDIENCE"]]
    command += ["--jwks", environment["TULOU_OIDC_JWKS"]]
    for service in SERVICES:
        command += ["--service", f"{service.name}={HOST}:{city.port + service.grpc_offset}"]
    _run([*command, *more], environment)


def fill_databases(city: City) -> None:
    """Migrates and seeds every service, two at a time. Raises SystemExit with what a failing one said."""

    def fill(service: Service) -> None:
        _run([sys.executable, "-m", f"tulou_{service.name}", "migrate", "--seed"], city.environment(service.name))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, SERVICES))


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[1:4])} failed:\n{done.stdout[-4000:]}")
