"""What the load meets: for one database, a city with tracing on, one with tracing off, and the floor."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from google.protobuf.json_format import ParseDict

from bench.load import CALLERS, Caller, World
from e2e.providers.cities import free_first_port
from tulou.approval.v1 import case_pb2
from tulou_city import health, prepare, sample, supervise
from tulou_city.layout import HOST, City
from tulou_city.services import SERVICES
from tulou_city.tokens import token

START_SECONDS: Final = 60
# The load comes from one address; what is measured is how much the gateway carries, not how much it lets one have.
RATES: Final = ("--token-rate", "1000000", "--address-rate", "1000000")
# The floor's port, counted from the first port of the city whose database it shares.
FLOOR_OFFSET: Final = 39


@dataclass(frozen=True)
class Stage:
    """Where everything is: two cities on one database, and the floor's address."""

    traced: City
    untraced: City
    floor: str

    def grpc(self, city: City) -> str:
        """Address of the city's approval service."""
        return f"{HOST}:{city.port + SERVICES[0].grpc_offset}"


@contextmanager
def staged(database_url: str, folder: Path) -> Iterator[Stage]:
    """Starts everything on this database ("{service}" in it), with its state under `folder`; ends it all."""
    with ExitStack() as stack:
        traced = City(port=free_first_port(), var=folder / "on", database_url=database_url, amqp_uri="")
        stack.callback(supervise.stop, traced)
        _start(traced, otlp=f"http://{HOST}:{traced.port + 1}")
        untraced = replace(traced, port=free_first_port(), var=folder / "off")
        # Both take the same tokens.
        shutil.copytree(traced.var / "secrets", untraced.var / "secrets")
        stack.callback(supervise.stop, untraced)
        _start(untraced, otlp="")
        floor = f"{HOST}:{traced.port + FLOOR_OFFSET}"
        _start_floor(traced, floor)
        yield Stage(traced, untraced, floor)


def _start(city: City, *, otlp: str) -> None:
    os.environ["TULOU_OTLP_ENDPOINT"] = otlp
    prepare.make_folders_and_keys(city)
    prepare.render_gateway(city, *RATES)
    prepare.fill_databases(city)
    supervise.start(city)
    waiting = health.parts(city)
    give_up = time.monotonic() + START_SECONDS
    while waiting := [part for part in waiting if not part.healthy()]:
        if time.monotonic() > give_up:
            raise SystemExit(f"{waiting[0].what} did not start; see {city.var}/log/{waiting[0].process}.log")
        time.sleep(0.2)


def _start_floor(city: City, address: str) -> None:
    url = city.database_url.format(service=SERVICES[0].name)
    with (city.var / "log/floor.log").open("w") as log:
        # It carries the city's mark and so ends with it.
        command = [sys.executable, "-m", "bench.floor", address, url]
        subprocess.Popen(command, env=city.environment("floor"), stdout=log, stderr=log)


def world(city: City) -> World:
    """Applicants with the city's tokens, none of which has a case yet."""
    case = ParseDict(sample.CASE | {"form": sample.FORM}, case_pb2.Case())
    names = [f"bench-{number}" for number in range(CALLERS)]
    return World(case, [Caller(name, token(city, role="citizen", sub=name), []) for name in names])
