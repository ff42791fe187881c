"""What one case costs: processor time of each process, room in the databases, memory. `python -m bench.capacity`

A city on PostgreSQL and RabbitMQ; companies' cases from the draft to the archive, with three files each, with credit
asked and told, and with people looking meanwhile. Processor time is added up by the system for each process, so other
work on the machine makes it a little too long and never too short. Prints a table and writes var/capacity.json.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import Final
from urllib.parse import urlsplit

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from e2e.api_cases import Run
from e2e.clients import HttpClient
from e2e.eventually import eventually
from e2e.providers import pytest_configure, pytest_unconfigure
from e2e.providers.cities import running_city
from e2e.tokens import Tokens
from tulou_chassis import outbox
from tulou_chassis.syncdb import SyncDatabase
from tulou_city import supervise
from tulou_city.layout import ROOT, City
from tulou_city.services import SERVICES

CALLERS: Final = 4
IDLE_SECONDS: Final = 20
TRACED: Final = "0.1"
# Calls of one case that only look, beside those that change something.
LOOKS: Final = {
    "GetItem": 1,
    "GetCase": 10,
    "ListCases": 4,
    "ListNotices": 3,
    "ListCaseHistory": 2,
    "ListDepartments": 2,
}
HANDLED: Final = ("StartReview", "GrantCase", "CertifyCase", "DeliverCase", "CloseCase")


def one_case(client: HttpClient, tokens: Tokens) -> int:
    """From an item's draft to the case in the archive; gives how many calls it took."""
    run = Run(client, tokens)
    run.prepare(("an item that may be simplified", "an honour", "an accepted case of the firm"))
    for rpc in HANDLED:
        run.do(rpc)
    run.prepare(("CreateCase", "UploadMaterial", "UploadMaterial", "UploadMaterial"))
    for rpc, times in LOOKS.items():
        for _ in range(times):
            run.do(rpc)
    # CreateItem, PublishItem, RegisterSubject, PutRecord, CreateCase, SubmitCase, AcceptCase.
    return 7 + len(HANDLED) + 4 + sum(LOOKS.values())


def processes(city: City) -> dict[str, list[psutil.Process]]:
    """The city's processes and the two servers', each with what it started."""
    states = supervise.states(city) or {}
    roots = {name: state["pid"] for name, state in states.items()}
    for name, uri in (("PostgreSQL", city.database_url), ("RabbitMQ", city.amqp_uri)):
        roots[name] = listening(urlsplit(uri).port or 0)
    found = {name: psutil.Process(pid) for name, pid in roots.items()}
    return {name: [process, *process.children(recursive=True)] for name, process in found.items()}


def cost_of(running: dict[str, list[psutil.Process]], act: Callable[[], object]) -> tuple[dict[str, float], float]:
    """The processor time of each while `act` is done, and how long that took, in seconds."""
    began, before = time.monotonic(), {name: spent(each) for name, each in running.items()}
    act()
    return {name: spent(each) - before[name] for name, each in running.items()}, time.monotonic() - began


def listening(port: int) -> int:
    """The process that listens on a port of this machine."""
    return next(
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid
    )


def spent(each: Iterable[psutil.Process]) -> float:
    """Processor time in seconds, with that of children that have ended."""
    total = 0.0
    for process in each:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident(each: Iterable[psutil.Process]) -> float:
    """Resident memory in MB."""
    return sum(process.memory_info().rss for process in each if process.is_running()) / 2**20


def sizes(city: City) -> dict[str, int]:
    """Bytes of each database."""
    found = {}
    for service in SERVICES:
        with psycopg.connect(city.database_url.format(service=service.name)) as connection:
            [found[service.name]] = connection.execute("SELECT pg_database_size(current_database())").fetchone() or [0]
    return found


def all_told(city: City) -> None:
    """Waits until every event is published."""
    for service in SERVICES:
        with closing(SyncDatabase(city.database_url.format(service=service.name))) as database:
            eventually(lambda: database.read(outbox.last_published) == database.read(outbox.last_position))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    cases = parser.parse_args().cases
    pytest_configure(None)
    try:
        with (
            running_city(database="postgresql", bus="rabbitmq", TULOU_TRACE_RATIO=TRACED) as city,
            ExitStack() as stack,
        ):
            clients = [stack.enter_context(closing(HttpClient(city.url))) for _ in range(CALLERS)]
            measure(city, clients, cases)
    finally:
        pytest_unconfigure(None)


def measure(city: City, clients: list[HttpClient], cases: int) -> None:
    """Plays the cases and prints what they cost."""
    tokens, calls = Tokens(city), list[int]()

    def play(count: int) -> int:
        with ThreadPoolExecutor(CALLERS) as pool:
            made = sum(pool.map(lambda number: one_case(clients[number % CALLERS], tokens), range(count)))
        all_told(city)
        return made

    # What is done once, plans and caches, is no case's cost; nor is what is done without any.
    play(2 * CALLERS)
    running, before = processes(city), sizes(city)
    idle, _ = cost_of(running, lambda: time.sleep(IDLE_SECONDS))
    busy, seconds = cost_of(running, lambda: calls.append(play(cases)))
    cost = {name: (busy[name] - idle[name] * seconds / IDLE_SECONDS) * 1000 / cases for name in running}
    # PostgreSQL's processes share most of theirs.
    memory = {name: resident(each) for name, each in processes(city).items() if name != "PostgreSQL"}
    grown = {name: (size - before[name]) / cases / 1024 for name, size in sizes(city).items()}
    table = Table("process", "processor ms a case", "idle, ms a second", "memory MB")
    for name in cost:
        nothing = idle[name] * 1000 / IDLE_SECONDS
        table.add_row(name, f"{cost[name]:.0f}", f"{nothing:.0f}", f"{memory[name]:.0f}" if name in memory else "")
    Console().print(table, f"{calls[0] / cases:.0f} calls a case; kB that a database grows by a case:", grown)
    content = {"cases": cases, "calls": calls[0] / cases, "ms": cost, "mb": memory, "kb": grown}
    path = ROOT / "var/capacity.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
