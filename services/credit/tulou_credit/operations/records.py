"""What is known about subjects: put, superseded, withdrawn, archived. Nothing is ever written over."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlmodel import Session, col, select

from tulou_chassis.events import emit
from tulou_chassis.history import Entry, Head, append
from tulou_civics.rules import NoRuleSet
from tulou_credit.domain import publicity
from tulou_credit.domain.catalogue import Openness, PublicityRule
from tulou_credit.domain.decisions import last_public_day, penalty_field, penalty_kinds
from tulou_credit.domain.happenings import (
    RecordArchived,
    RecordPublished,
    RecordSuperseded,
    RecordWithdrawn,
)
from tulou_credit.domain.records import Outcome, RecordState, WithdrawalReason, civil_date, days_late
from tulou_credit.intake.rows import Licence, Penalty
from tulou_credit.models import Record, RecordType, RecordVersion, Subject
from tulou_credit.operations import subjects
from tulou_credit.operations.content import content_of, resealed, sealed
from tulou_credit.operations.schemas import check_content
from tulou_credit.queries import get_record, get_subject, get_type
from tulou_credit.wiring import House

TIMER: Final = "timer"
EVERYONE: Final = "*"
# 2099-12-31 is the standard's way to say without end.
_OPEN_END: Final = date(2099, 12, 31)


class SourceNotAllowed(Exception):
    """The catalogue does not let this department send records of the type, or any of such subjects."""

    def __init__(self, type_code: str, source: str) -> None:
        super().__init__(type_code, source)
        self.type_code = type_code
        self.source = source


@dataclass(frozen=True)
class Put:
    """What became of a decision, and the record it is in."""

    outcome: Outcome
    record_id: str


def put(
    session: Session,
    decision: Licence | Penalty,
    *,
    source: str,
    origin: str,
    now: datetime,
    house: House,
) -> Put:
    """Takes a decision in. Any content of it that was known before changes nothing; other content supersedes.

    `source` is the department's code, `origin` the import's id and row (64 characters at most). What is withdrawn or
    lifted stays so in a correction. Nothing is written when it raises one of RecordTypeNotFound, SourceNotAllowed,
    ContentNotAllowed: the row may go to quarantine and the transaction on. IntegrityError, StaleDataError and
    OperationalError mean that another transaction put the same: the whole transaction is to be run again.
    """
    key = house.keyring.index(json.dumps(decision.natural_key, ensure_ascii=False))
    # Keyed too: all else of a content is public, so that a plain hash would tell the number to who tries them all.
    content_hash = house.keyring.index(decision.content_hash)
    record = session.exec(select(Record).where(Record.natural_key == key).with_for_update()).first()
    if record is not None and _is_known(session, record, content_hash):
        return Put(Outcome.UNCHANGED, record.id)
    entry = _type(session, decision, source)
    content, in_clear = content_of(decision)
    check_content(entry.code, entry.content_schema, content)
    subject = subjects.put(
        session, told=_description(decision), actor=origin, organisation=source, now=now, house=house
    )
    record_id = record.id if record else str(uuid.uuid4())
    number = record.newest + 1 if record else 1
    version = RecordVersion(
        record_id=record_id,
        number=number,
        subject_id=subject.id,
        type_code=entry.code,
        type_version=entry.version,
        content_hash=content_hash,
        content=content,
        sealed=sealed(in_clear, record_id, number, house),
        organ_code=decision.organ_code,
        organ_name=decision.organ,
        decided_on=decision.decided_on,
        valid_from=decision.decided_on,
        valid_to=_valid_to(decision),
        source=source,
        origin=origin,
        known_from=now,
        **_publicity(decision, entry, house),
    )
    if record is None:
        return _create(session, decision, version, key, subject, now, house)
    return _supersede(session, record, version, subject, now, house)


def withdraw(session: Session, *, record_id: str, reason: WithdrawalReason, now: datetime, house: House) -> None:
    """Takes a record out of public sight, because its decision does not stand (within 3 working days: 行政处罚法 art.
    48). Of a withdrawn one nothing changes. Raises RecordNotFound."""
    record = get_record(session, record_id=record_id, for_update=True)
    if record.state == RecordState.WITHDRAWN:
        return
    was = _known(session, record)
    lifted_on = min(was.lifted_on or date.max, civil_date(now))
    version = RecordVersion(
        **was.model_dump(exclude={"number", "sealed", "lifted_on", "known_from", "known_to"}),
        number=record.newest + 1,
        sealed=resealed(was, record.newest + 1, house),
        lifted_on=lifted_on,
        known_from=now,
    )
    record.state = RecordState.WITHDRAWN
    record.archive_after = None
    _append_version(session, record, was, version, now)
    _record(session, record, "WITHDRAW", "", record.source, {"reason": reason.value}, now, house)
    session.flush()
    if was.public_from is not None:
        subject = get_subject(session, subject_id=record.subject_id)
        emit(session, RecordWithdrawn(**_ids(record, subject), reason=reason))


def archive_due(session: Session, *, now: datetime, limit: int, house: House) -> int:
    """Ends the publicity of records whose last public day is over; gives of how many, `limit` at most."""
    today = civil_date(now)
    due = session.exec(
        select(Record, Subject)
        .join(Subject, col(Subject.id) == Record.subject_id)
        .where(col(Record.archive_after) < today)
        .order_by(col(Record.archive_after), col(Record.id))
        .limit(limit)
        .with_for_update(of=Record, skip_locked=True)
    ).all()
    for record, subject in due:
        record.archive_after, record.archived_on, record.updated_at = None, today, now
        _record(session, record, "ARCHIVE", TIMER, "", {}, now, house)
        session.add(record)
        emit(session, RecordArchived(**_ids(record, subject)))
    session.flush()
    return len(due)


def _is_known(session: Session, record: Record, content_hash: str) -> bool:
    """Also what was superseded: a file that is sent again must not undo corrections that came after it."""
    if record.content_hash == content_hash:
        return True
    query = select(RecordVersion.number).where(
        RecordVersion.record_id == record.id, RecordVersion.content_hash == content_hash
    )
    return session.exec(query.limit(1)).first() is not None


def _type(session: Session, decision: Licence | Penalty, source: str) -> RecordType:
    # Kept for the transaction: a chunk of an import is all of one type or two.
    types: dict[str, RecordType] = session.info.setdefault("credit_types", {})
    code = decision.kind.value
    if code not in types:
        types[code] = get_type(session, code=code)
    entry = types[code]
    if not {source, EVERYONE} & set(entry.sources) or decision.subject_kind.value not in entry.subject_kinds:
        raise SourceNotAllowed(entry.code, source)
    return entry


def _description(decision: Licence | Penalty) -> subjects.Description:
    return subjects.Description(
        kind=decision.subject_kind,
        code=decision.subject_code,
        id_type=decision.id_type,
        name=decision.subject_name,
        representative=decision.representative,
        representative_id_type=decision.representative_id_type,
        representative_id=decision.representative_id,
        told_on=decision.decided_on,
    )


def _valid_to(decision: Licence | Penalty) -> date | None:
    """The first day on which it is not so any more. That a penalty was given stays true for ever."""
    if isinstance(decision, Penalty) or decision.valid_to is None or decision.valid_to >= _OPEN_END:
        return None
    return decision.valid_to + timedelta(days=1)


def _publicity(decision: Licence | Penalty, entry: RecordType, house: House) -> dict[str, Any]:
    """The columns that say from when to when it is public."""
    shown = entry.openness == Openness.PUBLIC
    if entry.publicity == PublicityRule.PENALTY and isinstance(decision, Penalty):
        return _penalty_publicity(decision, shown, house)
    if not shown or entry.publicity != PublicityRule.VALIDITY:
        return {}
    valid_to = _valid_to(decision)
    return {
        "public_from": decision.decided_on,
        "public_until": None if valid_to is None else valid_to - timedelta(days=1),
    }


def _penalty_publicity(decision: Penalty, shown: bool, house: House) -> dict[str, Any]:
    penalty = publicity.Penalty(
        decided_on=decision.decided_on,
        kinds=penalty_kinds(decision.categories, content=decision.content),
        field=penalty_field(decision.legal_basis),
        # Who sends an end of publicity with a minor one finds that it needs publishing.
        publish_minor=decision.public_until is not None,
    )
    try:
        rules = publicity.publicity(penalty, calendar=house.calendar)
    except NoRuleSet:
        # Decided before there were rules: not published, for nothing would say for how long.
        return {}
    columns: dict[str, Any] = {"severity": rules.severity.value, "rule_set": rules.rule_set}
    if not (shown and rules.published):
        return columns
    return {
        **columns,
        "minimum_end": rules.minimum_end,
        "public_from": decision.decided_on,
        "public_until": last_public_day(rules, told=decision.public_until),
    }


def _create(
    session: Session,
    decision: Licence | Penalty,
    version: RecordVersion,
    key: str,
    subject: Subject,
    now: datetime,
    house: House,
) -> Put:
    today = civil_date(now)
    record = Record(
        id=version.record_id,
        subject_id=subject.id,
        type_code=version.type_code,
        natural_key=key,
        content_hash=version.content_hash,
        state=RecordState.CURRENT,
        source=version.source,
        received_on=today,
        days_late=days_late(decided_on=decision.decided_on, received_on=today, calendar=house.calendar),
        newest=1,
        created_at=now,
        updated_at=now,
    )
    _set_timer(record, version, today)
    _record(session, record, "CREATE", version.origin, version.source, {"version": 1}, now, house)
    session.add(record)
    session.flush()
    session.add(version)
    session.flush()
    if _is_public(version, today):
        emit(session, RecordPublished(**_ids(record, subject)))
    return Put(Outcome.CREATED, record.id)


def _supersede(
    session: Session, record: Record, version: RecordVersion, subject: Subject, now: datetime, house: House
) -> Put:
    today = civil_date(now)
    was = _known(session, record)
    # A decision that was withdrawn, or lifted by repair, does not come back by being sent with another word in it.
    version.lifted_on = was.lifted_on
    record.content_hash = version.content_hash
    _set_timer(record, version, today)
    _append_version(session, record, was, version, now)
    details = {"version": version.number}
    _record(session, record, "SUPERSEDE", version.origin, version.source, details, now, house)
    session.flush()
    if _is_public(was, today) or _is_public(version, today):
        emit(session, RecordSuperseded(**_ids(record, subject)))
    return Put(Outcome.SUPERSEDED, record.id)


def _known(session: Session, record: Record) -> RecordVersion:
    """What is known of the record today."""
    return session.get_one(RecordVersion, (record.id, record.newest))


def _append_version(
    session: Session, record: Record, was: RecordVersion, version: RecordVersion, now: datetime
) -> None:
    was.known_to = now
    record.newest = version.number
    record.updated_at = now
    session.add(was)
    # The index allows one version that is known, so the old one must be closed first.
    session.flush()
    session.add(version)


def _set_timer(record: Record, version: RecordVersion, today: date) -> None:
    """Lets the timer wait for the end of publicity; what came after it is archived as it comes."""
    end = version.public_until
    over = end is not None and end < today
    record.archived_on = (record.archived_on or today) if over else None
    record.archive_after = None if over or version.lifted_on else end


def _is_public(version: RecordVersion, today: date) -> bool:
    begun = version.public_from is not None and version.public_from <= today
    over = version.public_until is not None and version.public_until < today
    return begun and not over and (version.lifted_on is None or version.lifted_on > today)


def _ids(record: Record, subject: Subject) -> dict[str, str]:
    return {
        "record_id": record.id,
        "subject_id": subject.id,
        "type_code": record.type_code,
        "region_code": subject.region_code,
    }


def _record(
    session: Session,
    record: Record,
    action: str,
    actor: str,
    organisation: str,
    details: Mapping[str, Any],
    now: datetime,
    house: House,
) -> None:
    """Adds an entry to the record's history."""
    head = append(
        session,
        house.keyring,
        record.id,
        Head(record.history_sequence, record.history_hash),
        Entry(action=action, time=now, actor=actor, organisation=organisation, details=details),
    )
    record.history_sequence, record.history_hash = head.sequence, head.hash
    session.add(record)
