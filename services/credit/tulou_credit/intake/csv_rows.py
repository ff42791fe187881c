"""Comma-separated values (RFC 4180) in bounded memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from tulou_credit.intake.limits import MAX_LINE_CHARACTERS
from tulou_credit.intake.report import Breach, UnreadableFile
from tulou_credit.intake.table import Cells


def csv_table(lines: Iterator[str]) -> Iterator[Cells]:
    """The records, numbered as a spreadsheet numbers them: line breaks within quotes begin no row.

    The separator is a tab if the first line has one and no comma, as Excel writes "Unicode text". A row with a wrong
    quote is reported and passed over. Where a quote is not closed, nobody can say where the next row begins:
    UnreadableFile.
    """
    first = next(lines, "")
    source = _Lines(first, lines)
    reader = csv.reader(source, delimiter="\t" if "\t" in first and "," not in first else ",", strict=True)
    number = 0
    while True:
        number += 1
        source.begin(number)
        try:
            texts = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if source.lines_of_record > 1 or source.ended:
                raise UnreadableFile(Breach(number, "", "UNTERMINATED_QUOTE")) from None
            # The module's own bound, 131,072 characters, and the only error that it tells by text alone.
            long = str(error).startswith("field larger")
            yield Cells(number, (), ((-1, "CELL_TOO_LONG" if long else "BROKEN_RECORD"),))
            continue
        yield Cells(number, texts)


class _Lines:
    """The lines for the csv module, which by itself would read on to the file's end for a closing quote."""

    def __init__(self, first: str, rest: Iterator[str]) -> None:
        self._first: str | None = first or None
        self._rest = rest
        self._number = 0
        self._characters = 0
        self.lines_of_record = 0
        self.ended = False

    def begin(self, number: int) -> None:
        self._number, self._characters, self.lines_of_record = number, 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._first is not None:
            line, self._first = self._first, None
        else:
            try:
                line = next(self._rest)
            except StopIteration:
                self.ended = True
                raise
        self.lines_of_record += 1
        self._characters += len(line)
        if self._characters > MAX_LINE_CHARACTERS:
            raise UnreadableFile(Breach(self._number, "", "UNTERMINATED_QUOTE"))
        return line
