"""What proceedings do to a record: the mark of an open objection, the early end of its publicity, and its return."""

from datetime import date, datetime

from sqlmodel import Session

from tulou_chassis.events import emit
from tulou_chassis.principals import Principal
from tulou_credit.domain.happenings import RecordRepaired, RecordRestored
from tulou_credit.domain.records import RecordState, civil_date
from tulou_credit.models import Record, RecordVersion
from tulou_credit.operations import standing
from tulou_credit.operations.content import resealed
from tulou_credit.operations.records import append_version, ids_of, known_version, note, timer_columns
from tulou_credit.queries import get_subject
from tulou_credit.wiring import House


def dispute(
    session: Session, *, record: Record, principal: Principal, disputed: bool, now: datetime, house: House
) -> None:
    """Sets or takes away the mark of an open objection (异议标注). `record` is locked."""
    if record.disputed == disputed:
        return
    record.disputed, record.updated_at = disputed, now
    action = "DISPUTE" if disputed else "UNDISPUTE"
    note(session, record, action, principal.subject, principal.organisation, {}, now, house)
    session.flush()


def lift(session: Session, *, record: Record, principal: Principal, now: datetime, house: House) -> None:
    """Ends the publicity today, because the record is repaired (修复): it is no more shown and no more used.

    `record` is locked. What was lifted or withdrawn before stays as it is.
    """
    was = known_version(session, record)
    if was.lifted_on is not None:
        return
    _replace(session, record, was, civil_date(now), now, house)
    note(session, record, "REPAIR", principal.subject, principal.organisation, {}, now, house)
    session.flush()
    subject = get_subject(session, subject_id=record.subject_id)
    emit(session, RecordRepaired(**ids_of(record, subject)))
    standing.tell(session, record=record, subject_id=subject.id, region_code=subject.region_code, now=now)


def restore(session: Session, *, record: Record, principal: Principal, now: datetime, house: House) -> None:
    """Takes a repair back: the record is public as long as it would have been without.

    `record` is locked. What was withdrawn meanwhile, or was never lifted, stays as it is.
    """
    was = known_version(session, record)
    if was.lifted_on is None or record.state == RecordState.WITHDRAWN:
        return
    _replace(session, record, was, None, now, house)
    note(session, record, "RESTORE", principal.subject, principal.organisation, {}, now, house)
    session.flush()
    subject = get_subject(session, subject_id=record.subject_id)
    emit(session, RecordRestored(**ids_of(record, subject)))
    standing.tell(session, record=record, subject_id=subject.id, region_code=subject.region_code, now=now)


def _replace(
    session: Session, record: Record, was: RecordVersion, lifted_on: date | None, now: datetime, house: House
) -> None:
    number = record.newest + 1
    version = RecordVersion(
        **was.model_dump(exclude={"number", "sealed", "lifted_on", "known_from", "known_to"}),
        number=number,
        sealed=resealed(was, number, house),
        lifted_on=lifted_on,
        known_from=now,
    )
    timer = timer_columns(version.public_until, lifted_on, civil_date(now))
    record.archived_on, record.archive_after = record.archived_on or timer["archived_on"], timer["archive_after"]
    append_version(session, record, was, version, now)
