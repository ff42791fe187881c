"""Authorisations of subjects, and every query for what is not public of them."""

import re
import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlmodel import Session, col, select

from tulou_chassis.etags import check_etag
from tulou_chassis.events import emit
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation
from tulou_credit.domain import consent
from tulou_credit.domain.catalogue import Openness
from tulou_credit.domain.consent import Basis, Lack, Query
from tulou_credit.domain.happenings import AuthorisationGranted, AuthorisationRevoked
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import civil_date
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import Authorisation, QueryLog, RecordType, Subject
from tulou_credit.operations.parties import asker_of, ensure_own_subject, is_department, owns, write_history
from tulou_credit.proceedings_queries import get_authorisation
from tulou_credit.queries import list_types
from tulou_credit.wiring import House

# Of one grantor to one grantee; those that end last are looked at.
_LOOKED_AT: Final = 200
_LAST_DAY: Final = date(2099, 12, 31)


class QueryDenied(Exception):
    """No right to what was asked for. Also raised where there is no such subject, so that nobody learns of it."""

    def __init__(self, lacks: tuple[Lack, ...], uncovered: frozenset[str]) -> None:
        super().__init__(*lacks)
        self.lacks = lacks
        self.uncovered = uncovered


class AlreadyRevoked(Exception):
    """The authorisation was revoked before."""

    def __init__(self, authorisation_id: str) -> None:
        super().__init__(authorisation_id)
        self.authorisation_id = authorisation_id


def grant(
    session: Session,
    *,
    principal: Principal,
    grantee: str,
    purpose: str,
    scope: frozenset[str],
    valid_from: date,
    valid_to: date,
    uses_max: int | None,
    proof: str,
    channel: str,
    now: datetime,
    house: House,
) -> Authorisation:
    """The caller authorises an organisation to see of it what is not public (沪信用 art. 17), for five years at most.

    `scope` holds codes of record types, `proof` is the SHA-256 of the signed document. Raises IdentityMissing,
    InvalidFields.
    """
    broken = [
        *_term(valid_from, valid_to, civil_date(now), house),
        *_types(scope, list_types(session), field="authorisation.type_codes"),
    ]
    if not grantee:
        broken.append(Violation("authorisation.grantee", "required", "请填写被授权机构。", "Say who is authorised."))
    elif masked_text(grantee) != grantee:
        zh, en = "请填写机构的代码，不得填写个人号码。", "The code of an organisation, not a number of a person."
        broken.append(Violation("authorisation.grantee", "organisation", zh, en))
    if not purpose:
        broken.append(_no_purpose("authorisation.purpose"))
    if uses_max is not None and uses_max < 1:
        broken.append(Violation("authorisation.uses_max", "at_least_1", "使用次数至少为 1。", "At least one use."))
    if not re.fullmatch("[0-9a-f]{64}", proof):
        broken.append(
            Violation("authorisation.proof", "sha256", "应为文件的 SHA-256 值。", "Its SHA-256, hexadecimal.")
        )
    if broken:
        raise InvalidFields(broken)
    grantor = ensure_own_subject(session, principal=principal, now=now, house=house)
    authorisation = Authorisation(
        id=str(uuid.uuid4()),
        grantor_id=grantor.id,
        granted_by=principal.subject,
        grantee=grantee,
        purpose=purpose,
        scope=sorted(scope),
        valid_from=valid_from,
        valid_to=valid_to,
        uses_max=uses_max,
        proof=proof,
        channel=channel,
        created_at=now,
    )
    details = {"grantee": grantee, "purpose": purpose, "scope": sorted(scope)}
    write_history(session, authorisation, principal=principal, action="GRANT", details=details, now=now, house=house)
    session.add(authorisation)
    session.flush()
    emit(session, AuthorisationGranted(authorisation_id=authorisation.id, subject_id=grantor.id))
    return authorisation


def revoke(
    session: Session, *, principal: Principal, authorisation_id: str, etag: str, now: datetime, house: House
) -> Authorisation:
    """Its grantor ends an authorisation; it covers nothing from today on.

    Raises AuthorisationNotFound, StaleEtag, AlreadyRevoked.
    """
    authorisation = get_authorisation(
        session, principal=principal, authorisation_id=authorisation_id, to_change=True, house=house
    )
    check_etag(etag, version=authorisation.version)
    if authorisation.revoked_at is not None:
        raise AlreadyRevoked(authorisation_id)
    authorisation.revoked_at = now
    write_history(session, authorisation, principal=principal, action="REVOKE", details={}, now=now, house=house)
    session.add(authorisation)
    session.flush()
    emit(session, AuthorisationRevoked(authorisation_id=authorisation.id, subject_id=authorisation.grantor_id))
    return authorisation


def open_query(
    session: Session,
    *,
    principal: Principal,
    subject: Subject | None,
    purpose: str,
    record_types: frozenset[str],
    now: datetime,
    house: House,
) -> QueryLog:
    """Decides on a query for what is not public of a subject, counts a use of the authorisation and keeps the query.

    One's own data always; records of internal types of organisations and sole traders to departments; all else by one
    authorisation that covers it. No role is asked for, an administrator's neither. `subject` None is one that is not
    known. What the answer may show is `record_types`, and nothing else. Raises InvalidFields, QueryDenied.
    """
    types = list_types(session)
    broken = _types(record_types, types, field="type_codes")
    own = subject is not None and owns(session, principal=principal, subject_id=subject.id, house=house)
    if not purpose and not own:
        broken.append(_no_purpose("purpose"))
    if broken:
        raise InvalidFields(broken)
    if subject is None:
        raise QueryDenied((Lack.NO_AUTHORISATION,), frozenset())
    basis, authorisation = Basis.OWN, None
    if not own:
        internal = {each.code for each in types if each.openness == Openness.INTERNAL}
        shared = is_department(principal) and subject.kind != SubjectKind.PERSON
        asked = record_types - internal if shared else record_types
        basis = Basis.DEPARTMENT
        if asked:
            basis, authorisation = Basis.AUTHORISATION, _use(session, principal, subject, purpose, asked, now, house)
    log = QueryLog(
        id=str(uuid.uuid4()),
        subject_id=subject.id,
        asker=asker_of(principal),
        actor=principal.subject,
        basis=basis.value,
        authorisation_id=authorisation.id if authorisation else None,
        purpose=purpose,
        record_types=sorted(record_types),
        asked_at=now,
    )
    session.add(log)
    session.flush()
    return log


def _use(
    session: Session,
    principal: Principal,
    subject: Subject,
    purpose: str,
    asked: frozenset[str],
    now: datetime,
    house: House,
) -> Authorisation:
    asker = asker_of(principal)
    if not asker:
        raise QueryDenied((Lack.NO_AUTHORISATION,), frozenset())
    # Locked, so that of two who want the last use one waits and then finds it used up.
    rows = session.exec(
        select(Authorisation)
        .where(Authorisation.grantor_id == subject.id, Authorisation.grantee == asker)
        .order_by(col(Authorisation.valid_to).desc(), col(Authorisation.id))
        .limit(_LOOKED_AT)
        .with_for_update()
    ).all()
    query = Query(asker=asker, subject=subject.id, purpose=purpose, record_types=asked, on=civil_date(now))
    access = consent.access(query, map(_judged, rows))
    if not access.granted:
        raise QueryDenied(access.lacks, access.uncovered)
    used = next(row for row in rows if row.id == access.authorisation_id)
    used.uses += 1
    write_history(session, used, principal=principal, action="USE", details={"uses": used.uses}, now=now, house=house)
    session.add(used)
    session.flush()
    return used


def _judged(row: Authorisation) -> consent.Authorisation:
    return consent.Authorisation(
        authorisation_id=row.id,
        grantor=row.grantor_id,
        grantee=row.grantee,
        purpose=row.purpose,
        scope=frozenset(row.scope),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        proof=row.proof,
        uses_max=row.uses_max,
        uses=row.uses,
        revoked_on=row.revoked_at and civil_date(row.revoked_at),
    )


def _term(valid_from: date, valid_to: date, today: date, house: House) -> list[Violation]:
    if valid_from > _LAST_DAY:
        return [Violation("authorisation.valid_from", "range", "不得晚于 2099-12-31。", "Not after 2099-12-31.")]
    if valid_to < valid_from:
        zh, en = "截止日期早于起始日期。", "It ends before it begins."
        return [Violation("authorisation.valid_to", "after_valid_from", zh, en)]
    if valid_to < today:
        return [Violation("authorisation.valid_to", "not_over", "截止日期已过。", "It is over already.")]
    if not consent.ends_in_time(valid_from=valid_from, valid_to=valid_to, calendar=house.calendar):
        return [Violation("authorisation.valid_to", "at_most_5_years", "授权期限最长 5 年。", "Five years at most.")]
    return []


def _types(codes: frozenset[str], known: Sequence[RecordType], *, field: str) -> list[Violation]:
    if not codes:
        return [Violation(field, "required", "请至少选择一类信息。", "At least one record type.")]
    if unknown := codes - {each.code for each in known}:
        listed = ", ".join(sorted(unknown))
        return [Violation(field, "known_type", f"目录中没有：{listed}。", f"Not in the catalogue: {listed}.")]
    return []


def _no_purpose(field: str) -> Violation:
    return Violation(field, "required", "请填写查询用途。", "Say what the query is for.")
