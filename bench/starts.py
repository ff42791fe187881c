"""How long `make up` takes on a fresh clone, cold and warm, and how much memory the city then holds."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from e2e.providers.cities import free_first_port
from tulou_city import supervise
from tulou_city.layout import ROOT, City

MB = 2**20


@dataclass(frozen=True)
class Starts:
    """Seconds of `make up DETACH=1`, and megabytes of resident memory of each process."""

    cold: float
    warm: float
    memory: dict[str, float]


def measure(out: Console) -> Starts:
    """Clones what is committed and starts it. Raises subprocess.CalledProcessError when a step fails."""
    with tempfile.TemporaryDirectory(prefix="tulou-bench-") as folder:
        clone = Path(folder) / "tulou"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        city = City(port=free_first_port(), var=clone / "var", database_url="", amqp_uri="")
        with out.status("Downloading the packages, which does not count"):
            _make(clone, city, ".venv/packages")
            _make(clone, city, "clean")
        try:
            with out.status("make up, cold"):
                cold = _make(clone, city, "up", "DETACH=1")
            _make(clone, city, "stop")
            with out.status("make up, warm"):
                warm = _make(clone, city, "up", "DETACH=1")
            return Starts(cold, warm, memory(city))
        finally:
            supervise.stop(city)


def memory(city: City) -> dict[str, float]:
    """Megabytes of resident memory of each process of a running city, by name."""
    names = {state["pid"]: name for name, state in (supervise.states(city) or {}).items()}
    found: dict[str, float] = {}
    for process in supervise.members(city):
        name = names.get(process.pid, process.name())
        found[name] = found.get(name, 0) + process.memory_info().rss / MB
    return found


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
