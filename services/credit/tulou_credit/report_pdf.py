"""A report as PDF: A4, in Chinese, the same bytes for the same report."""

import io
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from tulou_credit.domain.records import SHANGHAI
from tulou_credit.domain.reports import ReportKind, code_as_shown
from tulou_credit.report_queries import OpenedReport

VERIFY_PATH: Final = "/credit/verify"
# A font that every reader of PDF in Chinese has: nothing is embedded.
_FONT: Final = "STSong-Light"
_KINDS: Final = {
    ReportKind.OWN: "本人版",
    ReportKind.AUTHORISED: "授权查询版",
    ReportKind.PUBLIC: "公开信息版",
}
_SUBJECT_KINDS: Final = {"ORGANISATION": "法人及非法人组织", "SOLE_TRADER": "个体工商户", "PERSON": "自然人"}
_STATUSES: Final = {"ACTIVE": "存续", "REVOKED": "吊销", "CANCELLED": "注销"}
_MARGIN: Final = 56
_LEADING: Final = 1.5
# Size, and the room before it, in points.
_STYLES: Final = {"title": (18, 0), "heading": (13, 14), "record": (11, 8), "line": (10, 0)}
_NEVER_FIRST: Final = frozenset("，。、；：？！）》〉】」』”’%,.;:?!)")


def report_pdf(opened: OpenedReport) -> bytes:
    """The report as PDF. Takes seconds where it has a thousand long records: not for an event loop."""
    # Loaded with the first report: nothing else needs it.
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    width, height = A4
    stream = io.BytesIO()
    # Neither the time of making nor a random id goes in.
    canvas = Canvas(stream, pagesize=A4, invariant=1)
    canvas.setTitle("公共信用报告")
    footer = f"核验码 {code_as_shown(opened.code)}　核验地址 {VERIFY_PATH}"

    def foot() -> None:
        canvas.setFont(_FONT, 8)
        canvas.drawString(_MARGIN, _MARGIN / 2, footer)
        canvas.drawRightString(width - _MARGIN, _MARGIN / 2, f"第 {canvas.getPageNumber()} 页")

    # Line by line and not by reportlab's paragraphs, which take ten times as long to find where Chinese text breaks.
    widths = _Widths(lambda char: pdfmetrics.stringWidth(char, _FONT, 1))
    y = height - _MARGIN
    for style, text in _lines(opened):
        size, before = _STYLES[style]
        y -= before
        for line in _broken(_fit(text), (width - 2 * _MARGIN) / size, widths):
            y -= size * _LEADING
            if y < _MARGIN:
                foot()
                canvas.showPage()
                y = height - _MARGIN - size * _LEADING
            canvas.setFont(_FONT, size)
            canvas.drawString(_MARGIN, y, line)
    foot()
    canvas.save()
    return stream.getvalue()


class _Widths(dict[str, float]):
    """How wide each character of size 1 is, asked for once."""

    def __init__(self, measure: Callable[[str], float]) -> None:
        self._measure = measure

    def __missing__(self, char: str) -> float:
        self[char] = found = self._measure(char)
        return found


def _broken(text: str, width: float, widths: Mapping[str, float]) -> Iterator[str]:
    """The text in lines of a width, in the unit of `widths`. One mark that may not begin a line hangs over its end."""
    for part in text.splitlines():
        start, used = 0, 0.0
        for at, char in enumerate(part):
            used += widths[char]
            if used > width + (char in _NEVER_FIRST):
                yield part[start:at]
                start, used = at, widths[char]
        yield part[start:]


def _lines(opened: OpenedReport) -> Iterator[tuple[str, str]]:
    """What it says, line by line, each with its style."""
    report, content = opened.report, opened.content
    yield "title", f"公共信用报告（{_KINDS[ReportKind(report.kind)]}）"
    yield "line", f"报告编号：{report.id}"
    yield "line", f"生成时间：{_time(report.created_at)}"
    yield "line", f"用途：{report.purpose}"
    yield "line", f"核验码：{code_as_shown(opened.code)}"
    yield "line", f"内容摘要（SHA-256）：{report.sha256}"
    subject = content["subject"]
    yield "heading", "一、主体信息"
    yield "line", f"名称：{subject['name']}"
    yield "line", f"类别：{_SUBJECT_KINDS[subject['kind']]}"
    if subject["code"]:
        yield "line", f"统一社会信用代码：{subject['code']}"
        yield "line", f"登记状态：{_STATUSES[subject['status']]}"
    else:
        yield "line", f"证件号码：{subject['number_masked']}"
    if subject["representative"]:
        yield "line", f"法定代表人：{subject['representative']}"
    if grade := content.get("grade"):
        level = grade["grade"].removeprefix("GRADE_")
        yield "line", f"信用等级：{level}（{grade['score']} 分，模型 {grade['model_version']}）"
    records = content["records"]
    yield "heading", f"二、信用记录（{len(records)} 条）"
    if content["truncated"]:
        yield "line", "记录较多，仅列最近作出的部分。"
    if not records:
        yield "line", "无。"
    for number, record in enumerate(records, start=1):
        yield from _record(number, record, opened.titles.get(record["type_code"], {}))
    if "queries" in content:
        yield "heading", "三、查询记录"
        if not content["queries"]:
            yield "line", "无。"
        for each in content["queries"]:
            time = _time(datetime.fromisoformat(each["time"]))
            yield "line", f"{time}　{each['asker']}　{each['purpose']}　{'、'.join(each['type_codes'])}"


def _record(number: int, record: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    marks = [] if record["public"] else ["不公开"]
    if record["disputed"]:
        marks.append("异议处理中")
    mark = f"（{'，'.join(marks)}）" if marks else ""
    until = f"　公示至 {record['public_until']}" if record["public"] and record["public_until"] else ""
    yield "record", f"{number}. {record['type_name']}{mark}"
    yield "line", f"{record['decided_on']}　{record['organ_name']}{until}"
    for name, value in record["content"].items():
        title = titles.get(name, name)
        if name.endswith("_fen"):
            yield "line", f"{title.replace('（分）', '（元）')}：{value // 100}.{value % 100:02d}"
        else:
            yield "line", f"{title}：{_SUBJECT_KINDS.get(value, value) if name == 'subject_kind' else _text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Mapping):
        return "；".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return "、".join(map(_text, value))
    return str(value)


def _time(time: datetime) -> str:
    return time.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def _fit(text: str) -> str:
    # What the font's encoding has no place for would be lost without a word.
    return "".join(char if ord(char) <= 0xFFFF else "〓" for char in text)
