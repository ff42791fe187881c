"""Sheets of workbooks (ECMA-376 part 1, SpreadsheetML) in bounded memory.

Read with the standard library: openpyxl's read-only mode has no bound on what it unpacks, passes over merged cells and
needs defusedxml; calamine holds a whole sheet. Only what a table of values needs is looked at.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import IO

from tulou_credit.intake.limits import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_SHARED_CHARACTERS,
    MAX_SHARED_TEXTS,
)
from tulou_credit.intake.package import Package, parsed, refused, xml_parser
from tulou_credit.intake.report import Breach, UnreadableFile
from tulou_credit.intake.table import Cells

_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
# _x000D_ stands for a character that XML cannot hold.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
# Built-in formats with a day in them; 27 to 36 and 50 to 58 are the Chinese ones (ECMA-376 part 1, 18.8.30).
_DATE_FORMATS = {14, 15, 16, 17, 22, *range(27, 37), *range(50, 59)}
# What is within quotes or brackets is text, colour or locale.
_LITERALS = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')


def xlsx_table(stream: IO[bytes]) -> Iterator[Cells]:
    """The rows of the one visible sheet that has cells, numbered as in the sheet; `stream` must be seekable.

    Hidden sheets, in which the national templates keep their lists, are not looked at. Numbers in a date format
    become YYYY-MM-DD; a formula, an error or a number that lost digits is a fault of its cell. Raises UnreadableFile.
    """
    package = Package(stream)
    sheets, is_1904 = _workbook(package)
    with_data = [sheet for sheet in sheets if any(_has_cells(package, sheet))]
    if not sheets:
        raise refused("NO_SHEET")
    if len(with_data) > 1:
        raise refused("SEVERAL_SHEETS")
    if not with_data:
        raise refused("EMPTY_FILE")
    # Merged cells stand behind the rows: unless looked for first, rows would be taken before they are known.
    if _has_merged_cells(package, with_data[0]):
        raise refused("MERGED_CELLS")
    epoch = date(1904, 1, 1) if is_1904 else date(1899, 12, 30)
    sheet = _Sheet(_shared_texts(package), _date_styles(package), epoch)
    parser = xml_parser(sheet.start, sheet.end, sheet.text)
    for _ in parsed(package.chunks(with_data[0]), parser):
        yield from sheet.rows
        sheet.rows.clear()


def _workbook(package: Package) -> tuple[list[str], bool]:
    """The parts of the visible sheets, and whether days are counted from 1904."""
    visible: list[str] = []
    targets: dict[str, str] = {}
    is_1904 = False

    def workbook(name: str, attributes: dict[str, str]) -> None:
        nonlocal is_1904
        if name == "sheet" and attributes.get("state", "visible") == "visible":
            visible.extend(value for key, value in attributes.items() if key.endswith(":id"))
        elif name == "workbookPr":
            is_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "externalReference":
            raise refused("EXTERNAL_REFERENCE")

    def relations(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            if attributes.get("TargetMode") == "External":
                raise refused("EXTERNAL_REFERENCE")
            target = attributes.get("Target", "")
            targets[attributes.get("Id", "")] = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")

    package.read("xl/workbook.xml", xml_parser(workbook))
    package.read("xl/_rels/workbook.xml.rels", xml_parser(relations))
    if any(key not in targets for key in visible):
        raise refused("BROKEN_WORKBOOK", "sheet")
    return [targets[key] for key in visible], is_1904


def _has_cells(package: Package, sheet: str) -> Iterator[bool]:
    found = False

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal found
        found = found or name in ("v", "is", "f")

    for _ in parsed(package.chunks(sheet), xml_parser(start)):
        yield found


def _has_merged_cells(package: Package, sheet: str) -> bool:
    tail = b""
    for chunk in package.chunks(sheet):
        if re.search(rb"[<:]mergeCell[ />]", tail + chunk):
            return True
        tail = chunk[-20:]
    return False


def _date_styles(package: Package) -> set[str]:
    """The cell styles that show a number as a day."""
    if "xl/styles.xml" not in package:
        return set()
    formats: dict[str, bool] = {}
    styles: set[str] = set()
    inside = False
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside, count
        if name == "numFmt":
            code = _LITERALS.sub("", attributes.get("formatCode", "")).lower()
            formats[attributes.get("numFmtId", "")] = "d" in code or "y" in code
        elif name == "cellXfs":
            inside = True
        elif name == "xf" and inside:
            number = attributes.get("numFmtId", "0")
            if formats.get(number, number.isdecimal() and int(number[:4]) in _DATE_FORMATS):
                styles.add(f"{count}")
            count += 1

    def end(name: str) -> None:
        nonlocal inside
        inside = inside and name != "cellXfs"

    package.read("xl/styles.xml", xml_parser(start, end))
    return styles


def _shared_texts(package: Package) -> list[str]:
    if "xl/sharedStrings.xml" not in package:
        return []
    texts: list[str] = []
    pieces: list[str] = []
    reading = guide = False
    total = 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal reading, guide
        # rPh is the reading above the characters, pinyin in Chinese files.
        guide = guide or name == "rPh"
        reading = name == "t" and not guide

    def end(name: str) -> None:
        nonlocal reading, guide
        reading = False
        if name == "rPh":
            guide = False
        elif name == "si":
            texts.append(_unescaped("".join(pieces)))
            pieces.clear()
            if len(texts) > MAX_SHARED_TEXTS:
                raise refused("ZIP_BOMB", "sharedStrings")

    def text(piece: str) -> None:
        nonlocal total
        if reading:
            pieces.append(piece)
            total += len(piece)
            if total > MAX_SHARED_CHARACTERS:
                raise refused("ZIP_BOMB", "sharedStrings")

    for _ in parsed(package.chunks("xl/sharedStrings.xml"), xml_parser(start, end, text)):
        pass
    return texts


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


class _Sheet:
    """The handlers of a sheet's XML; finished rows wait in `rows`."""

    def __init__(self, shared: list[str], date_styles: set[str], epoch: date) -> None:
        self.rows: list[Cells] = []
        self._shared, self._date_styles, self._epoch = shared, date_styles, epoch
        self._row = 0
        # Of the header: a row whose last cells are empty has as many.
        self._width = 0
        self._column = -1
        self._cells: dict[int, str] = {}
        self._faults: list[tuple[int, str]] = []
        self._kind = self._style = ""
        self._pieces: list[str] = []
        self._length = 0
        self._reading = self._guide = self._formula = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._begin_row(attributes.get("r"))
        elif name == "c":
            self._begin_cell(attributes)
        elif name in ("v", "t"):
            self._reading = not self._guide
        elif name == "f":
            self._formula = True
        elif name == "rPh":
            self._guide = True

    def text(self, piece: str) -> None:
        # One more than may be, so that the row is refused for its length.
        if self._reading and self._length <= MAX_CELL_CHARACTERS:
            piece = piece[: MAX_CELL_CHARACTERS + 1 - self._length]
            self._pieces.append(piece)
            self._length += len(piece)

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._reading = False
        elif name == "rPh":
            self._guide = False
        elif name == "c":
            self._end_cell()
        elif name == "row":
            width = max(self._cells, default=-1) + 1
            texts = [self._cells.get(position, "") for position in range(max(width, self._width))]
            self._width = self._width or width
            self.rows.append(Cells(self._row, texts, tuple(self._faults)))

    def _begin_row(self, number: str | None) -> None:
        row = int(number) if number and number.isascii() and number.isdecimal() and len(number) < 8 else self._row + 1
        # Rows that go back would be counted twice.
        if row <= self._row:
            raise refused("BROKEN_WORKBOOK", "row")
        if row > MAX_ROWS + 48_576:
            raise UnreadableFile(Breach(self._row, "", "TOO_MANY_ROWS", f"{MAX_ROWS}"))
        self._row, self._column = row, -1
        self._cells, self._faults = {}, []

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        match = _REFERENCE.fullmatch(attributes.get("r", ""))
        column = self._column + 1
        if match:
            column = -1
            for letter in match[1]:
                column = (column + 1) * 26 + ord(letter) - ord("A")
        if column <= self._column:
            raise refused("BROKEN_WORKBOOK", "cell")
        self._column = column
        self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "0")
        self._pieces, self._length, self._formula = [], 0, False

    def _end_cell(self) -> None:
        raw = "".join(self._pieces)
        if not raw and not self._formula:
            return
        if self._column >= MAX_COLUMNS:
            raise UnreadableFile(Breach(self._row, "", "TOO_MANY_COLUMNS", f"{MAX_COLUMNS}"))
        text, fault = self._value(raw)
        if self._formula:
            fault = "FORMULA"
        if fault:
            self._faults.append((self._column, fault))
        self._cells[self._column] = text

    def _value(self, raw: str) -> tuple[str, str]:
        """The cell's text, and what is wrong with it or ""."""
        if self._kind == "s":
            if not (raw.isascii() and raw.isdecimal() and len(raw) < 8 and int(raw) < len(self._shared)):
                raise refused("BROKEN_WORKBOOK", "sharedStrings")
            return self._shared[int(raw)], ""
        if self._kind in ("inlineStr", "str"):
            return _unescaped(raw), ""
        if self._kind == "d":
            return raw[:10], ""
        if self._kind == "e":
            return raw, "CELL_ERROR"
        if self._kind != "n":
            return raw, "WRONG_TYPE"
        return self._number(raw)

    def _number(self, raw: str) -> tuple[str, str]:
        try:
            number = Decimal(raw) if len(raw) < 40 else Decimal("NaN")
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            return raw, "NOT_A_NUMBER"
        if abs(number) >= 10**15:
            return raw, "NUMBER_LOST_DIGITS"
        if self._style in self._date_styles:
            # Day 60 is the 29th of February 1900, which never was; from there on the count is right.
            if not 61 <= number < 73_051:
                return raw, "DATE_RANGE"
            return (self._epoch + timedelta(days=int(number))).isoformat(), ""
        # Files hold the 17 digits of a double: 0.10000000000000001 was typed as 0.1.
        return f"{Decimal(repr(float(number))).normalize():f}", ""
