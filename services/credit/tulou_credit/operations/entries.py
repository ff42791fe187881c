"""What is entered one by one: subjects, and records of other types than the double-publicity files have."""

import re
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from sqlmodel import Session

from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import civil_date
from tulou_credit.domain.subjects import SubjectKind, name_key
from tulou_credit.intake.columns import Kind
from tulou_credit.models import Subject
from tulou_credit.numbers import subject_code
from tulou_credit.operations import records, subjects
from tulou_credit.operations.parties import is_department
from tulou_credit.queries import get_subject, subject_by_code, subject_by_number
from tulou_credit.wiring import House

_KEY_LENGTH: Final = 64
_NAME_LENGTH: Final = 256
_NAME_VIOLATION: Final = Violation("subject_name", "length", "须为 1 至 256 个字符。", "1 to 256 characters.")
_FIRST_DAY, _LAST_DAY = date(1949, 10, 1), date(2099, 12, 31)
_PROOF: Final = re.compile("[0-9a-f]{64}")


def put(session: Session, *, entry: Entry, source: str, origin: str, now: datetime, house: House) -> records.Put:
    """Takes an entry in, as `records.put` does a decision: what was known changes nothing, other content supersedes.

    `source` is the department's code, `origin` who or what it came by (64 characters at most). Raises InvalidFields,
    RecordTypeNotFound, SourceNotAllowed, ContentNotAllowed, and like `records.put` when another transaction put it.
    """
    code, violations = subject_code(kind=entry.subject_kind, code=entry.subject_code, id_type=entry.id_type)
    violations += _violations(entry, civil_date(now))
    if violations:
        raise InvalidFields(violations)
    kind = records.type_in_force(session, code=entry.type_code)
    if kind.by_consent and not _PROOF.fullmatch(entry.consent_proof):
        zh, en = "须提供书面同意的 SHA-256 值。", "The SHA-256 of the written consent is needed."
        raise InvalidFields([Violation("consent_proof", "consent", zh, en)])
    return records.put(session, replace(entry, subject_code=code), source=source, origin=origin, now=now, house=house)


class NotADepartment(Exception):
    """Only departments enter subjects (主体建档)."""


def register(
    session: Session,
    *,
    principal: Principal,
    kind: SubjectKind,
    code: str,
    id_type: str,
    name: str,
    now: datetime,
    house: House,
) -> Subject:
    """The subject of a number (主体建档), made if nothing was known of it; one that is known stays as it is.

    For departments, who enter whom they deal with. Raises NotADepartment, InvalidFields, and IntegrityError when
    another transaction made it: the whole transaction is to be run again.
    """
    if not is_department(principal):
        raise NotADepartment
    number, violations = subject_code(kind=kind, code=code, id_type=id_type)
    if _is_no_name(name):
        violations.append(_NAME_VIOLATION)
    if violations:
        raise InvalidFields([replace(each, field=each.field.removeprefix("subject_")) for each in violations])
    if kind is SubjectKind.PERSON:
        known = subject_by_number(session, id_type=id_type, number=number, house=house)
    else:
        known = subject_by_code(session, code=number)
    if known:
        return known
    told = subjects.Description(
        kind=kind,
        code=number,
        id_type=id_type,
        name=masked_text(name, known=[number] if id_type else []),
        told_on=civil_date(now),
    )
    actor, organisation = principal.subject, principal.organisation
    made = subjects.put(session, told=told, actor=actor, organisation=organisation, now=now, house=house)
    return get_subject(session, subject_id=made.id)


def _is_no_name(name: str) -> bool:
    return not name_key(name) or len(name) > _NAME_LENGTH


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
        (_is_no_name(entry.subject_name), _NAME_VIOLATION),
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
