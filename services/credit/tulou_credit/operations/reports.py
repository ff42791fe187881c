"""Reports are made: a snapshot of what may be told to who asks, kept as it was, with a code that anyone can check."""

import hashlib
import json
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlmodel import Session, col, or_, select

from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation
from tulou_civics.identifiers import mask_name
from tulou_credit import queries, visible
from tulou_credit.domain.consent import Basis, free_reports_left
from tulou_credit.domain.records import civil_date
from tulou_credit.domain.reports import CODE_ALPHABET, CODE_LENGTH, ReportKind, masked_content
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.measure_queries import grade_subject
from tulou_credit.models import Authorisation, QueryLog, Record, RecordType, RecordVersion, Report, Subject
from tulou_credit.operations import consent
from tulou_credit.operations.parties import asker_of, own_subject, owns, write_history
from tulou_credit.operations.records import is_public
from tulou_credit.queries import SubjectNotFound
from tulou_credit.wiring import House

MAX_RECORDS: Final = 1000
# Of what the records say: a report is one answer, and clients refuse messages of more than 4 MiB.
MAX_CHARACTERS: Final = 700_000
MAX_QUERIES: Final = 200
_PURPOSE_LENGTH: Final = 64
Rows = Sequence[tuple[RecordVersion, Record]]


def create(
    session: Session, *, principal: Principal, subject_id: str, purpose: str, now: datetime, house: House
) -> Report:
    """A report of a subject, "" is the caller's own: in full to the subject itself, with who asked about it (沪信用
    art. 34); to others what is public, and what an authorisation for the purpose covers, one use of which it takes.

    A natural person without such an authorisation is not found. Of a person's own reports two a year are free. Raises
    SubjectNotFound, InvalidFields, and QueryDenied where the authorisation's last use went to another meanwhile.
    """
    if not 1 <= len(purpose) <= _PURPOSE_LENGTH:
        zh, en = f"须为 1 至 {_PURPOSE_LENGTH} 个字符。", f"1 to {_PURPOSE_LENGTH} characters."
        raise InvalidFields([Violation("purpose", "length", zh, en)])
    if not subject_id:
        caller = own_subject(session, principal=principal, house=house)
        subject_id = caller.id if caller else ""
    # Kept from others until the transaction ends, so that of two reports made at once each counts the other.
    subject = session.exec(select(Subject).where(Subject.id == subject_id).with_for_update()).first()
    if subject is None:
        raise SubjectNotFound(subject_id)
    types = queries.list_types(session)
    own = owns(session, principal=principal, subject_id=subject_id, house=house)
    scope = frozenset(each.code for each in types)
    if not own:
        scope &= _scope(session, principal, subject, purpose, now)
    if subject.kind == SubjectKind.PERSON and not scope:
        raise SubjectNotFound(subject_id)
    log = None
    if scope:
        log = consent.open_query(
            session, principal=principal, subject=subject, purpose=purpose, record_types=scope, now=now, house=house
        )
    kind = ReportKind.OWN if own else ReportKind.AUTHORISED if log else ReportKind.PUBLIC
    told = _content(session, subject, types, kind, log, now, house)
    content = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    titles = _titles(types, {each["type_code"] for each in told["records"]})
    report_id, code = str(uuid.uuid4()), "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
    report = Report(
        id=report_id,
        subject_id=subject_id,
        kind=kind,
        purpose=purpose,
        made_by=principal.subject,
        organisation=principal.organisation,
        free_of_charge=kind is ReportKind.OWN and _is_free(session, subject, now),
        query_id=log.id if log else None,
        snapshot=house.keyring.encrypt(
            json.dumps({"content": told, "titles": titles}, ensure_ascii=False),
            context=f"credit_report.snapshot:{report_id}",
        ),
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        code_index=house.keyring.index(code),
        code_sealed=house.keyring.encrypt(code, context=f"credit_report.code:{report_id}"),
        created_at=now,
    )
    details = {"kind": kind.value, "subject_id": subject_id, "sha256": report.sha256}
    write_history(session, report, principal=principal, action="CREATE", details=details, now=now, house=house)
    session.add(report)
    session.flush()
    return report


def _scope(session: Session, principal: Principal, subject: Subject, purpose: str, now: datetime) -> frozenset[str]:
    """What the authorisation covers that an unlimited query for the purpose would use; nothing without one."""
    asker, today = asker_of(principal), civil_date(now)
    if not asker:
        return frozenset()
    left = or_(col(Authorisation.uses_max).is_(None), col(Authorisation.uses) < col(Authorisation.uses_max))
    found = session.exec(
        select(Authorisation)
        .where(
            Authorisation.grantor_id == subject.id,
            Authorisation.grantee == asker,
            Authorisation.purpose == purpose,
            Authorisation.valid_from <= today,
            Authorisation.valid_to >= today,
            col(Authorisation.revoked_at).is_(None),
            left,
        )
        .order_by(col(Authorisation.valid_to), col(Authorisation.id))
    ).first()
    return frozenset(found.scope) if found else frozenset()


def _content(
    session: Session,
    subject: Subject,
    types: Sequence[RecordType],
    kind: ReportKind,
    log: QueryLog | None,
    now: datetime,
    house: House,
) -> dict[str, Any]:
    """As `tulou.credit.v1.ReportContent` has it."""
    today, own = civil_date(now), kind is ReportKind.OWN
    names = [subject.name] if subject.kind == SubjectKind.PERSON and not own else []
    rows = _rows(session, subject, kind, log, now, house)
    type_names = {each.code: each.name for each in types}
    told: dict[str, Any] = {
        "on": today.isoformat(),
        "subject": {
            "name": mask_name(subject.name) if names else subject.name,
            "kind": subject.kind,
            "code": subject.code or "",
            "number_masked": subject.number_masked,
            "representative": subject.representative if own else mask_name(subject.representative),
            "status": subject.status,
            "region_code": subject.region_code,
        },
        "records": [
            {
                "record_id": record.id,
                "type_code": version.type_code,
                "type_name": type_names.get(version.type_code, version.type_code),
                "organ_name": version.organ_name,
                "decided_on": version.decided_on.isoformat(),
                "public": is_public(version.public_from, version.public_until, version.lifted_on, today),
                "public_until": version.public_until.isoformat() if version.public_until else "",
                "disputed": record.disputed,
                "content": version.content if own else masked_content(version.content, names=names),
            }
            for version, record in rows[:MAX_RECORDS]
        ],
    }
    told["records"] = _fitting(told["records"])
    told["truncated"] = len(rows) > len(told["records"])
    if own:
        told["queries"] = _queries(session, subject)
        if subject.kind != SubjectKind.PERSON:
            graded = grade_subject(session, subject_id=subject.id, on=today, house=house)
            told["grade"] = {
                "grade": f"GRADE_{graded.grade}",
                "score": graded.score,
                "model_version": graded.model_version,
            }
    return told


def _fitting(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many of the first as a report holds."""
    characters = 0
    for count, record in enumerate(records):
        characters += len(json.dumps(record["content"], ensure_ascii=False))
        if count and characters > MAX_CHARACTERS:
            return records[:count]
    return records


def _rows(
    session: Session, subject: Subject, kind: ReportKind, log: QueryLog | None, now: datetime, house: House
) -> Rows:
    today, limit = civil_date(now), MAX_RECORDS + 1
    found: dict[str, tuple[RecordVersion, Record]] = {}
    if log is not None:
        own = kind is ReportKind.OWN
        asked = visible.queried(session, log=log, own=own, on=today, known_at=now, limit=limit, house=house)
        found = {record.id: (version, record) for version, record in asked}
    if kind is not ReportKind.OWN:
        shown = queries.as_of(session, subject_id=subject.id, on=today, known_at=now, public_only=True, limit=limit)
        found.update({record.id: (version, record) for version, record in shown})
    return sorted(found.values(), key=lambda row: (row[0].decided_on, row[1].id), reverse=True)[:limit]


def _queries(session: Session, subject: Subject) -> list[dict[str, Any]]:
    asked = session.exec(
        select(QueryLog)
        .where(QueryLog.subject_id == subject.id, QueryLog.basis != Basis.OWN)
        .order_by(col(QueryLog.asked_at).desc(), col(QueryLog.id).desc())
        .limit(MAX_QUERIES)
    ).all()
    return [
        {
            "asker": each.asker,
            "purpose": each.purpose,
            "type_codes": each.record_types,
            "time": each.asked_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for each in asked
    ]


def _titles(types: Sequence[RecordType], codes: Collection[str]) -> dict[str, Mapping[str, str]]:
    """What the fields of the record types are called."""
    return {
        each.code: {name: field.get("title", name) for name, field in each.content_schema.get("properties", {}).items()}
        for each in types
        if each.code in codes
    }


def _is_free(session: Session, subject: Subject, now: datetime) -> bool:
    if subject.kind != SubjectKind.PERSON:
        return False
    made = session.exec(
        select(Report.created_at).where(
            Report.subject_id == subject.id,
            Report.kind == ReportKind.OWN.value,
            col(Report.free_of_charge).is_(True),
        )
    ).all()
    days: list[date] = [civil_date(each) for each in made]
    return free_reports_left(issued_on=days, on=civil_date(now)) > 0
