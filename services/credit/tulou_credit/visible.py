"""What a caller may see of subjects and records; what it may not is as if it were not there."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlmodel import Session, col, select

from tulou_chassis.principals import Principal
from tulou_credit import queries
from tulou_credit.domain.consent import negative_is_visible
from tulou_credit.domain.measures import Standing
from tulou_credit.domain.records import RecordState, civil_date
from tulou_credit.domain.standings import ended_on, standing_of
from tulou_credit.domain.subjects import SubjectKind, name_key
from tulou_credit.models import QueryLog, Record, RecordVersion, Subject
from tulou_credit.operations.parties import AUDITOR, CITIZEN, ENTERPRISE, is_department, owns
from tulou_credit.queries import RecordNotFound, SubjectNotFound
from tulou_credit.wiring import House

MAX_VERSIONS = 200


def get_subject(
    session: Session, *, principal: Principal | None, subject_id: str, house: House
) -> tuple[Subject, bool]:
    """The subject, and whether the caller is it. A natural person to itself only. Raises SubjectNotFound."""
    subject = queries.get_subject(session, subject_id=subject_id)
    own = principal is not None and owns(session, principal=principal, subject_id=subject_id, house=house)
    if subject.kind == SubjectKind.PERSON and not own:
        raise SubjectNotFound(subject_id)
    return subject, own


def find_person(
    session: Session, *, principal: Principal, id_type: str, number: str, name: str, house: House
) -> tuple[Subject, bool]:
    """The natural person of a document whose name fits, and whether the caller is it. A citizen finds itself only.

    Raises SubjectNotFound, whichever of number and name is wrong.
    """
    found = queries.subject_by_number(session, id_type=id_type, number=number, house=house)
    if found is None or found.name_key != name_key(name):
        raise SubjectNotFound("")
    own = owns(session, principal=principal, subject_id=found.id, house=house)
    if principal.roles == {CITIZEN} and not own:
        raise SubjectNotFound("")
    return found, own


def get_record(
    session: Session, *, principal: Principal | None, record_id: str, on: date, house: House
) -> tuple[RecordVersion, Record]:
    """What is known of a record now: to everyone while it is public, else to its subject and its source.

    Raises RecordNotFound.
    """
    record = queries.get_record(session, record_id=record_id)
    version = session.get_one(RecordVersion, (record.id, record.newest))
    if not _is_public(version, on) and not (principal and _has_part(session, principal, record, house)):
        raise RecordNotFound(record_id)
    return version, record


def list_versions(
    session: Session, *, principal: Principal, record_id: str, house: House
) -> tuple[Sequence[RecordVersion], Record]:
    """All that a record ever said, oldest first, the newest MAX_VERSIONS: to its subject, its source and auditors.

    Raises RecordNotFound.
    """
    record = queries.get_record(session, record_id=record_id)
    if AUDITOR not in principal.roles and not _has_part(session, principal, record, house):
        raise RecordNotFound(record_id)
    newest = session.exec(
        select(RecordVersion)
        .where(RecordVersion.record_id == record_id)
        .order_by(col(RecordVersion.number).desc())
        .limit(MAX_VERSIONS)
    ).all()
    return newest[::-1], record


def queried(
    session: Session, *, log: QueryLog, own: bool, on: date, known_at: datetime, limit: int, house: House
) -> Sequence[tuple[RecordVersion, Record]]:
    """The records that an answered query may show, newest decisions first.

    Whatever day others than the subject ask about: none that is repaired or withdrawn by now, which are no more to be
    used (信用修复管理办法), and no negative one after five years from its end (沪信用 art. 35).
    """
    found = queries.as_of(
        session,
        subject_id=log.subject_id,
        on=on,
        known_at=known_at,
        public_only=False,
        limit=limit,
        types=log.record_types,
    )
    return found if own else [each for each in found if _may_be_used(session, *each, civil_date(log.asked_at), house)]


def check_grade_asker(session: Session, *, principal: Principal, subject_id: str, house: House) -> None:
    """An enterprise may ask for its own grade only, other roles for any. Raises SubjectNotFound."""
    if principal.roles == {ENTERPRISE} and not owns(session, principal=principal, subject_id=subject_id, house=house):
        raise SubjectNotFound(subject_id)


def _is_public(version: RecordVersion, on: date) -> bool:
    begun = version.public_from is not None and version.public_from <= on
    over = version.public_until is not None and version.public_until < on
    lifted = version.lifted_on is not None and version.lifted_on <= on
    return begun and not over and not lifted


def _has_part(session: Session, principal: Principal, record: Record, house: House) -> bool:
    sent = is_department(principal) and principal.organisation == record.source
    return sent or owns(session, principal=principal, subject_id=record.subject_id, house=house)


def _may_be_used(session: Session, version: RecordVersion, record: Record, today: date, house: House) -> bool:
    newest = version
    if version.number != record.newest:
        newest = session.get_one(RecordVersion, (record.id, record.newest))
    if record.state != RecordState.CURRENT or (newest.lifted_on is not None and newest.lifted_on <= today):
        return False
    standing = standing_of(version.type_code, severity=version.severity, content=version.content)
    if standing in (None, Standing.GOOD):
        return True
    if version.type_code == "PENALTY":
        ended: date | None = version.decided_on
    else:
        ended = ended_on(version.content) or (version.valid_to and version.valid_to - timedelta(days=1))
    return negative_is_visible(ended_on=ended, on=today, calendar=house.calendar)
