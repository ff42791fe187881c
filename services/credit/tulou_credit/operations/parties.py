"""Who calls, as the rules about subjects see it: the subject itself, a department, who runs the platform."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from sqlmodel import Session

from tulou_chassis.history import Entry, Head, append
from tulou_chassis.principals import Principal
from tulou_civics.divisions import covers
from tulou_civics.identifiers import InvalidIdentifier, check_credit_code, check_resident_id
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import civil_date
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import Subject
from tulou_credit.operations import subjects
from tulou_credit.queries import get_subject, subject_by_code, subject_by_number
from tulou_credit.wiring import House

CITIZEN: Final = "citizen"
ENTERPRISE: Final = "enterprise"
AUDITOR: Final = "auditor"
ADMIN: Final = "admin"
CITY: Final = "3506"
HANDLERS: Final = frozenset({"clerk", "approver"})
# Whose token names the organisation that they act for.
SENDERS: Final = HANDLERS | {"partner"}
# The document that a citizen's verified number is of, as files name it.
RESIDENT_CARD: Final = "身份证"


class IdentityMissing(Exception):
    """The caller's token tells no verified number, or none that can be right."""


class NotCompetent(Exception):
    """The caller sees it, but it is not for the caller's department to do this."""


class NotForTheCity(Exception):
    """The catalogue and the list of measures are the whole city's: only its administrators write them."""

    def __init__(self, region: str) -> None:
        super().__init__(region)
        self.region = region


class Proceeding(Protocol):
    """A row whose history is chained."""

    id: str
    history_sequence: int
    history_hash: str


def own_subject(session: Session, *, principal: Principal, house: House) -> Subject | None:
    """The subject that the caller is or acts for; None without a verified number, or if nothing is known of it."""
    if credit_code := _credit_code(principal):
        return subject_by_code(session, code=credit_code)
    if number := _resident_number(principal):
        return subject_by_number(session, id_type=RESIDENT_CARD, number=number, house=house)
    return None


def ensure_own_subject(session: Session, *, principal: Principal, now: datetime, house: House) -> Subject:
    """The subject that the caller is or acts for, made if nothing was known of it. Raises IdentityMissing."""
    if known := own_subject(session, principal=principal, house=house):
        return known
    credit_code = _credit_code(principal)
    number = credit_code or _resident_number(principal)
    if not number:
        raise IdentityMissing
    told = subjects.Description(
        kind=SubjectKind.ORGANISATION if credit_code else SubjectKind.PERSON,
        code=number,
        id_type="" if credit_code else RESIDENT_CARD,
        name=masked_text(principal.name, known=() if credit_code else (number,)),
        told_on=civil_date(now),
    )
    made = subjects.put(session, told=told, actor=principal.subject, organisation="", now=now, house=house)
    return get_subject(session, subject_id=made.id)


def owns(session: Session, *, principal: Principal, subject_id: str, house: House) -> bool:
    """Whether the caller is the subject, or acts for it."""
    own = own_subject(session, principal=principal, house=house)
    return own is not None and own.id == subject_id


def asker_of(principal: Principal) -> str:
    """For whom the caller asks: the organisation of staff and partners, the credit code of an enterprise; "" for a
    citizen, whom nobody can authorise here."""
    return _organisation(principal) or _credit_code(principal)


def sender_of(principal: Principal) -> str:
    """The department or partner for which the caller sends. Raises NotCompetent where the token names none."""
    sender = _organisation(principal)
    if not sender:
        raise NotCompetent
    return sender


def is_department(principal: Principal) -> bool:
    """Whether the caller handles matters for a department."""
    return bool(principal.roles & HANDLERS and principal.organisation)


def is_office(principal: Principal, house: House) -> bool:
    """Whether the caller handles matters for the department that runs the platform."""
    return is_department(principal) and principal.organisation == house.office


def check_city_administrator(principal: Principal) -> None:
    """Raises NotForTheCity for administrators of less than the city, and for all others."""
    if ADMIN not in principal.roles or not covers(principal.region, CITY):
        raise NotForTheCity(principal.region)


def write_history(
    session: Session,
    row: Proceeding,
    *,
    principal: Principal,
    action: str,
    details: Mapping[str, Any],
    now: datetime,
    house: House,
) -> None:
    """Adds an entry to the row's history. `details` holds no personal data."""
    actor, organisation = principal.subject, principal.organisation
    entry = Entry(action=action, time=now, actor=actor, organisation=organisation, details=details)
    head = append(session, house.keyring, row.id, Head(row.history_sequence, row.history_hash), entry)
    row.history_sequence, row.history_hash = head.sequence, head.hash


def _organisation(principal: Principal) -> str:
    return principal.organisation if principal.roles & SENDERS else ""


def _credit_code(principal: Principal) -> str:
    try:
        return check_credit_code(principal.identity) if ENTERPRISE in principal.roles else ""
    except InvalidIdentifier:
        return ""


def _resident_number(principal: Principal) -> str:
    try:
        return check_resident_id(principal.identity) if CITIZEN in principal.roles else ""
    except InvalidIdentifier:
        return ""
