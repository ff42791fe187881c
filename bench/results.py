"""What was found, beside the floor of the same rounds."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.load import Sample

FLOOR: Final = "floor"


@dataclass(frozen=True)
class Result:
    """One target's figures for one operation: medians over the rounds."""

    database: str
    operation: str
    target: str
    ratio: float
    sample: Sample


def results_of(database: str, found: Mapping[tuple[str, str], list[Sample]]) -> list[Result]:
    """The results of the samples by operation and target, the floor among the targets."""
    return [
        Result(database, operation, name, _ratio(samples, found[operation, FLOOR]), _median(samples))
        for (operation, name), samples in found.items()
    ]


def _ratio(samples: list[Sample], floor: list[Sample]) -> float:
    return statistics.median(one.rate / base.rate for one, base in zip(samples, floor, strict=True))


def _median(samples: list[Sample]) -> Sample:
    return Sample(**{name: statistics.median(getattr(one, name) for one in samples) for name in Sample.__annotations__})


def print_results(out: Console, results: list[Result]) -> None:
    """The comparison as a table."""
    table = Table("database", "operation", "asked", "per second", "of the floor", "p50 ms", "p95 ms", "p99 ms")
    for result in results:
        sample = result.sample
        first = result.target == FLOOR
        table.add_row(
            result.database if first else "",
            result.operation if first else "",
            result.target,
            f"{sample.rate:,.0f}",
            f"{result.ratio:.2f}",
            *(f"{value:.1f}" for value in (sample.p50, sample.p95, sample.p99)),
            end_section=result.target == results[-1].target,
        )
    out.print(table)
