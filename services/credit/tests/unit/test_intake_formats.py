"""Formats, encodings and memory of the double-publicity files."""

import codecs
import io
import tracemalloc
from collections.abc import Iterator
from datetime import date
from typing import IO

import pytest

from services.credit.tests.hostile.recipes import (
    LICENCE,
    LICENCE_HEADER,
    csv_file,
    csv_text,
    json_file,
    licence_cells,
    sheet_xml,
    text_cells,
    xlsx_file,
)
from tulou_credit.intake import read_rows, table
from tulou_credit.intake.formats import Encoding
from tulou_credit.intake.report import UnreadableFile
from tulou_credit.intake.rows import Licence, judged

TODAY = date(2026, 11, 22)


def _values(file: bytes, encoding: Encoding | None = None) -> list[dict[str, str]]:
    rows = list(read_rows(io.BytesIO(file), encoding=encoding))
    assert not any(row.breaches for row in rows)
    return [{name: text for name, text in row.values.items() if text} for row in rows]


def _reasons(file: bytes, encoding: Encoding | None = None) -> list[str]:
    with pytest.raises(UnreadableFile) as unreadable:
        list(read_rows(io.BytesIO(file), encoding=encoding))
    return [breach.reason for breach in unreadable.value.breaches]


@pytest.mark.parametrize(
    "file",
    [
        csv_text(LICENCE).encode(),
        csv_text(LICENCE).encode("utf-8-sig"),
        csv_text(LICENCE).encode("gb18030"),
        csv_text(LICENCE).encode("gbk"),
        csv_text(LICENCE).encode("utf-16"),
        codecs.BOM_UTF16_BE + csv_text(LICENCE).encode("utf-16-be"),
        codecs.BOM_UTF16_LE + csv_text(LICENCE).replace(",", "\t").encode("utf-16-le"),
        json_file(LICENCE),
        xlsx_file(sheet_xml(text_cells(LICENCE_HEADER), licence_cells())),
    ],
    ids=["utf-8", "utf-8 with bom", "gb18030", "gbk", "utf-16", "utf-16 big", "excel unicode text", "json", "xlsx"],
)
def test_every_format_and_encoding_gives_the_same_row(file: bytes) -> None:
    assert _values(file) == [LICENCE]


def test_a_row_has_the_same_content_hash_in_every_format() -> None:
    files = (
        csv_file(LICENCE),
        csv_text(LICENCE | {"XK_JDRQ": "2024/1/2"}).encode("gb18030"),
        json_file(LICENCE | {"XK_JDRQ": "20240102"}),
        xlsx_file(sheet_xml(text_cells(LICENCE_HEADER), licence_cells(XK_JDRQ='<c s="1"><v>45293</v></c>'))),
    )
    hashes = set()
    for file in files:
        (record,) = judged(read_rows(io.BytesIO(file)), today=TODAY)
        assert isinstance(record, Licence)
        hashes.add(record.content_hash)
    assert len(hashes) == 1


def test_rare_characters_of_gb18030_are_read_whole() -> None:
    row = LICENCE | {"XK_FRDB": "㐂𠮷"}
    assert _values(csv_text(row).encode("gb18030")) == [row]


def test_text_that_two_encodings_allow_is_refused_until_the_sender_names_one() -> None:
    header = csv_text().encode()
    # 一 in GBK is a Cyrillic letter in UTF-8.
    file = header + "一".encode("gbk") + b"," * (len(LICENCE_HEADER) - 1) + b"\r\n"
    assert _reasons(file) == ["ENCODING_AMBIGUOUS"]
    assert _values(file, Encoding.GB18030) == [{"XK_XDR_MC": "一"}]


def test_a_wrong_word_of_the_sender_is_reported() -> None:
    assert _reasons(csv_text(LICENCE).encode("gbk"), Encoding.UTF_8) == ["WRONG_ENCODING"]
    assert _reasons(csv_text(LICENCE).encode("utf-8-sig"), Encoding.GB18030) == ["WRONG_ENCODING"]


def test_another_encoding_far_down_is_reported_at_its_line_and_the_rows_before_stand() -> None:
    rows = 3_000
    file = csv_file(*[LICENCE] * rows) + csv_text(LICENCE).split("\n", 1)[1].encode("gbk")
    taken = []
    with pytest.raises(UnreadableFile) as unreadable:
        taken.extend(read_rows(io.BytesIO(file)))
    assert [(breach.row, breach.reason) for breach in unreadable.value.breaches] == [(rows + 2, "WRONG_ENCODING")]
    assert len(taken) == rows


def test_quotes_and_line_breaks_stay_in_their_field_and_rows_are_numbered_as_in_a_spreadsheet() -> None:
    rows = [LICENCE | {"XK_NR": '一、"茶叶"，\n二、食品\r\n三,四'}, LICENCE]
    assert _values(csv_file(*rows)) == rows
    assert [row.number for row in read_rows(io.BytesIO(csv_file(*rows)))] == [2, 3]


def test_empty_rows_are_passed_over_and_counted() -> None:
    file = (
        csv_file(LICENCE) + b"\r\n" + b"," * (len(LICENCE_HEADER) - 1) + b"\r\n" + csv_file(LICENCE).split(b"\n", 1)[1]
    )
    assert [row.number for row in read_rows(io.BytesIO(file))] == [2, 5]


def test_headers_may_be_lower_case_full_width_or_starred() -> None:
    header, row = csv_text(LICENCE).split("\r\n", 1)
    assert _values((header.lower().replace("xk_wsh", "＊ＸＫ_ＷＳＨ ") + "\r\n" + row).encode()) == [LICENCE]


def test_numbers_in_json_keep_their_digits() -> None:
    (values,) = _values(json_file('{"CF_NR_FK": 0.100000, "CF_WSH": 123456789012345678901234}'))
    assert values == {"CF_NR_FK": "0.100000", "CF_WSH": "123456789012345678901234"}


def test_a_sheet_s_shared_and_rich_texts_are_read_without_their_pinyin() -> None:
    shared = '<sst><si><r><t>食品</t></r><r><t>经营_x000D_</t></r><rPh sb="0" eb="1"><t>shi</t></rPh></si></sst>'
    file = xlsx_file(
        sheet_xml(text_cells(LICENCE_HEADER), licence_cells(XK_NR='<c t="s"><v>0</v></c>')),
        extra={"xl/sharedStrings.xml": shared},
    )
    assert _values(file)[0]["XK_NR"] == "食品经营\r"


def test_a_day_counted_from_1904_is_the_day_that_was_meant() -> None:
    sheet = sheet_xml(text_cells(LICENCE_HEADER), licence_cells(XK_JDRQ='<c s="1"><v>43831</v></c>'))
    assert _values(xlsx_file(sheet, date1904=True))[0]["XK_JDRQ"] == "2024-01-02"


def test_a_double_is_read_as_it_was_typed() -> None:
    sheet = sheet_xml(text_cells(LICENCE_HEADER), licence_cells(BZ="<c><v>0.10000000000000001</v></c>"))
    assert _values(xlsx_file(sheet))[0]["BZ"] == "0.1"


def test_a_hidden_sheet_and_an_empty_one_do_not_disturb() -> None:
    good = sheet_xml(text_cells(LICENCE_HEADER), licence_cells())
    assert _values(xlsx_file(good, good, sheet_xml(), states=("hidden", "visible", "visible"))) == [LICENCE]


def test_columns_may_stand_in_any_order_and_optional_ones_be_left_out() -> None:
    assert _values(csv_file(LICENCE, header=list(reversed(LICENCE)))) == [LICENCE]


def test_a_row_more_than_the_bound_ends_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_ROWS", 3)
    assert len(list(read_rows(io.BytesIO(csv_file(*[LICENCE] * 3))))) == 3
    assert _reasons(csv_file(*[LICENCE] * 4)) == ["TOO_MANY_ROWS"]


class _Endless(io.RawIOBase):
    """A file that is made as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def _many(rows: int) -> Iterator[bytes]:
    header, row = csv_file(LICENCE, header=list(LICENCE)).split(b"\r\n", 1)
    yield header + b"\r\n"
    for _ in range(rows // 100):
        yield row * 100


def _peak(file: IO[bytes]) -> tuple[int, int]:
    """The rows of a file and the most memory that reading took, in bytes."""
    tracemalloc.start()
    try:
        return sum(1 for _ in read_rows(file)), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_rows_of_a_text_file() -> None:
    # tracemalloc makes reading many times slower: not the million rows that may come, but many times what may be held.
    rows, peak = _peak(_Endless(_many(40_000)))  # type: ignore[arg-type]
    assert rows == 40_000
    assert peak < 1024 * 1024 < sum(map(len, _many(40_000))) // 5


def test_memory_does_not_grow_with_the_rows_of_a_workbook() -> None:
    sheet = sheet_xml(text_cells(LICENCE_HEADER), *[licence_cells()] * 4_000)
    rows, peak = _peak(io.BytesIO(xlsx_file(sheet)))
    assert rows == 4_000
    assert peak < 1024 * 1024 < len(sheet) // 4


def test_all_that_a_workbook_unpacks_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = sheet_xml(text_cells(LICENCE_HEADER), *[licence_cells()] * 100)
    # The sheet is unpacked a second time to be looked through for merged cells.
    monkeypatch.setattr("tulou_credit.intake.package.MAX_UNZIPPED_BYTES", len(sheet.encode()) * 3 // 2)
    assert _reasons(xlsx_file(sheet)) == ["ZIP_BOMB"]
    assert len(_values(xlsx_file(sheet_xml(text_cells(LICENCE_HEADER), *[licence_cells()] * 10)))) == 10


def test_a_file_over_the_bound_ends_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tulou_credit.intake.formats.MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(UnreadableFile, match="FILE_TOO_BIG"):
        list(read_rows(_Endless(_many(300_000))))  # type: ignore[arg-type]
