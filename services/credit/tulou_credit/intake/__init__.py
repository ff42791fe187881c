"""Reading the national double-publicity files (双公示): licences and penalties as CSV, XLSX or JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from tulou_credit.intake.csv_rows import csv_table
from tulou_credit.intake.formats import Encoding, text_lines
from tulou_credit.intake.json_rows import json_rows
from tulou_credit.intake.report import Breach, UnreadableFile
from tulou_credit.intake.table import Row, table_rows
from tulou_credit.intake.xlsx_rows import xlsx_table

_HEAD_BYTES = 4096


def read_rows(stream: IO[bytes], *, encoding: Encoding | None = None) -> Iterator[Row]:
    """The rows of a file one by one; its content says whether it is CSV, XLSX or JSON Lines, never its name.

    `encoding` is what the sender says of a text file, None if nothing: then see `text_lines`. A workbook must be
    seekable; text is read once, front to back. Rows come numbered as a spreadsheet or an editor numbers them, so that
    reading can go on behind the last one that was taken. Raises UnreadableFile, also after rows that are good.
    """
    head = stream.read(_HEAD_BYTES)
    if not head:
        raise UnreadableFile(Breach(0, "", "EMPTY_FILE"))
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise UnreadableFile(Breach(0, "", "OLE2_FILE"))
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from table_rows(xlsx_table(stream))
        return
    if head.startswith((b"%PDF", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"<?xml", b"<html", b"<!DOCTYPE")):
        raise UnreadableFile(Breach(0, "", "NOT_A_TABLE"))
    lines = text_lines(stream, head=head, encoding=encoding)
    first = next(lines, "")
    if first.startswith("["):
        raise UnreadableFile(Breach(1, "", "JSON_ARRAY"))
    rest = _with_first(first, lines)
    if first.lstrip().startswith("{"):
        yield from json_rows(rest)
    else:
        yield from table_rows(csv_table(rest))


def _with_first(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
