"""JSON Lines (one object a line) in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tulou_credit.intake.columns import ColumnSet, column_name, recognise
from tulou_credit.intake.limits import MAX_COLUMNS, MAX_NUMBER_CHARACTERS, MAX_ROWS
from tulou_credit.intake.report import Breach, UnreadableFile, quote
from tulou_credit.intake.table import Row, too_long


class _Refused(ValueError):
    def __init__(self, reason: str, field: str = "", detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.field, self.detail = reason, field, detail


def json_rows(lines: Iterator[str]) -> Iterator[Row]:
    """The objects, numbered by their lines. Numbers keep their digits as sent; null is an empty cell.

    The first object that can be read says what kind of file it is; lines before it are reported with that kind.
    Raises UnreadableFile.
    """
    columns: ColumnSet | None = None
    unread: list[Breach] = []
    rows = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        rows += 1
        if rows > MAX_ROWS:
            raise UnreadableFile(Breach(number, "", "TOO_MANY_ROWS", f"{MAX_ROWS}"))
        try:
            values, breaches = _object(number, line)
        except _Refused as refused:
            broken = Breach(number, refused.field, refused.reason, refused.detail)
            if columns is not None:
                yield Row(number, columns, {}, (broken,))
            else:
                unread.append(broken)
                if len(unread) >= 100:
                    raise UnreadableFile(*unread) from None
            continue
        if columns is None:
            columns = recognise(values)
            if columns is None:
                raise UnreadableFile(*unread, Breach(number, "", "UNKNOWN_COLUMNS"))
            for broken in unread:
                yield Row(broken.row, columns, {}, (broken,))
        unknown = tuple(Breach(number, quote(name), "UNKNOWN_COLUMN") for name in values if name not in columns.by_name)
        yield Row(number, columns, values, breaches + unknown + too_long(number, values))
    if columns is None:
        raise UnreadableFile(*(unread or [Breach(0, "", "EMPTY_FILE")]))


def _object(number: int, line: str) -> tuple[dict[str, str], tuple[Breach, ...]]:
    try:
        # Numbers stay text: a float would round amounts, and a number of a million digits takes minutes to parse.
        found = json.loads(
            line,
            object_pairs_hook=_unique,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_not_a_number,
        )
    except RecursionError:
        raise _Refused("TOO_DEEP") from None
    except json.JSONDecodeError:
        raise _Refused("BROKEN_JSON") from None
    if not isinstance(found, dict):
        raise _Refused("NOT_AN_OBJECT")
    if len(found) > MAX_COLUMNS:
        raise _Refused("TOO_MANY_COLUMNS", detail=f"{MAX_COLUMNS}")
    wrong = tuple(
        Breach(number, quote(name), "WRONG_TYPE")
        for name, value in found.items()
        if value is not None and not isinstance(value, str)
    )
    return {name: value if isinstance(value, str) else "" for name, value in found.items()}, wrong


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        name = column_name(key)
        if name in found:
            raise _Refused("DUPLICATE_KEY", quote(name))
        found[name] = value
    return found


def _number(digits: str) -> str:
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise _Refused("HUGE_NUMBER", detail=f"{MAX_NUMBER_CHARACTERS}")
    return digits


def _not_a_number(_: str) -> object:
    raise _Refused("NOT_A_NUMBER")
