"""Every service is rolled to a new image under fifty clients: no request fails and no event is lost."""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from typing import Final

import pytest
from rich.console import Console
from rich.table import Table

from e2e.containers.load import Load, living
from e2e.containers.rolling import next_version, roll
from e2e.containers.stack import Containers, inspect
from tulou_city.layout import ROOT
from tulou_city.services import SERVICES

CLIENTS: Final = 50
TABLE: Final = ROOT / "var/rolling.txt"
# What was rolled, from when to when.
Span = tuple[str, float, float]


def test_no_request_fails_and_no_event_is_lost_while_every_service_is_rolled(
    city: Containers, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = {service.name: next_version(city, service.name) for service in SERVICES}
    spans: list[Span] = []
    with living(city, size=CLIENTS) as load:

        def rolled(name: str, version: str) -> Span:
            began = time.monotonic()
            roll(city, name, version=version)
            return name, began, time.monotonic()

        for role in ("", "-worker"):
            with ThreadPoolExecutor() as pool:
                names = [service + role for service in versions]
                spans += pool.map(rolled, names, versions.values())
        load.wait_for_more()
        for name, version in versions.items():
            for container in [*city.ids(name), *city.ids(f"{name}-worker")]:
                assert inspect(container)["Config"]["Image"].endswith(f":{version}")
    table = table_of(load, spans)
    with TABLE.open("w") as file:
        Console(file=file, width=120).print(table)
    with capsys.disabled():
        Console(width=120).print("\n", table)
    assert load.failed == []


def table_of(load: Load, spans: list[Span]) -> Table:
    """What happened to the calls that began while each was rolled."""
    calls = load.calls
    first, last = min(began for _, began, _ in spans), max(ended for _, _, ended in spans)
    told = ", ".join(f"{count} {name}" for name, count in load.counted.items())
    table = Table(title=f"Rolled under {len(load.firms)} clients, half over HTTP and half over gRPC", caption=told)
    for column in ("rolled", "seconds", "calls", "failed", "p50 ms", "p99 ms", "longest ms"):
        table.add_column(column, justify="left" if column == "rolled" else "right")
    for name, began, ended in [("before", 0.0, first), *spans, ("all", first, last)]:
        during = [call for call in calls if began <= call[0] < ended]
        took = [1000 * seconds for _, seconds, _ in during]
        cuts = quantiles(took, n=100)
        failed = sum(bool(why) for _, _, why in during)
        seconds = ended - (began or min(call[0] for call in calls))
        figures = (f"{seconds:.0f}", len(during), failed, f"{cuts[49]:.0f}", f"{cuts[98]:.0f}", f"{max(took):.0f}")
        table.add_row(name, *map(str, figures), end_section=name in ("before", spans[-1][0]))
    return table
