"""The numbers that subjects are known by, as callers send them."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from tulou_chassis.violations import Violation
from tulou_civics.identifiers import InvalidIdentifier, check_credit_code, check_resident_id
from tulou_credit.domain.subjects import SubjectKind

RESIDENT_ID: Final = "身份证"
_OTHER_NUMBER: Final = re.compile("[0-9A-Z]{5,20}")


def subject_code(*, kind: SubjectKind, code: str, id_type: str) -> tuple[str, list[Violation]]:
    """The normalised number that a subject is known by, and what is wrong with it (`subject_code`, `id_type`)."""
    if kind is not SubjectKind.PERSON:
        found, violations = _checked(check_credit_code, code, "统一社会信用代码", "credit code")
        if id_type:
            zh, en = "仅自然人填写证件类型。", "Only persons have a document type."
            violations.append(Violation("id_type", "not_for_organisation", zh, en))
        return found, violations
    if not id_type:
        return code, [Violation("id_type", "required", "必填。", "Required.")]
    if id_type == RESIDENT_ID:
        return _checked(check_resident_id, code, "公民身份号码", "identity number")
    number = unicodedata.normalize("NFKC", code).replace(" ", "").upper()
    if _OTHER_NUMBER.fullmatch(number):
        return number, []
    return number, [Violation("subject_code", "form", "证件号码格式不正确。", "Not a document's number.")]


def _checked(check: Callable[[str], str], code: str, zh: str, en: str) -> tuple[str, list[Violation]]:
    try:
        return check(code), []
    except InvalidIdentifier:
        return code, [Violation("subject_code", "identifier", f"{zh}不正确。", f"Not a valid {en}.")]
