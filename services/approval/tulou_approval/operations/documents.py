"""The documents an organ gives (文书): numbered per department, kind and year, with the text as it was given."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

from sqlmodel import Session

from tulou_approval.models import Case, CaseDocument
from tulou_approval.operations.acts import next_number


class DocumentKind(StrEnum):
    """Kinds of documents, as in the proto."""

    RECEIPT = "RECEIPT"
    CORRECTION_NOTICE = "CORRECTION_NOTICE"
    ACCEPTANCE = "ACCEPTANCE"
    NON_ACCEPTANCE = "NON_ACCEPTANCE"
    SPECIAL_PROCEDURE = "SPECIAL_PROCEDURE"
    EXTENSION = "EXTENSION"
    GRANT = "GRANT"
    REFUSAL = "REFUSAL"
    DELIVERY_RECEIPT = "DELIVERY_RECEIPT"
    TERMINATION = "TERMINATION"


# The character in the number, and the text. A document is a legal act in Chinese; it has no other language.
_FORMS: Final[Mapping[DocumentKind, tuple[str, str]]] = {
    DocumentKind.RECEIPT: ("收", "收件凭证：{applicant}，您申报的“{item}”（办件编号{number}）已于{date}收到。"),
    DocumentKind.CORRECTION_NOTICE: (
        "补",
        "补正告知书：{applicant}，您申报的“{item}”（办件编号{number}）需要一次性补正以下内容：{entries}",
    ),
    DocumentKind.ACCEPTANCE: (
        "受",
        "受理通知书：{applicant}，您申报的“{item}”（办件编号{number}）自{accept_date}起予以受理。{deemed}",
    ),
    DocumentKind.NON_ACCEPTANCE: (
        "不受",
        "不予受理通知书：{applicant}，您申报的“{item}”（办件编号{number}）不予受理。理由：{reason}{organ}",
    ),
    DocumentKind.SPECIAL_PROCEDURE: (
        "特",
        "特别程序告知书：{applicant}，您申报的“{item}”（办件编号{number}）需要{ground}，预计{days}个工作日，"
        "所需时间不计入办理期限。{reason}",
    ),
    DocumentKind.EXTENSION: (
        "延",
        "延期告知书：{applicant}，经本行政机关负责人批准，您申报的“{item}”（办件编号{number}）办理期限延长{days}个工作日。"
        "理由：{reason}",
    ),
    DocumentKind.GRANT: ("准", "准予决定书：{applicant}，您申报的“{item}”（办件编号{number}）经审查，准予。{opinion}"),
    DocumentKind.REFUSAL: (
        "不准",
        "不予许可决定书：{applicant}，您申报的“{item}”（办件编号{number}）经审查，不予许可。理由：{reasons}救济途径：{remedies}",
    ),
    DocumentKind.DELIVERY_RECEIPT: (
        "送",
        "送达回证：“{item}”（办件编号{number}）的办理结果已于{date}送达，{method}，签收：{recipient}。",
    ),
    DocumentKind.TERMINATION: (
        "终",
        "终止办理通知书：{applicant}，您申报的“{item}”（办件编号{number}）终止办理。理由：{reason}",
    ),
}


def issue(session: Session, *, case: Case, kind: DocumentKind, day: date, **facts: object) -> str:
    """Writes the document and gives its number, for example 漳SCJG准〔2026〕00042号."""
    mark, text = _FORMS[kind]
    serial = next_number(session, f"document:{case.department_code}:{kind}:{day.year}")
    number = f"漳{case.department_code}{mark}〔{day.year}〕{serial:05d}号"
    known = {"applicant": case.applicant_name, "item": case.item_name, "number": case.number, "date": day}
    session.add(
        CaseDocument(number=number, case_id=case.id, kind=kind, text=text.format(**known, **facts), issue_date=day)
    )
    return number
