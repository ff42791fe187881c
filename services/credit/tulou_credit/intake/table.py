"""Rows by column name: what every reader yields, and how a table's header is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tulou_credit.intake.columns import ColumnSet, column_name, recognise
from tulou_credit.intake.limits import MAX_CELL_CHARACTERS, MAX_COLUMNS, MAX_ROWS
from tulou_credit.intake.report import QUARANTINE_COLUMNS, Breach, UnreadableFile, quote


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was sent. With breaches it could not be read as cells, and `values` holds what could."""

    number: int
    columns: ColumnSet
    values: Mapping[str, str] = field(repr=False)
    breaches: tuple[Breach, ...] = ()


@dataclass(frozen=True, slots=True)
class Cells:
    """One row of a table: its number, its cells, and what was wrong with some: position and reason."""

    number: int
    texts: Sequence[str] = field(repr=False)
    faults: tuple[tuple[int, str], ...] = ()


def table_rows(table: Iterator[Cells]) -> Iterator[Row]:
    """The rows below the header, by column. Rows without any text are passed over.

    Raises UnreadableFile with all that is wrong with the header: columns that are unknown, missing, twice or unnamed.
    """
    header = next((cells for cells in table if any(text.strip() for text in cells.texts) or cells.faults), None)
    if header is None:
        raise UnreadableFile(Breach(0, "", "EMPTY_FILE"))
    names, columns = _header(header)
    corrected = names[: len(QUARANTINE_COLUMNS)] == list(QUARANTINE_COLUMNS)
    rows = 0
    for cells in table:
        if not cells.faults and not any(text.strip() for text in cells.texts):
            continue
        rows += 1
        if rows > MAX_ROWS:
            raise UnreadableFile(Breach(cells.number, "", "TOO_MANY_ROWS", f"{MAX_ROWS}"))
        texts = [text[1:] if text.startswith("'") else text for text in cells.texts] if corrected else cells.texts
        values = dict(zip(names, texts, strict=False))
        for name in QUARANTINE_COLUMNS:
            values.pop(name, None)
        yield Row(cells.number, columns, values, _breaches(cells, names) + too_long(cells.number, values))
    if rows == 0:
        raise UnreadableFile(Breach(header.number, "", "NO_ROWS"))


def too_long(number: int, values: Mapping[str, str]) -> tuple[Breach, ...]:
    """A breach for every cell over the bound."""
    if max(map(len, values.values()), default=0) <= MAX_CELL_CHARACTERS:
        return ()
    return tuple(
        Breach(number, name, "CELL_TOO_LONG") for name, text in values.items() if len(text) > MAX_CELL_CHARACTERS
    )


def _header(header: Cells) -> tuple[list[str], ColumnSet]:
    texts = list(header.texts)
    while texts and not texts[-1].strip():
        texts.pop()
    if len(texts) > MAX_COLUMNS:
        raise UnreadableFile(Breach(header.number, "", "TOO_MANY_COLUMNS", f"{MAX_COLUMNS}"))
    names = [column_name(text) for text in texts]
    columns = recognise(names)
    if columns is None:
        raise UnreadableFile(Breach(header.number, "", "UNKNOWN_COLUMNS"))
    breaches = [Breach(header.number, "", reason) for _, reason in header.faults]
    for position, (name, count) in enumerate(Counter(names).items(), start=1):
        if not name:
            breaches.append(Breach(header.number, "", "BLANK_COLUMN", f"{position}"))
        elif name not in columns.by_name and name not in QUARANTINE_COLUMNS:
            breaches.append(Breach(header.number, quote(name), "UNKNOWN_COLUMN"))
        elif count > 1:
            breaches.append(Breach(header.number, quote(name), "DUPLICATE_COLUMN"))
    breaches += [
        Breach(header.number, column.name, "MISSING_COLUMN", column.title)
        for column in columns.columns
        if column.required and column.name not in names
    ]
    if breaches:
        raise UnreadableFile(*breaches)
    return names, columns


def _breaches(cells: Cells, names: Sequence[str]) -> tuple[Breach, ...]:
    wrong = tuple(
        Breach(cells.number, names[position] if 0 <= position < len(names) else "", reason)
        for position, reason in cells.faults
    )
    if not cells.texts:
        return wrong
    # Spreadsheets leave empty cells behind the last one.
    if len(cells.texts) < len(names) or any(text.strip() for text in cells.texts[len(names) :]):
        wrong += (Breach(cells.number, "", "WRONG_CELL_COUNT", f"{len(cells.texts)}/{len(names)}"),)
    return wrong
