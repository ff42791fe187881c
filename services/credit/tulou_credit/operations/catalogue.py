"""The catalogue: record types from draft to retirement, version after version."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, func, select

from tulou_chassis.etags import check_etag
from tulou_chassis.principals import Principal
from tulou_chassis.schemas import SchemaInvalid
from tulou_chassis.violations import InvalidFields, Violation
from tulou_civics.durations import Duration
from tulou_credit.domain.catalogue import Category, Openness, PublicityRule, TypeState, forbidden_fields
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import RecordType
from tulou_credit.operations.parties import check_city_administrator
from tulou_credit.operations.schemas import check_schema
from tulou_credit.queries import TYPES_AT_HAND, RecordTypeNotFound, get_type


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What an entry of the catalogue says. `sources` are codes of departments, "*" is every one."""

    code: str
    name: str
    category: Category
    openness: Openness
    sources: tuple[str, ...]
    subject_kinds: tuple[SubjectKind, ...]
    by_consent: bool
    content_schema: dict[str, Any]
    retention: Duration
    publicity: PublicityRule


def draft(session: Session, *, principal: Principal, entry: Entry) -> RecordType:
    """Makes the draft of the entry's next version, or gives it new content. Raises NotForTheCity, InvalidFields.

    Where it may be about natural persons, a field that may not be collected about them is refused by name; one that
    may be with their written consent, unless the entry is by consent (《上海市社会信用条例》第十四条).
    """
    check_city_administrator(principal)
    return _draft(session, entry)


def publish(session: Session, *, principal: Principal, code: str, etag: str, now: datetime) -> RecordType:
    """Puts the draft in force and retires the version before.

    Raises NotForTheCity, RecordTypeNotFound, StaleEtag.
    """
    check_city_administrator(principal)
    check_etag(etag, version=get_type(session, code=code, state=TypeState.DRAFT).revision)
    return _publish(session, code, now)


def retire(session: Session, *, principal: Principal, code: str, etag: str, now: datetime) -> RecordType:
    """Takes the version in force out of it: nothing of the type is taken in any more, what is there stays.

    Raises NotForTheCity, RecordTypeNotFound, StaleEtag.
    """
    check_city_administrator(principal)
    check_etag(etag, version=get_type(session, code=code).revision)
    return _retire(session, code, now)


def seed(session: Session, *, entries: Sequence[Entry], now: datetime) -> int:
    """Publishes the entries whose code the catalogue does not know; gives of how many. Raises InvalidFields."""
    known = set(session.exec(select(RecordType.code)).all())
    new = [entry for entry in entries if entry.code not in known]
    for entry in new:
        _draft(session, entry)
        _publish(session, entry.code, now)
    return len(new)


def _draft(session: Session, entry: Entry) -> RecordType:
    _check(entry)
    try:
        found = get_type(session, code=entry.code, state=TypeState.DRAFT)
    except RecordTypeNotFound:
        newest = session.exec(select(func.max(RecordType.version)).where(RecordType.code == entry.code)).one()
        found = RecordType(code=entry.code, version=(newest or 0) + 1, state=TypeState.DRAFT, **_columns(entry))
    for name, value in _columns(entry).items():
        setattr(found, name, value)
    session.add(found)
    session.flush()
    return found


def _publish(session: Session, code: str, now: datetime) -> RecordType:
    found = get_type(session, code=code, state=TypeState.DRAFT)
    # The first version has none before it.
    with suppress(RecordTypeNotFound):
        _retire(session, code, now)
    found.state, found.published_at = TypeState.PUBLISHED, now
    session.add(found)
    session.flush()
    return found


def _retire(session: Session, code: str, now: datetime) -> RecordType:
    found = get_type(session, code=code)
    found.state, found.retired_at = TypeState.RETIRED, now
    session.add(found)
    session.flush()
    session.info.pop(TYPES_AT_HAND, None)
    return found


def _check(entry: Entry) -> None:
    violations = []
    try:
        check_schema(entry.content_schema)
    except SchemaInvalid:
        zh, en = "不是字段封闭的对象 JSON Schema。", "Not a JSON Schema of an object all of whose fields are named."
        violations.append(Violation("type.content_schema", "json_schema", zh, en))
    if not entry.sources:
        violations.append(Violation("type.sources", "required", "必填。", "Required."))
    if not entry.subject_kinds:
        violations.append(Violation("type.subject_kinds", "required", "必填。", "Required."))
    if entry.openness is not Openness.PUBLIC and entry.publicity is not PublicityRule.NONE:
        zh, en = "不公开的信息不得设定公示规则。", "What is not public has no publicity rule."
        violations.append(Violation("type.publicity", "openness", zh, en))
    if SubjectKind.PERSON in entry.subject_kinds:
        violations.extend(_forbidden(entry))
    if violations:
        raise InvalidFields(violations)


def _forbidden(entry: Entry) -> Sequence[Violation]:
    return [
        Violation(
            f"type.content_schema.{found.path}" if found.path else "type.content_schema",
            "consent" if found.with_consent else "forbidden",
            f"未经自然人书面同意，不得采集其{found.zh}信息。"
            if found.with_consent
            else f"禁止采集自然人的{found.zh}信息。",
            f"Of a natural person, not without written consent: {found.en}."
            if found.with_consent
            else f"May not be collected about natural persons: {found.en}.",
        )
        for found in forbidden_fields(entry.content_schema)
        if not (found.with_consent and entry.by_consent)
    ]


def _columns(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "category": entry.category.value,
        "openness": entry.openness.value,
        "sources": list(entry.sources),
        "subject_kinds": [kind.value for kind in entry.subject_kinds],
        "by_consent": entry.by_consent,
        "content_schema": entry.content_schema,
        "retention_amount": entry.retention.amount,
        "retention_unit": entry.retention.unit.value,
        "publicity": entry.publicity.value,
    }
