"""Files that are hostile or broken, and good ones to make them from. Numbers and names are made up."""

from __future__ import annotations

import csv
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping

from tulou_credit.intake.columns import LICENCE_790, PENALTY_790

PERSON = "350602199001011016"
FIRM, TRADER, ORGAN = "91350602MA2XA1B244", "92350681MA2YC3D400", "113506000038800159"

LICENCE = {
    "XK_XDR_MC": "漳州某某土楼茶叶有限公司",
    "XK_XDR_LB": "法人及非法人组织",
    "XK_XDR_SHXYM": FIRM,
    "XK_FRDB": "张三",
    "XK_XKWS": "准予行政许可决定书",
    "XK_WSH": "漳市监许〔2024〕1号",
    "XK_XKLB": "普通",
    "XK_NR": "食品经营许可",
    "XK_JDRQ": "2024-01-02",
    "XK_YXQZ": "2024-01-02",
    "XK_YXQZI": "2029-01-01",
    "XK_XKJG": "漳州市市场监督管理局",
    "XK_XKJGDM": ORGAN,
    "XK_ZT": "1",
    "XK_LYDW": "漳州市市场监督管理局",
    "XK_LYDWDM": ORGAN,
}
LICENCE_HEADER = list(LICENCE_790.by_name)
PENALTY = {
    "CF_XDR_MC": "李四茶摊",
    "CF_XDR_LB": "个体工商户",
    "CF_XDR_SHXYM": TRADER,
    "CF_WSH": "漳市监罚〔2024〕2号",
    "CF_WFXW": "无证经营",
    "CF_SY": "未取得许可经营食品",
    "CF_YJ": "《食品安全法》第一百二十二条",
    "CF_CFLB": "警告；罚款",
    "CF_NR": "警告，罚款 2000 元",
    "CF_NR_FK": "0.2",
    "CF_JDRQ": "2024/1/2",
    "CF_CFJG": "漳州市市场监督管理局",
    "CF_CFJGDM": ORGAN,
    "CF_SJLY": "漳州市市场监督管理局",
    "CF_SJLYDM": ORGAN,
}
PENALTY_HEADER = list(PENALTY_790.by_name)


def csv_text(*rows: dict[str, str], header: list[str] | None = None) -> str:
    """A file with a header and the rows."""
    names = header or LICENCE_HEADER
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def csv_file(*rows: dict[str, str], header: list[str] | None = None) -> bytes:
    return csv_text(*rows, header=header).encode()


def json_file(*lines: Mapping[str, object] | str) -> bytes:
    return "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines).encode()


_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def sheet_xml(*rows: Iterable[str], after: str = "", before: str = "") -> str:
    """A sheet of rows of cells, each cell as XML."""
    body = "".join(f'<row r="{n}">{"".join(cells)}</row>' for n, cells in enumerate(rows, start=1))
    return f"{before}<worksheet {_MAIN}><sheetData>{body}</sheetData>{after}</worksheet>"


def text_cells(texts: Iterable[str]) -> list[str]:
    return [f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in texts]


def licence_cells(**changed: str) -> list[str]:
    """The cells of the good licence; `changed` has the XML of whole cells by column."""
    cells = text_cells(LICENCE.get(name, "") for name in LICENCE_HEADER)
    for name, cell in changed.items():
        cells[LICENCE_HEADER.index(name)] = cell
    return cells


def xlsx_file(
    *sheets: str,
    states: tuple[str, ...] = (),
    extra: Mapping[str, str | bytes] | None = None,
    date1904: bool = False,
) -> bytes:
    """A workbook of the sheets; style 1 is a date."""
    listed = "".join(
        f'<sheet name="S{n}" sheetId="{n}" state="{(states or ("visible",) * len(sheets))[n - 1]}" r:id="rId{n}"/>'
        for n in range(1, len(sheets) + 1)
    )
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATION}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    parts: dict[str, str | bytes] = {
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_RELATION}"><workbookPr date1904="{int(date1904)}"/>'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": "<Relationships "
        f'xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}</Relationships>',
        "xl/styles.xml": f'<styleSheet {_MAIN}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        **{f"xl/worksheets/sheet{n}.xml": sheet for n, sheet in enumerate(sheets, start=1)},
        **(extra or {}),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            package.writestr(name, part)
    return file.getvalue()


def _sheet(*rows: Iterable[str], **around: str) -> str:
    return sheet_xml(text_cells(LICENCE_HEADER), *rows, **around)


def _lying_zip() -> bytes:
    """The directory and the part's own header declare 100 bytes of a part that has 40 MB."""
    size = 40_000_000
    good = xlsx_file(_sheet(licence_cells()), extra={"xl/sharedStrings.xml": b"<sst>" + b" " * size})
    return good.replace(struct.pack("<L", size + 5), struct.pack("<L", 100))


def _part_twice() -> bytes:
    file = xlsx_file(_sheet(licence_cells()), extra={"xl/workbook.xmm": "<x/>"})
    return file.replace(b"xl/workbook.xmm", b"xl/workbook.xml")


def _with_zip64(file: bytes) -> bytes:
    at = file.rfind(b"PK\x05\x06")
    return file[:at] + b"PK\x06\x07" + bytes(16) + file[at:]


def _broken_part() -> bytes:
    file = bytearray(xlsx_file(_sheet(licence_cells())))
    file[file.find(b"xl/worksheets/sheet1.xml") + 200] ^= 0xFF
    return bytes(file)


def _encrypted_zip() -> bytes:
    file = bytearray(xlsx_file(_sheet(licence_cells())))
    at = file.rfind(b"PK\x01\x02")
    file[at + 8] |= 1
    return bytes(file)


def _billion_laughs() -> str:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return _sheet(licence_cells(), before=f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]>')


RECIPES: dict[str, Callable[[], bytes]] = {
    # Encodings
    "utf-8 cut within a character": lambda: csv_file(LICENCE)[:-12] + "局".encode()[:2],
    "gbk in the middle of utf-8": lambda: csv_file(*[LICENCE] * 60) + csv_text(LICENCE).split("\n", 1)[1].encode("gbk"),
    "big5": lambda: (
        csv_text(LICENCE | {"XK_NR": "食品經營許可證" * 9, "XK_XDR_MC": "龍海縣電腦公司"})
        .replace("漳州某某土楼茶叶", "臺灣")
        .encode("big5", "ignore")
    ),
    "utf-16 without a bom": lambda: csv_text(LICENCE).encode("utf-16-le"),
    "utf-32": lambda: csv_text(LICENCE).encode("utf-32"),
    "utf-8 of replaced characters": lambda: csv_file(
        LICENCE | {"XK_XDR_MC": "锟斤拷公司"}, LICENCE | {"XK_NR": "食\ufffd品"}
    ),
    # CSV
    "a quote that never ends": lambda: csv_file(LICENCE, LICENCE) + b'"' + csv_file(*[LICENCE] * 20),
    "nul bytes": lambda: csv_file(LICENCE | {"XK_NR": "食品\x00经营"}, LICENCE),
    "a field of 200,000 characters": lambda: csv_file(LICENCE | {"XK_NR": "许" * 200_000}, LICENCE),
    "a cell of 10,001 characters": lambda: csv_file(LICENCE | {"BZ": "注" * 10_001}),
    "a line of 3 million characters": lambda: csv_file(LICENCE) + b"x" * 3_000_000,
    "two hundred columns": lambda: csv_file(header=LICENCE_HEADER + [f"X{n}" for n in range(200)]),
    "data without a header": lambda: csv_file(LICENCE).split(b"\r\n", 1)[1],
    "a person's number as a column": lambda: csv_file(LICENCE, header=[*LICENCE_HEADER, PERSON]),
    "direction marks in a name": lambda: csv_file(LICENCE | {"XK_XDR_MC": "公司\u202e司公"}),
    # JSON Lines
    "nested ten thousand deep": lambda: json_file(LICENCE, "[" * 10_000, '{"a":' * 10_000),
    "a number of a million digits": lambda: json_file(LICENCE, '{"XK_ZT": ' + "1" * 1_000_000 + "}"),
    # Workbooks
    "a zip of nothing": lambda: b"PK\x05\x06" + bytes(18),
    "a zip cut short": lambda: xlsx_file(_sheet(licence_cells()))[:-200],
    "a zip with a broken part": _broken_part,
    "a zip that is no workbook": lambda: xlsx_file(extra={"xl/workbook.xml": "hello"}),
    "an old workbook": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "an encrypted part": _encrypted_zip,
    "a zip bomb that declares its size": lambda: xlsx_file(
        _sheet(licence_cells()), extra={"xl/sharedStrings.xml": b"<sst>" + b" " * 40_000_000}
    ),
    "a zip bomb that lies": _lying_zip,
    "a zip of two thousand parts": lambda: xlsx_file(_sheet(), extra={f"x/{n}": "" for n in range(2_000)}),
    "billion laughs": lambda: xlsx_file(_billion_laughs()),
    "an external entity": lambda: xlsx_file(
        _sheet(licence_cells(), before='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>')
    ),
    "one tag of two megabytes": lambda: xlsx_file(_sheet(['<c r="A2" x="' + "y" * 2_000_000 + '"/>'])),
    "an entity in utf-16": lambda: xlsx_file(
        sheet_xml(licence_cells()),
        extra={"xl/sharedStrings.xml": '<!DOCTYPE x [<!ENTITY e "x">]><sst/>'.encode("utf-16")},
    ),
    "a part that stands twice": _part_twice,
    "a zip64 directory": lambda: _with_zip64(xlsx_file(_sheet(licence_cells()))),
    "a sheet outside of the file": lambda: xlsx_file(
        _sheet(licence_cells()),
        extra={"xl/workbook.xml": "<workbook><externalReferences><externalReference/></externalReferences></workbook>"},
    ),
    "a formula in the header": lambda: xlsx_file(
        sheet_xml([*text_cells(LICENCE_HEADER), "<c><f>1+1</f><v>2</v></c>"], licence_cells())
    ),
    "an external link": lambda: xlsx_file(_sheet(), extra={"xl/externalLinks/externalLink1.xml": "<x/>"}),
    "macros": lambda: xlsx_file(_sheet(), extra={"xl/vbaProject.bin": b"x"}),
    "a nested zip is never opened": lambda: xlsx_file(
        _sheet(licence_cells()), extra={"xl/embeddings/inner.zip": xlsx_file(_sheet())}
    ),
    "formulas": lambda: xlsx_file(
        _sheet(licence_cells(XK_NR='<c t="str"><f>HYPERLINK("http://x")</f><v>许可</v></c>'), licence_cells())
    ),
    "an error value": lambda: xlsx_file(_sheet(licence_cells(XK_NR='<c t="e"><v>#REF!</v></c>'))),
    "a credit code as a number": lambda: xlsx_file(
        _sheet(licence_cells(XK_XKJGDM="<c><v>1.13506000038800158E17</v></c>"))
    ),
    "a date as a bare number": lambda: xlsx_file(_sheet(licence_cells(XK_JDRQ="<c><v>45293</v></c>"))),
    "merged cells": lambda: xlsx_file(
        _sheet(licence_cells(), after='<mergeCells count="1"><mergeCell ref="A1:A2"/></mergeCells>')
    ),
    "two sheets with rows": lambda: xlsx_file(_sheet(licence_cells()), _sheet(licence_cells())),
    "hidden sheets only": lambda: xlsx_file(_sheet(licence_cells()), states=("veryHidden",)),
    "a cell in column ZZZ": lambda: xlsx_file(_sheet(licence_cells(), ['<c r="ZZZ3"><v>1</v></c>'])),
    "rows that go back": lambda: xlsx_file(_sheet(licence_cells()).replace('<row r="2">', '<row r="1">')),
    "a shared text that is not there": lambda: xlsx_file(_sheet(licence_cells(XK_NR='<c t="s"><v>7</v></c>'))),
}
