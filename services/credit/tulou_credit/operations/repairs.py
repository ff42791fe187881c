"""Requests for repair (信用修复): of the record's subject, to who determined the breach (谁认定谁修复)."""

import uuid
from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime

from sqlmodel import Session, col, select

from tulou_chassis.etags import check_etag
from tulou_chassis.events import emit
from tulou_chassis.principals import Principal
from tulou_chassis.violations import Violation
from tulou_credit.domain.happenings import RepairAccepted, RepairDecided, RepairHappening, RepairSubmitted
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import civil_date
from tulou_credit.domain.repair import (
    FINAL_REPAIR_STATES,
    REPAIR_RULES,
    RepairAction,
    RepairActionNotAllowed,
    RepairClaim,
    RepairDeadline,
    RepairState,
    UnmetCondition,
    next_repair_state,
    repair_deadlines,
    unmet_conditions,
)
from tulou_credit.models import Record, Repair
from tulou_credit.operations import evidence, marks
from tulou_credit.operations.parties import NotCompetent, is_department, is_office, owns, write_history
from tulou_credit.operations.publicity import rules_of
from tulou_credit.operations.records import is_public, known_version
from tulou_credit.proceedings_queries import evidence_of, get_repair, last_false_material
from tulou_credit.queries import RecordNotFound, get_record, get_subject
from tulou_credit.wiring import House


class RepairOpen(Exception):
    """A request for the record is not decided yet."""

    def __init__(self, repair_id: str) -> None:
        super().__init__(repair_id)
        self.repair_id = repair_id


class ConditionsNotMet(Exception):
    """What must be shown for a repair is not; each condition tells which, by which law, and from when time helps."""

    def __init__(self, unmet: tuple[UnmetCondition, ...]) -> None:
        super().__init__(*(each.condition.value for each in unmet))
        self.conditions = tuple(each.condition.value for each in unmet)
        # The first day on which time has met all that time alone can meet.
        self.possible_from = max((each.possible_from.isoformat() for each in unmet if each.possible_from), default="")
        self.violations = tuple(Violation("record_id", each.condition.value, each.zh, each.en) for each in unmet)
        self._unmet = unmet

    @property
    def unmet(self) -> tuple[UnmetCondition, ...]:
        return self._unmet


def conditions(
    session: Session, *, principal: Principal, record_id: str, now: datetime, house: House
) -> tuple[UnmetCondition, ...]:
    """What a request for the caller's record would not meet today; correction, proof and promise are taken as given.

    Raises RecordNotFound for a record of another.
    """
    record = _own_record(session, principal, record_id, house, for_update=False)
    today = civil_date(now)
    return _unmet(session, record, RepairClaim(corrected_on=today, proof=True, promise=True), today, house)


def submit(
    session: Session,
    *,
    principal: Principal,
    record_id: str,
    corrected_on: date,
    promise: bool,
    evidence_ids: Collection[str],
    now: datetime,
    house: House,
) -> Repair:
    """The record's subject asks for repair. `corrected_on` is the day on which the last duty was fulfilled.

    Raises RecordNotFound for a record of another, RepairOpen, ConditionsNotMet, EvidenceNotFound, TooManyFiles.
    """
    record = _own_record(session, principal, record_id, house, for_update=True)
    decided = [state.value for state in (*FINAL_REPAIR_STATES, RepairState.GRANTED)]
    is_open = select(Repair.id).where(Repair.record_id == record_id, col(Repair.state).not_in(decided))
    if before := session.exec(is_open).first():
        raise RepairOpen(before)
    today = civil_date(now)
    claim = RepairClaim(corrected_on=corrected_on, proof=bool(evidence_ids), promise=promise)
    if unmet := _unmet(session, record, claim, today, house):
        raise ConditionsNotMet(unmet)
    repair = Repair(
        id=str(uuid.uuid4()),
        record_id=record_id,
        subject_id=record.subject_id,
        source=record.source,
        filer=principal.subject,
        state=RepairState.SUBMITTED.value,
        corrected_on=corrected_on,
        promise=promise,
        submitted_on=today,
        created_at=now,
        updated_at=now,
    )
    write_history(session, repair, principal=principal, action="SUBMIT", details={}, now=now, house=house)
    session.add(repair)
    session.flush()
    evidence.use(session, principal=principal, evidence_ids=evidence_ids, proceeding_id=repair.id)
    _tell(session, repair, RepairSubmitted)
    return repair


def accept(session: Session, *, principal: Principal, repair_id: str, etag: str, now: datetime, house: House) -> Repair:
    """Takes the request up. Raises RepairNotFound, NotCompetent, StaleEtag, RepairActionNotAllowed."""
    repair = _load(session, principal, repair_id, etag, house)
    repair.accepted_on = civil_date(now)
    _act(session, repair, RepairAction.ACCEPT, principal, now, house)
    _tell(session, repair, RepairAccepted)
    return repair


def decline(
    session: Session, *, principal: Principal, repair_id: str, etag: str, opinion: str, now: datetime, house: House
) -> Repair:
    """Does not take the request up. Raises what `accept` raises."""
    repair = _load(session, principal, repair_id, etag, house)
    repair.opinion, repair.decided_on = masked_text(opinion), civil_date(now)
    _act(session, repair, RepairAction.DECLINE, principal, now, house)
    _tell(session, repair, RepairDecided)
    return repair


def extend(
    session: Session, *, principal: Principal, repair_id: str, etag: str, opinion: str, now: datetime, house: House
) -> Repair:
    """Takes more time to decide, once, where the rules of its submission allow it. Raises what `accept` raises."""
    repair = _load(session, principal, repair_id, etag, house)
    if not REPAIR_RULES.on(repair.submitted_on).rules.extension_days:
        raise RepairActionNotAllowed(RepairState(repair.state), RepairAction.EXTEND)
    repair.opinion, repair.extended = masked_text(opinion), True
    _act(session, repair, RepairAction.EXTEND, principal, now, house)
    return repair


def grant(
    session: Session, *, principal: Principal, repair_id: str, etag: str, opinion: str, now: datetime, house: House
) -> Repair:
    """Grants the repair: from today on the record is neither shown nor used.

    What the request must show is looked at again: records are corrected, and false material is found, meanwhile.
    Raises what `accept` raises, ConditionsNotMet.
    """
    repair = _load(session, principal, repair_id, etag, house)
    repair.opinion = masked_text(opinion)
    repair.decided_on = today = civil_date(now)
    _act(session, repair, RepairAction.GRANT, principal, now, house)
    record = get_record(session, record_id=repair.record_id, for_update=True)
    proof = bool(evidence_of(session, proceeding_ids=[repair.id])[repair.id])
    claim = RepairClaim(corrected_on=repair.corrected_on, proof=proof, promise=repair.promise)
    if unmet := _unmet(session, record, claim, today, house):
        raise ConditionsNotMet(unmet)
    marks.lift(session, record=record, principal=principal, now=now, house=house)
    _tell(session, repair, RepairDecided)
    return repair


def refuse(
    session: Session, *, principal: Principal, repair_id: str, etag: str, opinion: str, now: datetime, house: House
) -> Repair:
    """Refuses the repair. Raises what `accept` raises."""
    repair = _load(session, principal, repair_id, etag, house)
    repair.opinion, repair.decided_on = masked_text(opinion), civil_date(now)
    _act(session, repair, RepairAction.REFUSE, principal, now, house)
    _tell(session, repair, RepairDecided)
    return repair


def withdraw(
    session: Session, *, principal: Principal, repair_id: str, etag: str, now: datetime, house: House
) -> Repair:
    """The subject takes its request back. Raises RepairNotFound, NotCompetent, StaleEtag, RepairActionNotAllowed."""
    repair = get_repair(session, principal=principal, repair_id=repair_id, house=house, for_update=True)
    if not owns(session, principal=principal, subject_id=repair.subject_id, house=house):
        raise NotCompetent
    check_etag(etag, version=repair.version)
    _act(session, repair, RepairAction.WITHDRAW, principal, now, house)
    _tell(session, repair, RepairDecided)
    return repair


def revoke(
    session: Session, *, principal: Principal, repair_id: str, etag: str, opinion: str, now: datetime, house: House
) -> Repair:
    """Takes a grant back, because its material was false: the record counts again, and the subject may ask for no
    repair for some years (domain.repair.false_material_consequences). Raises what `accept` raises."""
    repair = _load(session, principal, repair_id, etag, house)
    repair.opinion, repair.false_material_on = masked_text(opinion), civil_date(now)
    _act(session, repair, RepairAction.REVOKE, principal, now, house)
    record = get_record(session, record_id=repair.record_id, for_update=True)
    marks.restore(session, record=record, principal=principal, now=now, house=house)
    _tell(session, repair, RepairDecided)
    return repair


def deadlines(repair: Repair, *, house: House) -> tuple[RepairDeadline, ...]:
    """The limits of the request's steps that are known by now, those already kept among them."""
    return repair_deadlines(
        submitted_on=repair.submitted_on,
        accepted_on=repair.accepted_on,
        decided_on=repair.decided_on,
        extended=repair.extended,
        calendar=house.calendar,
    )


def _own_record(session: Session, principal: Principal, record_id: str, house: House, *, for_update: bool) -> Record:
    record = get_record(session, record_id=record_id, for_update=for_update)
    if not owns(session, principal=principal, subject_id=record.subject_id, house=house):
        raise RecordNotFound(record_id)
    return record


def _unmet(
    session: Session, record: Record, claim: RepairClaim, today: date, house: House
) -> tuple[UnmetCondition, ...]:
    version = known_version(session, record)
    return unmet_conditions(
        replace(claim, false_material_on=last_false_material(session, subject_id=record.subject_id)),
        rules_of(version, house=house),
        shown=is_public(version.public_from, version.public_until, version.lifted_on, today),
        submitted_on=today,
        calendar=house.calendar,
    )


def _load(session: Session, principal: Principal, repair_id: str, etag: str, house: House) -> Repair:
    """A request that the caller may decide on, if its newest version was read."""
    repair = get_repair(session, principal=principal, repair_id=repair_id, house=house, for_update=True)
    its_own = is_department(principal) and principal.organisation == repair.source
    if not its_own and not is_office(principal, house):
        raise NotCompetent
    check_etag(etag, version=repair.version)
    return repair


def _act(
    session: Session,
    repair: Repair,
    action: RepairAction,
    principal: Principal,
    now: datetime,
    house: House,
) -> None:
    """Moves the request and adds to its history."""
    repair.state = next_repair_state(RepairState(repair.state), action).value
    repair.updated_at = now
    write_history(session, repair, principal=principal, action=action.value, details={}, now=now, house=house)
    session.add(repair)
    session.flush()


def _tell(session: Session, repair: Repair, happening: type[RepairHappening]) -> None:
    subject = get_subject(session, subject_id=repair.subject_id)
    emit(
        session,
        happening(
            repair_id=repair.id,
            record_id=repair.record_id,
            subject_id=subject.id,
            region_code=subject.region_code,
            state=RepairState(repair.state),
        ),
    )
