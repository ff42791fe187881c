"""Where everything of one city lies: its ports, its folders, and the environment of each of its processes."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from tulou_city.services import SERVICES

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
ISSUER: Final = "https://tulou.localhost"
AUDIENCE: Final = "tulou"
# Every process of a city carries it, with the path of its state, so that none can be missed when the city ends.
MARKER: Final = "TULOU_CITY"
# A unix socket's path holds 107 characters, and supervisor binds "supervisor.sock.<pid>" first.
LONGEST_VAR: Final = 75


@dataclass(frozen=True, kw_only=True)
class City:
    """One city. `port` is the gateway's; all others are counted from it. `var` is the absolute path of its state."""

    port: int
    var: Path
    database_url: str
    amqp_uri: str

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://{HOST}:{self.port}"

    @property
    def ports(self) -> dict[int, str]:
        """What each port is for."""
        services = {
            self.port + offset: f"{service.name} {what}"
            for service in SERVICES
            for offset, what in ((service.grpc_offset, "gRPC"), (service.metrics_offset, "metrics"))
        }
        return {
            self.port: "gateway",
            self.port + 1: "portal",
            self.port + 2: "Envoy admin",
            self.port + 3: "worker metrics",
        } | services

    def environment(self, process: str) -> dict[str, str]:
        """The environment of one process of the Procfile; what the caller has set wins where the city has no say."""
        offsets = {service.name: (service.grpc_offset, service.metrics_offset) for service in SERVICES}
        grpc, metrics = offsets.get(process, (0, 3))
        own = {
            MARKER: str(self.var),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "TULOU_DATABASE_URL": self.database_url,
            "TULOU_GRPC_ADDRESS": f"{HOST}:{self.port + grpc}",
            "TULOU_METRICS_ADDRESS": f"{HOST}:{self.port + metrics}",
            "TULOU_KEYRING_FILE": str(self.var / "secrets/keyring.json"),
            "TULOU_BLOB_DIR": str(self.var / "blobs"),
            "TULOU_ENVOY_DIR": str(self.var / "envoy"),
            "TULOU_VAR": str(self.var),
            "PORT": str(self.port),
            "ADMIN_PORT": str(self.port + 2),
        }
        # Where each service finds the others.
        own |= {
            f"TULOU_{service.name.upper()}_ADDRESS": f"{HOST}:{self.port + service.grpc_offset}" for service in SERVICES
        }
        if self.amqp_uri:
            own["TULOU_AMQP_URI"] = self.amqp_uri
        defaults = {
            "TULOU_OIDC_ISSUER": ISSUER,
            "TULOU_OIDC_AUDIENCE": AUDIENCE,
            "TULOU_OIDC_JWKS": str(self.var / "secrets/jwks.json"),
            "TULOU_OTLP_ENDPOINT": f"http://{HOST}:{self.port + 1}",
        }
        return defaults | os.environ | own

    def processes(self) -> dict[str, str]:
        """The Procfile: the command of each process, its variables filled in."""
        lines = (line.partition(":") for line in (ROOT / "Procfile").read_text().splitlines() if line.strip())
        return {name: Template(command.strip()).substitute(self.environment(name)) for name, _, command in lines}


def city() -> City:
    """The city that PORT, VAR, DATABASE_URL and AMQP_URI describe. Raises SystemExit when one of them cannot be."""
    get = os.environ.get
    try:
        port = int(get("PORT") or 8080)
    except ValueError:
        raise SystemExit(f"PORT must be a number, not {get('PORT')!r}") from None
    if not 1 <= port <= 65_000:
        raise SystemExit(f"PORT must lie between 1 and 65000, not at {port}")
    var = (ROOT / (get("VAR") or "var")).absolute()
    if len(str(var)) > LONGEST_VAR:
        raise SystemExit(
            f"VAR: {var} is too long for a unix socket in it; choose a path of at most {LONGEST_VAR} characters"
        )
    return City(
        port=port,
        var=var,
        database_url=get("DATABASE_URL") or f"sqlite:///{var}/db/{{service}}.db",
        amqp_uri=get("AMQP_URI") or "",
    )
