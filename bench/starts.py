"""How long `make up` takes on a fresh clone, cold and warm, and how much memory the city then holds."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from rich.console import Console

from e2e.providers.cities import free_first_port
from tulou_city import supervise
from tulou_city.layout import HOST, ROOT, City
from tulou_city.services import SERVICES

MB: Final = 2**20
# The services that are planned beside these two.
MORE: Final = 4
# Their ports, counted from the city's first; the city itself leaves these free.
MORE_OFFSET: Final = 40
SETTLE_SECONDS: Final = 3
START_SECONDS: Final = 60


@dataclass(frozen=True)
class Memory:
    """Megabytes: what is resident, and the same with each page that processes share counted once in all."""

    resident: float
    proportional: float


@dataclass(frozen=True)
class Starts:
    """Seconds of `make up DETACH=1`, the memory of each process, and that of all with five more servers."""

    cold: float
    warm: float
    memory: dict[str, Memory]
    with_more: Memory


def measure(out: Console) -> Starts:
    """Clones what is committed and starts it. Raises subprocess.CalledProcessError when a step fails."""
    with tempfile.TemporaryDirectory(prefix="tulou-bench-") as folder:
        clone = Path(folder) / "tulou"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        var = clone / "var"
        database_url = f"sqlite:///{var}/db/{{service}}.db"
        city = City(port=free_first_port(), var=var, database_url=database_url, amqp_uri="")
        with out.status("Downloading the packages, which does not count"):
            _make(clone, city, ".venv/packages")
            _make(clone, city, "clean")
        try:
            with out.status("make up, cold"):
                cold = _make(clone, city, "up", "DETACH=1")
            _make(clone, city, "stop")
            with out.status("make up, warm"):
                warm = _make(clone, city, "up", "DETACH=1")
            time.sleep(SETTLE_SECONDS)
            alone = memory(city)
            with out.status(f"{MORE} servers more"):
                _start_more(city)
            return Starts(cold, warm, alone, total(memory(city)))
        finally:
            supervise.stop(city)


def memory(city: City) -> dict[str, Memory]:
    """The memory of each process of a running city, by name."""
    names = {state["pid"]: name for name, state in (supervise.states(city) or {}).items()}
    found: dict[str, Memory] = {}
    for process in supervise.members(city):
        held = process.memory_full_info()
        name = names.get(process.pid, process.name())
        one = Memory(held.rss / MB, held.pss / MB)
        found[name] = total({"before": found[name], "here": one}) if name in found else one
    return found


def total(found: dict[str, Memory]) -> Memory:
    """All together."""
    return Memory(sum(one.resident for one in found.values()), sum(one.proportional for one in found.values()))


def _start_more(city: City) -> None:
    """As many servers more as services are planned, standing for them. They carry the city's mark and end with it."""
    name = SERVICES[0].name
    for number in range(MORE):
        address = f"{HOST}:{city.port + MORE_OFFSET + 2 * number}"
        own = {
            "TULOU_GRPC_ADDRESS": address,
            "TULOU_METRICS_ADDRESS": f"{HOST}:{city.port + MORE_OFFSET + 2 * number + 1}",
        }
        with (city.var / f"log/more-{number}.log").open("w") as log:
            command = [sys.executable, "-m", f"tulou_{name}", "serve"]
            subprocess.Popen(command, env=city.environment(name) | own, stdout=log, stderr=log)
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(START_SECONDS)
    time.sleep(SETTLE_SECONDS)


def _make(clone: Path, city: City, *arguments: str) -> float:
    # Neither this run's make nor its settings are the clone's.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TULOU_", "MAKE", "DATABASE_"))}
    log = clone.parent / "make.log"
    begin = time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(
            ["make", *arguments],
            cwd=clone,
            env=kept | {"PORT": str(city.port), "VAR": "", "MAKEFLAGS": ""},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    if done.returncode != 0:
        raise SystemExit(f"make {' '.join(arguments)} failed:\n{log.read_text()[-3000:]}")
    return time.monotonic() - begin
