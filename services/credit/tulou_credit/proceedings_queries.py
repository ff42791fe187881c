"""What is read of authorisations, queries, evidence, objections and repairs. Who sees which rows is decided here."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, false, func, or_, true, tuple_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tulou_chassis.principals import Principal
from tulou_credit.domain.objection import ObjectionState
from tulou_credit.domain.repair import RepairState
from tulou_credit.models import Authorisation, Evidence, Objection, QueryLog, Repair
from tulou_credit.operations.parties import AUDITOR, asker_of, is_department, is_office, own_subject
from tulou_credit.queries import SubjectNotFound
from tulou_credit.wiring import House

T = TypeVar("T")
Place = tuple[datetime, str]
"""Of the last row of a page: its time and id."""


class AuthorisationNotFound(Exception):
    """No such authorisation, or not one the caller may see, or not one it may change."""

    def __init__(self, authorisation_id: str) -> None:
        super().__init__(authorisation_id)
        self.authorisation_id = authorisation_id


class EvidenceNotFound(Exception):
    """No such file, or not one the caller may see, or not one it may use."""

    def __init__(self, evidence_id: str) -> None:
        super().__init__(evidence_id)
        self.evidence_id = evidence_id


class ObjectionNotFound(Exception):
    """No such objection, or not one the caller may see."""

    def __init__(self, objection_id: str) -> None:
        super().__init__(objection_id)
        self.objection_id = objection_id


class RepairNotFound(Exception):
    """No such request for repair, or not one the caller may see."""

    def __init__(self, repair_id: str) -> None:
        super().__init__(repair_id)
        self.repair_id = repair_id


def get_authorisation(
    session: Session, *, principal: Principal, authorisation_id: str, house: House, to_change: bool = False
) -> Authorisation:
    """An authorisation that the caller granted or was granted. Raises AuthorisationNotFound.

    `to_change` only what it granted, and keeps others from writing it until the transaction ends.
    """
    query = select(Authorisation).where(Authorisation.id == authorisation_id)
    found = session.exec(query.with_for_update() if to_change else query).first()
    if found is not None:
        own = own_subject(session, principal=principal, house=house)
        if own is not None and own.id == found.grantor_id:
            return found
        if not to_change and found.grantee == asker_of(principal):
            return found
    raise AuthorisationNotFound(authorisation_id)


def list_authorisations(
    session: Session, *, principal: Principal, as_grantee: bool, after: Place | None, limit: int, house: House
) -> Sequence[Authorisation]:
    """What the caller granted, or with `as_grantee` was granted, newest first, behind `after` (created_at and id)."""
    if as_grantee:
        asker = asker_of(principal)
        # A citizen asks for nobody: no row has an empty grantee.
        query = select(Authorisation).where(Authorisation.grantee == asker)
    else:
        own = own_subject(session, principal=principal, house=house)
        if own is None:
            return []
        query = select(Authorisation).where(Authorisation.grantor_id == own.id)
    return _page(session, query, col(Authorisation.created_at), col(Authorisation.id), after, limit)


def list_queries(
    session: Session, *, principal: Principal, subject_id: str | None, after: Place | None, limit: int, house: House
) -> Sequence[QueryLog]:
    """Who asked for what is not public, newest first, behind `after` (asked_at and id).

    About the caller itself; an auditor sees all of the subject, and with None all there is. Raises SubjectNotFound.
    """
    query = select(QueryLog)
    if AUDITOR not in principal.roles:
        own = own_subject(session, principal=principal, house=house)
        if subject_id not in (None, own and own.id):
            raise SubjectNotFound(subject_id or "")
        if own is None:
            return []
        subject_id = own.id
    if subject_id is not None:
        query = query.where(QueryLog.subject_id == subject_id)
    return _page(session, query, col(QueryLog.asked_at), col(QueryLog.id), after, limit)


def get_objection(
    session: Session, *, principal: Principal, objection_id: str, house: House, for_update: bool = False
) -> Objection:
    """An objection: to its subject, the office, auditors, and the record's department since it was forwarded.

    `for_update` keeps others from writing it until the transaction ends. Raises ObjectionNotFound.
    """
    query = select(Objection).where(Objection.id == objection_id, _visible(session, Objection, principal, house))
    found = session.exec(query.with_for_update() if for_update else query).first()
    if found is None:
        raise ObjectionNotFound(objection_id)
    return found


def list_objections(
    session: Session,
    *,
    principal: Principal,
    state: ObjectionState | None,
    record_id: str | None,
    after: Place | None,
    limit: int,
    house: House,
) -> Sequence[Objection]:
    """Objections that the caller may see, newest first, behind `after` (created_at and id); None does not filter."""
    query = select(Objection).where(_visible(session, Objection, principal, house))
    if state is not None:
        query = query.where(Objection.state == state.value)
    if record_id is not None:
        query = query.where(Objection.record_id == record_id)
    return _page(session, query, col(Objection.created_at), col(Objection.id), after, limit)


def get_repair(
    session: Session, *, principal: Principal, repair_id: str, house: House, for_update: bool = False
) -> Repair:
    """A request for repair: to its subject, the record's department, the office, and auditors.

    `for_update` keeps others from writing it until the transaction ends. Raises RepairNotFound.
    """
    query = select(Repair).where(Repair.id == repair_id, _visible(session, Repair, principal, house))
    found = session.exec(query.with_for_update() if for_update else query).first()
    if found is None:
        raise RepairNotFound(repair_id)
    return found


def list_repairs(
    session: Session,
    *,
    principal: Principal,
    state: RepairState | None,
    record_id: str | None,
    after: Place | None,
    limit: int,
    house: House,
) -> Sequence[Repair]:
    """Requests that the caller may see, newest first, behind `after` (created_at and id); None does not filter."""
    query = select(Repair).where(_visible(session, Repair, principal, house))
    if state is not None:
        query = query.where(Repair.state == state.value)
    if record_id is not None:
        query = query.where(Repair.record_id == record_id)
    return _page(session, query, col(Repair.created_at), col(Repair.id), after, limit)


def last_false_material(session: Session, *, subject_id: str) -> date | None:
    """The day on which the subject was last found to have given false material."""
    return session.exec(select(func.max(Repair.false_material_on)).where(Repair.subject_id == subject_id)).one()


def get_evidence(session: Session, *, principal: Principal, evidence_id: str, house: House) -> Evidence:
    """A file: to who brought it, and to who may see the proceeding that it belongs to. Raises EvidenceNotFound."""
    found = session.get(Evidence, evidence_id)
    if found is None:
        raise EvidenceNotFound(evidence_id)
    if found.owner == principal.subject:
        return found
    if found.proceeding_id is not None:
        for table in (Objection, Repair):
            query = select(table.id).where(table.id == found.proceeding_id, _visible(session, table, principal, house))
            if session.exec(query).first() is not None:
                return found
    raise EvidenceNotFound(evidence_id)


def evidence_of(session: Session, *, proceeding_ids: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Ids of the files of proceedings, by the proceeding's id; who asks may see these proceedings."""
    rows = session.exec(
        select(Evidence.proceeding_id, Evidence.id)
        .where(col(Evidence.proceeding_id).in_(proceeding_ids))
        .order_by(col(Evidence.created_at), col(Evidence.id))
    ).all()
    return {each: [row_id for belongs, row_id in rows if belongs == each] for each in proceeding_ids}


def _visible(
    session: Session, table: type[Objection] | type[Repair], principal: Principal, house: House
) -> ColumnElement[bool]:
    if AUDITOR in principal.roles or is_office(principal, house):
        return true()
    rules: list[ColumnElement[bool]] = [false()]
    if is_department(principal):
        sent = col(table.source) == principal.organisation
        # Until then it is the platform's own matter.
        rules.append(and_(sent, col(table.forwarded_on).is_not(None)) if table is Objection else sent)
    own = own_subject(session, principal=principal, house=house)
    if own is not None:
        rules.append(col(table.subject_id) == own.id)
    return or_(*rules)


def _page(
    session: Session, query: SelectOfScalar[T], time: Any, row_id: Any, after: Place | None, limit: int
) -> Sequence[T]:
    if after:
        query = query.where(tuple_(time, row_id) < tuple_(*after))
    return session.exec(query.order_by(time.desc(), row_id.desc()).limit(limit)).all()
