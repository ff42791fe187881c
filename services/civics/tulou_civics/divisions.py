"""The administrative divisions of Zhangzhou (区划) and what became of their former codes."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_FORM = re.compile(r"[1-9][0-9](?:[0-9]{2}){0,2}|[1-9][0-9]{8}|[1-9][0-9]{11}")

# 龙海市 became 龙海区 and 长泰县 became 长泰区 in 2021. Identity cards and credit codes keep the old prefixes.
_SUCCESSORS = {"350681": "350604", "350625": "350605"}


class UnknownDivision(LookupError):
    """No division has this code, or it has not the form of a division code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"unknown division code {code!r}")
        self.code = code


class Level(StrEnum):
    """Level of a division: 市, 县(区), 镇(乡、街道), 村(社区)."""

    CITY = "CITY"
    COUNTY = "COUNTY"
    TOWN = "TOWN"
    VILLAGE = "VILLAGE"


_LEVEL_BY_LENGTH = {4: Level.CITY, 6: Level.COUNTY, 9: Level.TOWN, 12: Level.VILLAGE}


@dataclass(frozen=True, slots=True)
class Division:
    """One division. The parent of the city is its province, which is not in the table."""

    code: str
    level: Level
    name: str
    parent_code: str


@cache
def divisions() -> Mapping[str, Division]:
    """All divisions of the city by code, each parent before its children."""
    with (files("tulou_civics") / "data" / "zhangzhou_divisions.csv").open(encoding="utf-8") as file:
        return MappingProxyType(
            {
                row["code"]: Division(row["code"], _LEVEL_BY_LENGTH[len(row["code"])], row["name"], row["parent_code"])
                for row in csv.DictReader(file)
            }
        )


def normalise(code: str) -> str:
    """The short form of a division code: 2 digits for a province, 4 city, 6 county, 9 town, 12 village.

    Trailing zeros only fill a code up to a longer form: 350600, 350600000 and 350600000000 are 3506.
    The code need not be one of the city's. Raises UnknownDivision when it has not the form of a code.
    """
    if not _FORM.fullmatch(code):
        raise UnknownDivision(code)
    short = code
    for length, filler in ((12, "000"), (9, "000"), (6, "00"), (4, "00")):
        if len(short) == length and short.endswith(filler):
            short = short.removesuffix(filler)
    return short


def current_code(code: str) -> str:
    """Today's code for a code of any time, normalised; codes that never changed come back as they are.

    A town or village of a renamed county keeps its own digits under the county's new ones.
    Raises UnknownDivision when it has not the form of a code.
    """
    short = normalise(code)
    return _SUCCESSORS.get(short[:6], short[:6]) + short[6:]


def division(code: str) -> Division:
    """The division that has this code today, in any of its forms. Raises UnknownDivision, also for former codes."""
    try:
        return divisions()[normalise(code)]
    except KeyError:
        raise UnknownDivision(code) from None


@cache
def _children() -> Mapping[str, tuple[Division, ...]]:
    found: dict[str, list[Division]] = {}
    for each in divisions().values():
        found.setdefault(each.parent_code, []).append(each)
    return {code: tuple(sorted(group, key=lambda each: each.code)) for code, group in found.items()}


def children(code: str) -> tuple[Division, ...]:
    """The divisions one level below, by code; none below a village. Raises UnknownDivision."""
    return _children().get(division(code).code, ())


def covers(ancestor: str, code: str) -> bool:
    """Whether `code` is `ancestor` or lies within it; former codes count as today's.

    It decides who may see what, so a malformed or empty code covers nothing and is covered by nothing.
    """
    try:
        return current_code(code).startswith(current_code(ancestor))
    except UnknownDivision:
        return False


def full_name(code: str) -> str:
    """The names from the city down, without spaces: 漳州市芗城区东铺头街道. Raises UnknownDivision."""
    here = division(code)
    above = full_name(here.parent_code) if here.parent_code in divisions() else ""
    return above + here.name
