"""Objections to records (异议): filed by their subjects, decided by the office or by who sent the record."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from tulou_chassis.etags import check_etag
from tulou_chassis.events import emit
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation
from tulou_credit.domain.happenings import (
    ObjectionClosed,
    ObjectionDecided,
    ObjectionFiled,
    ObjectionForwarded,
    ObjectionHappening,
)
from tulou_credit.domain.objection import (
    DISPUTED_STATES,
    FINAL_OBJECTION_STATES,
    ObjectionAction,
    ObjectionDeadline,
    ObjectionState,
    next_objection_state,
    objection_deadlines,
)
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import RecordState, WithdrawalReason, civil_date
from tulou_credit.models import Objection
from tulou_credit.operations import evidence, marks, records
from tulou_credit.operations.parties import NotCompetent, is_department, is_office, owns, write_history
from tulou_credit.proceedings_queries import get_objection
from tulou_credit.queries import RecordNotFound, get_record, get_subject
from tulou_credit.wiring import House


class ObjectionOpen(Exception):
    """An objection to the record is open already."""

    def __init__(self, objection_id: str) -> None:
        super().__init__(objection_id)
        self.objection_id = objection_id


class NotCorrected(Exception):
    """The objection is upheld, and the record says what it said when it was filed."""

    def __init__(self, record_id: str) -> None:
        super().__init__(record_id)
        self.record_id = record_id


def file(
    session: Session,
    *,
    principal: Principal,
    record_id: str,
    reason: str,
    evidence_ids: Collection[str],
    now: datetime,
    house: House,
) -> Objection:
    """The record's subject objects; the record bears the mark at once, though a working day would do (沪信用 art. 36).

    Raises RecordNotFound for a record of another, ObjectionOpen, EvidenceNotFound, TooManyFiles.
    """
    record = get_record(session, record_id=record_id, for_update=True)
    if not owns(session, principal=principal, subject_id=record.subject_id, house=house):
        raise RecordNotFound(record_id)
    final = [state.value for state in FINAL_OBJECTION_STATES]
    is_open = select(Objection.id).where(Objection.record_id == record_id, col(Objection.state).not_in(final))
    if before := session.exec(is_open).first():
        raise ObjectionOpen(before)
    objection = Objection(
        id=str(uuid.uuid4()),
        record_id=record_id,
        subject_id=record.subject_id,
        source=record.source,
        filer=principal.subject,
        reason=masked_text(reason),
        state=ObjectionState.FILED.value,
        content_hash=record.content_hash,
        filed_on=civil_date(now),
        created_at=now,
        updated_at=now,
    )
    write_history(session, objection, principal=principal, action="FILE", details={}, now=now, house=house)
    session.add(objection)
    session.flush()
    evidence.use(session, principal=principal, evidence_ids=evidence_ids, proceeding_id=objection.id)
    _act(session, objection, ObjectionAction.MARK, principal, {}, now, house)
    _tell(session, objection, ObjectionFiled)
    return objection


def forward(
    session: Session, *, principal: Principal, objection_id: str, etag: str, now: datetime, house: House
) -> Objection:
    """The office hands the objection to the department that sent the record.

    Raises ObjectionNotFound, NotCompetent, StaleEtag, ObjectionActionNotAllowed.
    """
    objection = _load(session, principal, objection_id, etag, house)
    if not is_office(principal, house):
        raise NotCompetent
    objection.forwarded_on = civil_date(now)
    _act(session, objection, ObjectionAction.FORWARD, principal, {}, now, house)
    _tell(session, objection, ObjectionForwarded)
    return objection


def decide(
    session: Session,
    *,
    principal: Principal,
    objection_id: str,
    etag: str,
    uphold: bool,
    opinion: str,
    withdraw_record: bool,
    now: datetime,
    house: House,
) -> Objection:
    """Upholds or dismisses: the office what is the platform's own error, the record's department what was forwarded.

    `withdraw_record` takes an upheld record out of sight at once, as sent by mistake; else it waits for a correction.
    Raises ObjectionNotFound, InvalidFields, NotCompetent, StaleEtag, ObjectionActionNotAllowed.
    """
    if withdraw_record and not uphold:
        raise InvalidFields(
            [Violation("withdraw_record", "upheld", "异议成立才能撤下信息。", "Only where it is upheld.")]
        )
    objection = _load(session, principal, objection_id, etag, house)
    action = ObjectionAction.UPHOLD if uphold else ObjectionAction.DISMISS
    by_provider = objection.state == ObjectionState.FORWARDED
    its_own = is_department(principal) and principal.organisation == objection.source
    if not (its_own if by_provider else is_office(principal, house)):
        raise NotCompetent
    objection.decided_on = civil_date(now)
    objection.platform_error = not by_provider
    objection.opinion = masked_text(opinion)
    objection.record_withdrawn = withdraw_record
    details = {"record_withdrawn": withdraw_record}
    _act(session, objection, action, principal, details, now, house)
    if withdraw_record:
        reason = WithdrawalReason.SENT_BY_MISTAKE
        records.withdraw(session, record_id=objection.record_id, reason=reason, now=now, house=house)
    _tell(session, objection, ObjectionDecided)
    return objection


def close(
    session: Session, *, principal: Principal, objection_id: str, etag: str, now: datetime, house: House
) -> Objection:
    """The office closes what is decided; an upheld one once the record is withdrawn or says something else.

    A correction that came between filing and decision counts too. Raises ObjectionNotFound, NotCompetent, StaleEtag,
    """
    objection = _load(session, principal, objection_id, etag, house)
    if not is_office(principal, house):
        raise NotCompetent
    if objection.state == ObjectionState.UPHELD:
        record = get_record(session, record_id=objection.record_id, for_update=True)
        if record.state != RecordState.WITHDRAWN and record.content_hash == objection.content_hash:
            raise NotCorrected(record.id)
    _act(session, objection, ObjectionAction.CLOSE, principal, {}, now, house)
    _tell(session, objection, ObjectionClosed)
    return objection


def withdraw(
    session: Session, *, principal: Principal, objection_id: str, etag: str, now: datetime, house: House
) -> Objection:
    """The subject takes its objection back.

    Raises ObjectionNotFound, NotCompetent, StaleEtag, ObjectionActionNotAllowed.
    """
    objection = _load(session, principal, objection_id, etag, house)
    if not owns(session, principal=principal, subject_id=objection.subject_id, house=house):
        raise NotCompetent
    _act(session, objection, ObjectionAction.WITHDRAW, principal, {}, now, house)
    _tell(session, objection, ObjectionClosed)
    return objection


def deadlines(objection: Objection, *, house: House) -> tuple[ObjectionDeadline, ...]:
    """The limits of the objection's steps that are known by now, those already kept among them."""
    return objection_deadlines(
        filed_on=objection.filed_on,
        platform_error=objection.platform_error,
        forwarded_on=objection.forwarded_on,
        calendar=house.calendar,
    )


def _load(session: Session, principal: Principal, objection_id: str, etag: str, house: House) -> Objection:
    objection = get_objection(session, principal=principal, objection_id=objection_id, house=house, for_update=True)
    check_etag(etag, version=objection.version)
    return objection


def _act(
    session: Session,
    objection: Objection,
    action: ObjectionAction,
    principal: Principal,
    details: Mapping[str, Any],
    now: datetime,
    house: House,
) -> None:
    """Moves the objection, adds to its history, and lets the record bear the mark as long as the state says."""
    state = next_objection_state(ObjectionState(objection.state), action)
    objection.state, objection.updated_at = state.value, now
    write_history(session, objection, principal=principal, action=action.value, details=details, now=now, house=house)
    session.add(objection)
    session.flush()
    record = get_record(session, record_id=objection.record_id, for_update=True)
    marks.dispute(session, record=record, principal=principal, disputed=state in DISPUTED_STATES, now=now, house=house)


def _tell(session: Session, objection: Objection, happening: type[ObjectionHappening]) -> None:
    subject = get_subject(session, subject_id=objection.subject_id)
    emit(
        session,
        happening(
            objection_id=objection.id,
            record_id=objection.record_id,
            subject_id=subject.id,
            region_code=subject.region_code,
            state=ObjectionState(objection.state),
        ),
    )
