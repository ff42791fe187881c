"""Starts a city, shows where everything is, and ends it."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tulou_city import prepare, supervise
from tulou_city.health import parts
from tulou_city.layout import City
from tulou_city.sample import curl

HEALTHY_SECONDS: Final = 60
LOG_LINES: Final = 30
out = Console(highlight=False, soft_wrap=True)


def up(city: City, *, detach: bool) -> None:
    """Starts the city; returns when all is healthy (`detach`), or follows its logs until Ctrl-C and ends it.

    Raises SystemExit when a part does not come up; then nothing of it runs on.
    """
    if supervise.states(city) is not None:
        out.print(f"The city in {city.var} runs already; make stop ends it.\n")
        show(city)
        return
    # SIGINT too: who is started in the background of a script does not hear it else.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    try:
        supervisor = _start(city)
        out.print(f"\nAll healthy after {time.monotonic() - began:.1f} s.\n")
        show(city)
        if not detach:
            out.print("\nCtrl-C ends the city.")
            _follow(city, supervisor)
    except BaseException as error:
        # From here on Ctrl-C is not heard: half an end would leave processes behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with out.status("Ending every process of the city; what is under way is finished first"):
            supervise.stop(city)
        if isinstance(error, KeyboardInterrupt):
            raise SystemExit("\nThe city has ended.") from None
        raise


def show(city: City) -> None:
    """Prints what is where and whether it is healthy, and a command line to try it with."""
    table = Table("what", "URL", "health", box=SIMPLE)
    for part in parts(city):
        table.add_row(part.what, part.url, "[green]healthy[/]" if part.healthy() else "[red]no answer[/]")
    out.print(table)
    out.print("\nFile a case as a citizen (the token is good for an hour):\n")
    # Not through rich, which would break the line.
    print(curl(city))


def status(city: City) -> None:
    """Prints each process with its state and resident memory, and the sum."""
    found = supervise.states(city)
    if found is None:
        raise SystemExit(f"No city runs in {city.var}; make up starts it.")
    table = Table("process", "state", "pid", "resident memory", box=SIMPLE)
    names = {state["pid"]: name for name, state in found.items()} | {supervise.pid(city): "supervisor"}
    total = 0
    for process in supervise.members(city):
        name = names.get(process.pid, process.name())
        resident = process.memory_info().rss
        total += resident
        state = found.get(name, {}).get("statename", "")
        table.add_row(name, state, str(process.pid), f"{resident / 2**20:.0f} MB")
    table.add_row("all", "", "", f"{total / 2**20:.0f} MB", style="bold")
    out.print(table)


def _start(city: City) -> subprocess.Popen[bytes]:
    # What a killed supervisor left behind.
    supervise.stop(city)
    prepare.check_ports(city)
    with _step(f"Folders and keys under {city.var}"):
        prepare.make_folders_and_keys(city)
    with _step("Gateway configuration"):
        prepare.render_gateway(city)
    with _step("Tables and seed data"):
        prepare.fill_databases(city)
    supervisor = supervise.start(city)
    _wait_until_healthy(city, supervisor)
    return supervisor


@contextmanager
def _step(text: str) -> Iterator[None]:
    began = time.monotonic()
    with out.status(text):
        yield
    out.print(f"[green]✓[/] {text} [dim]{time.monotonic() - began:.1f} s[/]")


def _wait_until_healthy(city: City, supervisor: subprocess.Popen[bytes]) -> None:
    waiting = parts(city)
    began = time.monotonic()
    with out.status("") as line:
        while waiting:
            line.update("Waiting for " + ", ".join(part.what for part in waiting))
            for part in [part for part in waiting if part.healthy()]:
                waiting.remove(part)
                out.print(f"[green]✓[/] {part.what} [dim]{time.monotonic() - began:.1f} s[/]")
            failed = _failed(city, supervisor)
            if not failed and time.monotonic() - began > HEALTHY_SECONDS:
                failed = {part.process for part in waiting}
            if failed:
                raise SystemExit("\n\n".join(_report(city, name) for name in sorted(failed)))
            time.sleep(0.1)


def _failed(city: City, supervisor: subprocess.Popen[bytes]) -> set[str]:
    if supervisor.poll() is not None:
        return {"supervisor"}
    states = supervise.states(city) or {}
    return {name for name, state in states.items() if state["statename"] in {"BACKOFF", "EXITED", "FATAL"}}


def _report(city: City, process: str) -> str:
    log = city.var / f"log/{process}.log"
    tail = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    return "\n  ".join([f"{process} did not become healthy. The end of {log}:", *tail])


def _follow(city: City, supervisor: subprocess.Popen[bytes]) -> None:
    logs = [city.var / f"log/{name}.log" for name in city.processes()]
    read = {log: log.stat().st_size for log in logs}
    while supervisor.poll() is None:
        for log in logs:
            for line in _new_lines(log, read):
                print(f"{log.stem:>9} | {line}", flush=True)
        time.sleep(0.3)
    out.print("The city was ended from elsewhere.")


def _new_lines(log: Path, read: dict[Path, int]) -> list[str]:
    with log.open(errors="replace") as file:
        # A rotated log begins anew.
        file.seek(read[log] if log.stat().st_size >= read[log] else 0)
        lines = file.read().splitlines()
        read[log] = file.tell()
    return lines
