"""What is read of authorisations, queries, objections and repairs. Who sees which rows is decided here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import tuple_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tulou_chassis.principals import Principal
from tulou_credit.models import Authorisation, QueryLog
from tulou_credit.operations.parties import AUDITOR, asker_of, own_subject
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


def _page(
    session: Session, query: SelectOfScalar[T], time: Any, row_id: Any, after: Place | None, limit: int
) -> Sequence[T]:
    if after:
        query = query.where(tuple_(time, row_id) < tuple_(*after))
    return session.exec(query.order_by(time.desc(), row_id.desc()).limit(limit)).all()
