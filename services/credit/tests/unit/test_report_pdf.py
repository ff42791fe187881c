"""The PDF of a report: what it says, that it is the same twice, and that nothing in a record breaks it."""

import base64
import re
import zlib
from datetime import UTC, datetime
from typing import Any, Final

from tulou_credit.models import Report
from tulou_credit.report_pdf import report_pdf
from tulou_credit.report_queries import OpenedReport

CODE: Final = "23456789ABCDEFGH"
_STREAM: Final = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_SHOWN: Final = re.compile(rb"\(((?:[^\\()]|\\.)*)\) Tj", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def opened(*records: dict[str, Any], **content: Any) -> OpenedReport:
    made = Report(
        id="6a0f5f0e-0000-4000-8000-000000000001",
        subject_id="6a0f5f0e-0000-4000-8000-000000000002",
        kind="OWN",
        purpose="贷款",
        made_by="someone",
        organisation="",
        free_of_charge=False,
        snapshot="",
        sha256="a" * 64,
        code_index="",
        code_sealed="",
        created_at=datetime(2026, 5, 6, 4, tzinfo=UTC),
    )
    subject = {
        "name": "漳州测试食品有限公司",
        "kind": "ORGANISATION",
        "code": "91350602MA2XA1B244",
        "number_masked": "",
        "representative": "李四",
        "status": "ACTIVE",
        "region_code": "350602",
    }
    told = {"on": "2026-05-06", "subject": subject, "records": list(records), "truncated": False, **content}
    titles = {"PENALTY": {"facts": "违法事实", "fine_fen": "罚款（分）", "categories": "处罚类别"}}
    return OpenedReport(report=made, code=CODE, content=told, titles=titles)


def record(**content: Any) -> dict[str, Any]:
    return {
        "record_id": "r",
        "type_code": "PENALTY",
        "type_name": "行政处罚",
        "organ_name": "漳州市市场监督管理局",
        "decided_on": "2026-04-02",
        "public": True,
        "public_until": "2027-04-02",
        "disputed": True,
        "content": content,
    }


def text(pdf: bytes) -> str:
    """All that its pages show."""
    return "".join(lines(pdf))


def lines(pdf: bytes) -> list[str]:
    """What its pages show, line by line."""
    shown = []
    for stream in _STREAM.findall(pdf):
        body = stream.strip()
        if body.endswith(b"~>"):
            page = zlib.decompress(base64.a85decode(b"<~" + body, adobe=True))
            shown += [_unescaped(each).decode("utf-16-be") for each in _SHOWN.findall(page)]
    return shown


def _unescaped(text: bytes) -> bytes:
    return _ESCAPE.sub(
        lambda found: bytes([int(found[1], 8)]) if found[1].isdigit() else _ESCAPED.get(found[1], found[1]), text
    )


def test_it_says_who_what_and_how_to_verify() -> None:
    said = text(report_pdf(opened(record(facts="销售过期食品", fine_fen=5_000_050, categories=["罚款", "警告"]))))
    for part in (
        "公共信用报告（本人版）",
        "漳州测试食品有限公司",
        "91350602MA2XA1B244",
        "行政处罚（异议处理中）",
        "违法事实：销售过期食品",
        "罚款（元）：50000.50",
        "处罚类别：罚款、警告",
        "公示至 2027-04-02",
        "2026-05-06 12:00:00",
        "2345-6789-ABCD-EFGH",
        "/credit/verify",
    ):
        assert part in said


def test_it_tells_the_grade_and_who_asked() -> None:
    asked = {"asker": "BANK", "purpose": "贷款", "type_codes": ["EVALUATION"], "time": "2026-05-01T04:00:00Z"}
    grade = {"grade": "GRADE_B", "score": 750, "model_version": "2026.1"}
    said = text(report_pdf(opened(queries=[asked], grade=grade)))
    assert "信用等级：B（750 分，模型 2026.1）" in said
    assert "2026-05-01 12:00:00　BANK　贷款　EVALUATION" in said


def test_the_same_report_is_the_same_bytes() -> None:
    assert report_pdf(opened(record(facts="甲"))) == report_pdf(opened(record(facts="甲")))


def test_a_fact_longer_than_a_page_goes_on_over_the_next() -> None:
    pdf = report_pdf(opened(record(facts="违" * 9000)))
    assert text(pdf).count("违") >= 9000
    assert pdf.count(b"/Type /Page\n") >= 3


def test_no_line_is_longer_than_the_page_is_wide() -> None:
    for filling in ("违", "！", "1"):
        said = [each for each in lines(report_pdf(opened(record(facts=filling * 500)))) if filling * 9 in each]
        assert sum(each.count(filling) for each in said) >= 500
        # 483 points in characters of ten, or in digits of 4.6, and one mark over the end.
        assert max(map(len, said)) <= (105 if filling == "1" else 49)


def test_markup_rare_characters_and_line_ends_in_a_record_are_shown_as_text() -> None:
    said = text(report_pdf(opened(record(facts="<b>甲</b> & </para>\n𠮷野家😀 <br/>", other={"a": ["x", True]}))))
    assert "<b>甲</b> & </para>" in said
    assert "〓野家〓 <br/>" in said
    assert "\n" not in said
    assert "other：a x、是" in said
