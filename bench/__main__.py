"""Measures how the city starts, and how fast it is beside hand-written floors on PostgreSQL and SQLite.

Everything is asked in turn, round after round, so that what slows the machine for a while slows all alike. A ratio is
the median of the rounds' ratios, each to the floor of its own round. Prints tables and writes var/bench.json.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from shutil import which
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

from bench import credit, credit_import, starts
from bench.load import OPERATIONS, OverGrpc, OverHttp, Sample, Target, World
from bench.results import FLOOR, Result, print_results, results_of
from bench.stage import Stage, staged, world
from e2e.providers.servers import databases
from tulou.approval.v1 import approval_service_pb2 as pb
from tulou_city.layout import ROOT

PARTS: Final = ("starts", "approval", "credit")
# More than a page of them for every caller.
CASES_EACH: Final = 25
out = Console(highlight=False)


async def compare(database: str, stage: Stage, *, rounds: int, seconds: float) -> list[Result]:
    """Asks every target for every operation, round after round; a first, short round warms up."""
    people = world(stage.traced)
    floor, ours = OverGrpc(stage.floor, people), OverGrpc(stage.grpc(stage.untraced), people)
    targets: dict[str, Target] = {
        FLOOR: floor,
        "gRPC": ours,
        "gRPC, traced": OverGrpc(stage.grpc(stage.traced), people),
        "gateway": OverHttp(stage.untraced.url, people),
        "gateway, traced": OverHttp(stage.traced.url, people),
    }
    found: dict[tuple[str, str], list[Sample]] = {(one, name): [] for one in OPERATIONS for name in targets}
    async with AsyncExitStack() as stack:
        for target in targets.values():
            stack.push_async_callback(target.close)
        await _file_cases(people, ours)
        await _check_equal(people, floor, ours)
        for turn in range(rounds + 1):
            for operation, name in found:
                with out.status(f"{database}, round {turn} of {rounds}: {operation} by {name}"):
                    sample = await targets[name].measure(operation, seconds if turn else 1)
                if turn:
                    found[operation, name].append(sample)
    return results_of(database, found)


async def _file_cases(people: World, ours: OverGrpc) -> None:
    for caller in people.callers:
        requests = [people.request("create", caller) for _ in range(CASES_EACH)]
        for answer in await asyncio.gather(*(ours.ask("create", caller, request) for request in requests)):
            caller.case_ids.append(pb.CreateCaseResponse.FromString(answer).case.id)


async def _check_equal(people: World, floor: OverGrpc, ours: OverGrpc) -> None:
    """Raises SystemExit unless the floor's answers are ours, for else it would not be the floor of the same work."""
    caller = people.callers[0]
    get, page = people.request("get", caller), pb.ListCasesRequest()
    cases = [pb.GetCaseResponse.FromString(await one.ask("get", caller, get)).case for one in (floor, ours)]
    pages = [list(pb.ListCasesResponse.FromString(await one.ask("list", caller, page)).cases) for one in (floor, ours)]
    if cases[0] != cases[1] or pages[0] != pages[1]:
        raise SystemExit(f"The floor answers otherwise than the service:\n{cases[0]}\nand\n{cases[1]}")


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A database URL on the PostgreSQL that the tests would take. Raises SystemExit where there is none."""
    told = folder / "postgresql.json"
    command = [sys.executable, "-m", "e2e.providers.holder", "postgresql", str(folder), str(os.getpid())]
    holder = subprocess.Popen(command)
    try:
        while not told.exists():
            if holder.poll() is not None:
                raise SystemExit("PostgreSQL could not be looked for; see above.")
            time.sleep(0.1)
        answer = json.loads(told.read_text())
        if "missing" in answer:
            raise SystemExit(f"No PostgreSQL: {answer['missing']}")
        with databases(answer["uri"]) as url:
            out.print(f"PostgreSQL: {answer['origin']}")
            yield url
    finally:
        holder.terminate()
        holder.wait()


def print_imports(found: list[credit_import.Imported]) -> None:
    """Rows a second as a table."""
    table = Table("import, rows a second", "new", "of the floor", "sent again", "floor")
    for one in found:
        values = (f"{one.new:,.0f}", f"{one.new / one.floor:.2f}", f"{one.again:,.0f}", f"{one.floor:,.0f}")
        table.add_row(one.database, *values)
    out.print(table)


def print_starts(found: starts.Starts) -> None:
    """Start and memory as a table."""
    table = Table("start and memory", "", "goal")
    table.add_row("make up, cold, packages downloaded", f"{found.cold:.1f} s", "90 s")
    table.add_row("make up, warm", f"{found.warm:.1f} s", "12 s", end_section=True)
    for name, held in found.memory.items():
        table.add_row(name, _memory(held), "")
    table.add_row("all", _memory(starts.total(found.memory)), "", style="bold")
    table.add_row(f"all, with {starts.MORE} servers more", _memory(found.with_more), "900 MB", style="bold")
    out.print(table)
    out.print("Resident memory; in brackets with what processes share counted once.")


def _memory(held: starts.Memory) -> str:
    return f"{held.resident:.0f} MB ({held.proportional:.0f} MB)"


def main() -> None:
    """Measures and prints everything."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (%(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (%(default)s)")
    parser.add_argument("--only", action="append", choices=PARTS, help="a part, more than once for more (all)")
    given = parser.parse_args()
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"
    out.print(f"On {machine}; everything, the callers too, runs on it.")
    if not which("wrk"):
        out.print("wrk is missing (Debian package wrk): httpx asks the gateway, and is itself what is slow then.")
    parts = given.only or PARTS
    started = starts.measure(out) if "starts" in parts else None
    results: list[Result] = []
    imported: list[credit_import.Imported] = []
    with tempfile.TemporaryDirectory(prefix="tulou-bench-") as name:
        folder = Path(name)
        # PostgreSQL runs as a user of its own and must be able to pass through.
        folder.chmod(0o711)
        for database in ("PostgreSQL", "SQLite") if "approval" in parts else ():
            place = folder / database
            with postgresql(folder) if database == "PostgreSQL" else _sqlite(place) as url, staged(url, place) as stage:
                results += asyncio.run(compare(database, stage, rounds=given.rounds, seconds=given.seconds))
                loaded = starts.total(starts.memory(stage.traced))
                out.print(f"Memory after the load on {database}: {_memory(loaded)}")
        if "credit" in parts:
            found, imported = _credit(folder, rounds=given.rounds, seconds=given.seconds)
            results += found
    print_results(out, results)
    if imported:
        print_imports(imported)
    if started:
        print_starts(started)
    report = {
        "machine": machine,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "starts": asdict(started) if started else None,
        "load": os.getloadavg(),
        "results": [asdict(result) for result in results],
        "imports": [asdict(each) for each in imported],
    }
    path = ROOT / "var/bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=2))
    out.print(f"Written to {path}")


def _credit(folder: Path, *, rounds: int, seconds: float) -> tuple[list[Result], list[credit_import.Imported]]:
    """Checks and searches on PostgreSQL, filled; imports into it, and into an empty SQLite."""
    file = folder / "licences.csv"
    credit_import.write_file(file)
    place = folder / "credit"
    place.mkdir(mode=0o711)
    with postgresql(place) as url:
        city = credit.prepared(url, place)
        with credit.staged(city) as stage:
            results = asyncio.run(credit.compare(stage, out, rounds=rounds, seconds=seconds))
        with out.status("Imports"):
            imported = [credit_import.measure("PostgreSQL", city, file)]
    with _sqlite(folder / "credit-sqlite") as url, out.status("Imports"):
        city = credit.prepared(url, folder / "credit-sqlite")
        return results, [*imported, credit_import.measure("SQLite", city, file)]


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/{{service}}.db"


if __name__ == "__main__":
    main()
