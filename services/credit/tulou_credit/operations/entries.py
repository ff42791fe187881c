"""Records of other types than the double-publicity files have: sent one by one, or made of another service's events."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from sqlmodel import Session

from tulou_chassis.violations import InvalidFields, Violation
from tulou_civics.identifiers import InvalidIdentifier, check_credit_code, check_resident_id
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.records import civil_date
from tulou_credit.domain.subjects import SubjectKind, name_key
from tulou_credit.intake.columns import Kind
from tulou_credit.operations import records
from tulou_credit.wiring import House

RESIDENT_ID: Final = "身份证"
_KEY_LENGTH: Final = 64
_NAME_LENGTH: Final = 256
_FIRST_DAY, _LAST_DAY = date(1949, 10, 1), date(2099, 12, 31)
_PROOF: Final = re.compile("[0-9a-f]{64}")
_OTHER_NUMBER: Final = re.compile("[0-9A-Z]{5,20}")


def put(session: Session, *, entry: Entry, source: str, origin: str, now: datetime, house: House) -> records.Put:
    """Takes an entry in, as `records.put` does a decision: what was known changes nothing, other content supersedes.

    `source` is the department's code, `origin` who or what it came by (64 characters at most). Raises InvalidFields,
    RecordTypeNotFound, SourceNotAllowed, ContentNotAllowed, and like `records.put` when another transaction put it.
    """
    code, violations = subject_code(kind=entry.subject_kind, code=entry.subject_code, id_type=entry.id_type)
    violations += _violations(entry, civil_date(now))
    if violations:
        raise InvalidFields([replace(each, field=f"entry.{each.field}") for each in violations])
    kind = records.type_in_force(session, code=entry.type_code)
    if kind.by_consent and not _PROOF.fullmatch(entry.consent_proof):
        zh, en = "须提供书面同意的 SHA-256 值。", "The SHA-256 of the written consent is needed."
        raise InvalidFields([Violation("entry.consent_proof", "consent", zh, en)])
    return records.put(session, replace(entry, subject_code=code), source=source, origin=origin, now=now, house=house)


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
    number = code.replace(" ", "").upper()
    if _OTHER_NUMBER.fullmatch(number):
        return number, []
    return number, [Violation("subject_code", "form", "证件号码格式不正确。", "Not a document's number.")]


def _checked(check: Callable[[str], str], code: str, zh: str, en: str) -> tuple[str, list[Violation]]:
    try:
        return check(code), []
    except InvalidIdentifier:
        return code, [Violation("subject_code", "identifier", f"{zh}不正确。", f"Not a valid {en}.")]


def _violations(entry: Entry, today: date) -> list[Violation]:
    valid_to = entry.valid_to or _LAST_DAY
    tests = (
        (
            entry.type_code in tuple(Kind),
            Violation(
                *("type_code", "double_publicity", "许可和处罚信息通过双公示文件报送。"),
                "Licences and penalties come in double-publicity files.",
            ),
        ),
        (
            not name_key(entry.subject_name) or len(entry.subject_name) > _NAME_LENGTH,
            Violation("subject_name", "length", "须为 1 至 256 个字符。", "1 to 256 characters."),
        ),
        (
            not 1 <= len(entry.source_key) <= _KEY_LENGTH,
            Violation("source_key", "length", "须为 1 至 64 个字符。", "1 to 64 characters."),
        ),
        (
            not _FIRST_DAY <= entry.valid_from <= today,
            Violation("valid_from", "range", "须在 1949-10-01 至今日之间。", "From 1949-10-01 to today."),
        ),
        (
            not entry.valid_from <= valid_to <= _LAST_DAY,
            Violation(
                *("valid_to", "range", "不得早于生效日期，不得晚于 2099-12-31。"),
                "Not before valid_from and not after 2099-12-31.",
            ),
        ),
    )
    return [violation for broken, violation in tests if broken]
