"""What is wrong with a file or a row, in words for its sender, and the quarantine file that the sender gets back."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tulou_civics.identifiers import mask_identity
from tulou_credit.intake.columns import ColumnSet

# Reason code: what the sender reads. {detail} never holds a cell's text as it was sent.
_SENTENCES: Mapping[str, tuple[str, str]] = {
    # The file
    "EMPTY_FILE": ("文件为空", "the file is empty"),
    "NO_ROWS": ("文件只有表头，没有数据行", "the file has a header and no rows"),
    "FILE_TOO_BIG": ("文件超过 {detail} 字节", "the file is over {detail} bytes"),
    "TOO_MANY_ROWS": ("数据超过 {detail} 行，请分批报送", "over {detail} rows; send them in parts"),
    "TOO_MANY_COLUMNS": ("超过 {detail} 列", "over {detail} columns"),
    "LINE_TOO_LONG": ("一行超过 {detail} 个字符", "a line is over {detail} characters"),
    "ENCODING_UNKNOWN": (
        "不能确定文件编码，请用 UTF-8 或 GB18030 保存，或在上传时指明编码",
        "the encoding cannot be told; save as UTF-8 or GB18030, or name the encoding",
    ),
    "ENCODING_AMBIGUOUS": (
        "文件内容既可作 UTF-8 又可作 GB18030 解读，请在上传时指明编码",
        "the file can be read as UTF-8 and as GB18030; name the encoding",
    ),
    "WRONG_ENCODING": ("此处以后的内容不是 {detail} 编码", "what follows is not {detail}"),
    "OLE2_FILE": (
        "文件加了密码或为旧版 .xls，请另存为不加密的 .xlsx",
        "a password-protected workbook or an old .xls; save as .xlsx without a password",
    ),
    "NOT_A_TABLE": ("不是 CSV、XLSX 或 JSON Lines 文件", "neither CSV, XLSX nor JSON Lines"),
    "JSON_ARRAY": ("应为每行一个 JSON 对象，不是数组", "must be one JSON object a line, not an array"),
    "UNTERMINATED_QUOTE": (
        "引号没有闭合，此行及以后各行未读取",
        "a quote is not closed; this row and all after it were not read",
    ),
    "UNKNOWN_COLUMNS": ("表头不是双公示数据标准的列名", "the header has no column of the data standard"),
    "UNKNOWN_COLUMN": ("数据标准没有这一列", "the data standard has no such column"),
    "MISSING_COLUMN": ("缺少必填列“{detail}”", "a required column is missing"),
    "DUPLICATE_COLUMN": ("列名重复", "the column stands twice"),
    "BLANK_COLUMN": ("第 {detail} 列没有列名", "column {detail} has no name"),
    # The workbook
    "BROKEN_WORKBOOK": ("工作簿损坏：{detail}", "a broken workbook: {detail}"),
    "PASSWORD_PROTECTED": ("工作簿加了密码", "the workbook is encrypted"),
    "ZIP_BOMB": ("工作簿解压后过大：{detail}", "the workbook is too big when unpacked: {detail}"),
    "XML_ENTITIES": ("工作簿含有 XML 文档类型或实体定义", "the workbook has an XML document type or entities"),
    "MACROS": ("工作簿含有宏", "the workbook has macros"),
    "EXTERNAL_REFERENCE": ("工作簿引用外部数据", "the workbook refers to data outside of it"),
    "NO_SHEET": ("工作簿没有可见的工作表", "the workbook has no visible sheet"),
    "SEVERAL_SHEETS": ("有多个可见的工作表含有数据", "more than one visible sheet has data"),
    "MERGED_CELLS": ("工作表有合并单元格，请取消合并", "the sheet has merged cells; unmerge them"),
    "FORMULA": ("单元格是公式，请粘贴为数值", "the cell is a formula; paste its value"),
    "CELL_ERROR": ("单元格是错误值", "the cell holds an error"),
    "NUMBER_LOST_DIGITS": (
        "数字超过 15 位，表格软件已丢失末位，请按文本填写",
        "a number of over 15 digits has lost its last ones; enter it as text",
    ),
    # The row
    "WRONG_CELL_COUNT": ("列数为 {detail}", "the number of cells is {detail}"),
    "BROKEN_RECORD": ("引号或换行有误", "a quote or line break is wrong"),
    "BROKEN_JSON": ("不是有效的 JSON", "not valid JSON"),
    "NOT_AN_OBJECT": ("不是 JSON 对象", "not a JSON object"),
    "DUPLICATE_KEY": ("键重复", "the key stands twice"),
    "TOO_DEEP": ("嵌套过深", "nested too deep"),
    "NOT_A_NUMBER": ("NaN 和 Infinity 不是数值", "NaN and Infinity are no values"),
    "HUGE_NUMBER": ("数值超过 {detail} 位", "a number of over {detail} characters"),
    "WRONG_TYPE": ("应为文本或数值", "must be text or a number"),
    "NUL": ("含有空字符", "holds a NUL character"),
    "BAD_CHARACTER": ("含有控制字符、乱码或不可见字符", "holds control, replacement or direction characters"),
    "CELL_TOO_LONG": ("单元格超过 10000 个字符", "a cell is over 10000 characters"),
    # The field
    "REQUIRED": ("必填", "is required"),
    "TOO_LONG": ("超过 {detail} 个字符", "over {detail} characters"),
    "FORMULA_TEXT": ("不得以 = + - @ 或制表符、回车开头", "must not begin with = + - @, tab or CR"),
    "NOT_IN_LIST": ("应为：{detail}", "must be one of: {detail}"),
    "DATE_FORM": ("日期应为 2024-01-02、2024/1/2 或 20240102", "a date is 2024-01-02, 2024/1/2 or 20240102"),
    "DATE_SERIAL": ("日期是序列号，请设置为日期格式", "the date is a serial number; format the cell as a date"),
    "DATE_RANGE": ("日期应在 1949-10-01 至 2099-12-31 之间", "a date lies from 1949-10-01 to 2099-12-31"),
    "DATE_IN_FUTURE": ("决定日期晚于今天", "the decision is later than today"),
    "DATES_REVERSED": ("早于{detail}", "earlier than {detail}"),
    "AMOUNT_FORM": ("金额以万元计，不得为负，最多 12 位整数、6 位小数", "an amount has up to 12 digits and 6 decimals"),
    "AMOUNT_REQUIRED": ("处罚类别为罚款时必填", "is required when the penalty is a fine"),
    "CODE_FORM": ("只能有字母、数字和连字符", "holds letters, digits and hyphens only"),
    "DIVISION_CODE": ("应为 6 位行政区划代码", "must be a division code of 6 digits"),
    "CREDIT_CODE": ("统一社会信用代码 {detail} 有误", "{detail} is no credit code"),
    "RESIDENT_ID": ("身份证号 {detail} 有误", "{detail} is no identity number"),
    "IDENTITY_FORM": ("证件号码 {detail} 格式有误", "{detail} is no number of this kind"),
    "NOT_FOR_PERSON": ("相对人为自然人时应为空", "must be empty for a natural person"),
    # The catalogue (信用信息目录), by which good rows are taken or not
    "TYPE_NOT_PUBLISHED": ("信用信息目录没有此类信息", "the catalogue has no such type of record"),
    "SOURCE_NOT_ALLOWED": (
        "信用信息目录不允许本部门报送此类信息或此类主体，或该信息由其他部门报送",
        "the catalogue does not let this department send such records, or of such subjects, or another one sent it",
    ),
    "CONTENT_NOT_ALLOWED": ("不符合信用信息目录的要求：{detail}", "not as the catalogue asks: {detail}"),
    # The import
    "GAVE_UP": (
        "处理 {detail} 次未成功，已停止，请联系平台",
        "{detail} attempts took no row and it was stopped; tell the platform",
    ),
}

_LONG_NUMBER = re.compile(r"[0-9A-Za-z][0-9A-Za-z -]{5,}[0-9A-Za-z]")
_DIGITS = re.compile(r"(?:[0-9][^0-9]*){6}")
# Codes that are no longer themselves when a spreadsheet has taken them for numbers.
_ROUNDED = re.compile(r"0[0-9]+|[0-9]{12,}")
# What a spreadsheet takes for a formula, full-width forms too, as Excel accepts them when typed.
RUN_BY_SPREADSHEETS = tuple("=+-@\t\r\n＝＋－＠")


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that is wrong: the row (header is 1; 0 is the file itself), the column ("" for the whole row), why."""

    row: int
    field: str
    reason: str
    detail: str = ""

    @property
    def zh(self) -> str:
        return _SENTENCES[self.reason][0].format(detail=self.detail)

    @property
    def en(self) -> str:
        return _SENTENCES[self.reason][1].format(detail=self.detail)


class UnreadableFile(ValueError):
    """A file, or the rest of it, that cannot be read as rows. Rows that came before stand."""

    def __init__(self, *breaches: Breach) -> None:
        super().__init__(", ".join(f"row {breach.row}: {breach.reason}" for breach in breaches))
        self.breaches = breaches


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not taken: its breaches, and the cells as they were sent, which may hold a person's number.

    `values` is empty of a row that could not be taken apart, such as broken JSON.
    """

    row: int
    columns: ColumnSet
    breaches: tuple[Breach, ...]
    values: Mapping[str, str] = field(repr=False)


def quote(text: str) -> str:
    """A name from a file fit to be repeated: one line of up to 40 characters, long numbers masked.

    A file without a header has a person's data where the column names should be.
    """
    one_line = "".join(char if char.isprintable() else " " for char in unicodedata.normalize("NFKC", text)).strip()
    masked = _LONG_NUMBER.sub(
        lambda run: mask_identity(run[0]) if sum(map(str.isdigit, run[0])) > 5 else run[0], one_line
    )
    return masked if len(masked) <= 40 else masked[:39] + "…"


def quarantine_csv(rows: Iterable[Rejected], *, heading: bool = True) -> Iterator[bytes]:
    """The rejected rows as CSV in UTF-8 with BOM, which Excel reads as Chinese; one chunk a row.

    Without `heading` they go on behind others of the same file.

    Its first three columns are the row's number, the fields and the reasons; `read_rows` skips them, so that the
    corrected file can be sent again. The others are the columns of the data standard with the cells as they were
    sent, persons' numbers too: the file is for the sender only. What a spreadsheet would run gets an apostrophe in
    front (CWE-1236), which `read_rows` takes off.
    """
    names: list[str] | None = None
    for rejected in rows:
        if names is None:
            names = list(rejected.columns.by_name)
        if heading:
            heading = False
            yield codecs.BOM_UTF8 + _csv_line([*QUARANTINE_COLUMNS, *names])
        yield _csv_line(
            [
                f"{rejected.row}",
                "；".join(dict.fromkeys(breach.field for breach in rejected.breaches if breach.field)),
                "；".join(f"{breach.field} {breach.zh}".strip() for breach in rejected.breaches),
                *(neutralised(rejected.values.get(name, "")) for name in names),
            ]
        )


QUARANTINE_COLUMNS = ("_行号", "_字段", "_原因")


def neutralised(text: str) -> str:
    """The text so that no spreadsheet runs it, or rounds a code of digits, of which it keeps 15.

    An apostrophe that is there already is doubled, to come back.
    """
    runs = text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith((*RUN_BY_SPREADSHEETS, "'"))
    return f"'{text}" if runs or _ROUNDED.fullmatch(text) else text


def _csv_line(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "replace")
