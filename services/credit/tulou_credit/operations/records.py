"""What is known about subjects: put, superseded, withdrawn, archived. Nothing is ever written over."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import bindparam, insert
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from tulou_chassis.events import emit
from tulou_chassis.history import Entry, Head, append
from tulou_chassis.hot import Hot
from tulou_credit.domain.entries import Entry as Told
from tulou_credit.domain.happenings import (
    RecordArchived,
    RecordPublished,
    RecordSuperseded,
    RecordWithdrawn,
)
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import Outcome, RecordState, WithdrawalReason, civil_date, days_late
from tulou_credit.intake.rows import Licence, Penalty
from tulou_credit.models import Record, RecordType, RecordVersion, Subject
from tulou_credit.operations import batch, standing, subjects
from tulou_credit.operations.content import content_of, resealed, sealed
from tulou_credit.operations.publicity import publicity_of, valid_to_of
from tulou_credit.operations.schemas import check_content
from tulou_credit.queries import TYPES_AT_HAND, get_record, get_subject, get_type
from tulou_credit.wiring import House

TIMER: Final = "timer"
EVERYONE: Final = "*"
_RECORDS: Final = Record.__table__  # type: ignore[attr-defined]
# All that nearly every row of an import needs: measured, four times as many a second as through the ORM.
_FOUND: Final = select_columns(_RECORDS.c.id, _RECORDS.c.content_hash)
_FIND: Final = Hot(_FOUND.where(_RECORDS.c.natural_key == bindparam("key")))
_INSERT: Final = Hot(insert(_RECORDS))
_INSERT_VERSION: Final = Hot(insert(RecordVersion.__table__))  # type: ignore[attr-defined]


class SourceNotAllowed(Exception):
    """The catalogue does not let this department send records of the type, or any of such subjects; or another one
    sent the record, and only that may correct it."""

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
    decision: Licence | Penalty | Told,
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
    key = _key(decision, source, house)
    # Keyed too: all else of a content is public, so that a plain hash would tell the number to who tries them all.
    content_hash = house.keyring.index(decision.content_hash)
    found = _find(session, key)
    if found and _is_known(session, found, content_hash):
        return Put(Outcome.UNCHANGED, found.id)
    record = get_record(session, record_id=found.id, for_update=True) if found else None
    if record and (record.state == RecordState.FORGOTTEN or _is_known(session, record, content_hash)):
        # What is forgotten stays so; or another transaction put it while this one waited for the row.
        return Put(Outcome.UNCHANGED, record.id)
    entry = type_in_force(session, code=_type_code(decision))
    if not {source, EVERYONE} & set(entry.sources) or decision.subject_kind.value not in entry.subject_kinds:
        raise SourceNotAllowed(entry.code, source)
    if record and record.source != source:
        raise SourceNotAllowed(entry.code, source)
    content, in_clear = content_of(decision)
    check_content(entry.code, entry.content_schema, content)
    subject = subjects.put(
        session, told=_description(decision, content), actor=origin, organisation=source, now=now, house=house
    )
    record_id = record.id if record else str(uuid.uuid4())
    number = record.newest + 1 if record else 1
    version = {
        "record_id": record_id,
        "number": number,
        "subject_id": subject.id,
        "type_code": entry.code,
        "type_version": entry.version,
        "content_hash": content_hash,
        "content": content,
        "sealed": sealed(in_clear, record_id, number, house),
        # Where an entry has no organ, it is who sent it.
        "organ_code": "" if isinstance(decision, Told) else decision.organ_code,
        "organ_name": content.get("organ") or masked_text(decision.organ) or source,
        "decided_on": decision.decided_on,
        "valid_from": decision.decided_on,
        "valid_to": valid_to_of(decision),
        **publicity_of(decision, entry, house),
        # A decision that was withdrawn, or lifted by repair, does not come back by being sent with another word in it.
        "lifted_on": known_version(session, record).lifted_on if record else None,
        "source": source,
        "origin": origin,
        "known_from": now,
        "known_to": None,
    }
    if record is None:
        return _create(session, decision, version, key, subject, now, house)
    return _supersede(session, decision, record, RecordVersion(**version), subject, now, house)


def read_ahead(session: Session, decisions: Sequence[Licence | Penalty], *, source: str, house: House) -> None:
    """For the rest of the transaction: what `put` asks of these decisions is read at once, what it adds written so."""
    batch.begin(session)
    batch.read(session, _FOUND, _RECORDS.c.natural_key, [_key(each, source, house) for each in decisions])
    subjects.read_ahead(session, decisions, house=house)


def withdraw(session: Session, *, record_id: str, reason: WithdrawalReason, now: datetime, house: House) -> None:
    """Takes a record out of public sight, because its decision does not stand (within 3 working days: 行政处罚法 art.
    48). Of a withdrawn or forgotten one nothing changes. Raises RecordNotFound."""
    record = get_record(session, record_id=record_id, for_update=True)
    if record.state != RecordState.CURRENT:
        return
    was = known_version(session, record)
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
    append_version(session, record, was, version, now)
    note(session, record, "WITHDRAW", "", record.source, {"reason": reason.value}, now, house)
    session.flush()
    if was.public_from is not None:
        subject = get_subject(session, subject_id=record.subject_id)
        emit(session, RecordWithdrawn(**ids_of(record, subject), reason=reason))
        standing.tell(session, record=record, subject_id=subject.id, region_code=subject.region_code, now=now)


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
        note(session, record, "ARCHIVE", TIMER, "", {}, now, house)
        session.add(record)
        emit(session, RecordArchived(**ids_of(record, subject)))
        standing.tell(session, record=record, subject_id=subject.id, region_code=subject.region_code, now=now)
    session.flush()
    return len(due)


def type_in_force(session: Session, *, code: str) -> RecordType:
    """The catalogue's entry, read once a transaction. Raises RecordTypeNotFound."""
    types: dict[str, RecordType] = session.info.setdefault(TYPES_AT_HAND, {})
    if code not in types:
        types[code] = get_type(session, code=code)
    return types[code]


def _type_code(decision: Licence | Penalty | Told) -> str:
    return decision.type_code if isinstance(decision, Told) else decision.kind.value


def _natural_key(decision: Licence | Penalty | Told, source: str) -> tuple[str, ...]:
    """Holds a person's number in clear."""
    if isinstance(decision, Told):
        return decision.type_code, source, decision.source_key, decision.subject_code
    return decision.natural_key


def _key(decision: Licence | Penalty | Told, source: str, house: House) -> str:
    return house.keyring.index(json.dumps(_natural_key(decision, source), ensure_ascii=False))


def _find(session: Session, key: str) -> Any:
    """Id and content hash of the record, None if there is none."""
    try:
        return batch.take(session, _RECORDS.c.natural_key, key)
    except batch.NotAhead:
        # It may be one of the rows that wait: a file can tell of a decision twice.
        batch.catch_up(session)
        return next(iter(_FIND.run(session, {"key": key})), None)


def _details(decision: Licence | Penalty | Told, number: int) -> dict[str, Any]:
    proof = decision.consent_proof if isinstance(decision, Told) else ""
    return {"version": number, "consent_proof": proof} if proof else {"version": number}


def _is_known(session: Session, record: Any, content_hash: str) -> bool:
    """Also what was superseded: a file that is sent again must not undo corrections that came after it."""
    if record.content_hash == content_hash:
        return True
    query = select(RecordVersion.number).where(
        RecordVersion.record_id == record.id, RecordVersion.content_hash == content_hash
    )
    return session.exec(query.limit(1)).first() is not None


def _description(decision: Licence | Penalty | Told, content: Mapping[str, Any]) -> subjects.Description:
    # Names with numbers masked, as they are in the content: people write numbers behind them.
    if isinstance(decision, Told):
        return subjects.Description(
            kind=decision.subject_kind,
            code=decision.subject_code,
            id_type=decision.id_type,
            name=masked_text(decision.subject_name, known=[decision.subject_code] if decision.id_type else []),
            told_on=decision.valid_from,
        )
    return subjects.Description(
        kind=decision.subject_kind,
        code=decision.subject_code,
        id_type=decision.id_type,
        name=content["subject_name"],
        representative=content.get("representative", ""),
        representative_id_type=decision.representative_id_type,
        representative_id=decision.representative_id,
        told_on=decision.decided_on,
    )


def _create(
    session: Session,
    decision: Licence | Penalty | Told,
    version: Mapping[str, Any],
    key: str,
    subject: subjects.Ref,
    now: datetime,
    house: House,
) -> Put:
    today = civil_date(now)
    record_id = version["record_id"]
    entry = Entry(
        action="CREATE",
        time=now,
        actor=version["origin"],
        organisation=version["source"],
        details=_details(decision, 1),
    )
    head = append(session, house.keyring, record_id, Head(), entry)
    record = {
        "id": record_id,
        "subject_id": subject.id,
        "type_code": version["type_code"],
        "natural_key": key,
        "content_hash": version["content_hash"],
        "state": RecordState.CURRENT.value,
        "disputed": False,
        "source": version["source"],
        "received_on": today,
        # The limit is of the double publicity (双公示).
        "days_late": 0
        if isinstance(decision, Told)
        else days_late(decided_on=decision.decided_on, received_on=today, calendar=house.calendar),
        **timer_columns(version["public_until"], None, today),
        "newest": 1,
        "created_at": now,
        "updated_at": now,
        "history_sequence": head.sequence,
        "history_hash": head.hash,
        "version": 1,
    }
    batch.write(session, _INSERT, record)
    batch.write(session, _INSERT_VERSION, version)
    if is_public(version["public_from"], version["public_until"], None, today):
        ids = {"record_id": record_id, "subject_id": subject.id, "type_code": version["type_code"]}
        emit(session, RecordPublished(**ids, region_code=subject.region_code))
        if version["type_code"] == standing.TOLD_OF:
            batch.catch_up(session)
            made = session.get_one(Record, record_id)
            standing.tell(session, record=made, subject_id=subject.id, region_code=subject.region_code, now=now)
    return Put(Outcome.CREATED, record_id)


def _supersede(
    session: Session,
    decision: Licence | Penalty | Told,
    record: Record,
    version: RecordVersion,
    subject: subjects.Ref,
    now: datetime,
    house: House,
) -> Put:
    today = civil_date(now)
    was = known_version(session, record)
    record.content_hash = version.content_hash
    timer = timer_columns(version.public_until, version.lifted_on, today)
    # What was archived before stays archived since then.
    record.archived_on = timer["archived_on"] and (record.archived_on or timer["archived_on"])
    record.archive_after = timer["archive_after"]
    append_version(session, record, was, version, now)
    details = _details(decision, version.number)
    note(session, record, "SUPERSEDE", version.origin, version.source, details, now, house)
    session.flush()
    spans = [(each.public_from, each.public_until, each.lifted_on) for each in (was, version)]
    if any(is_public(*span, today) for span in spans):
        emit(session, RecordSuperseded(**ids_of(record, subject)))
        standing.tell(session, record=record, subject_id=subject.id, region_code=subject.region_code, now=now)
    return Put(Outcome.SUPERSEDED, record.id)


def known_version(session: Session, record: Record) -> RecordVersion:
    """What is known of the record today."""
    return session.get_one(RecordVersion, (record.id, record.newest))


def append_version(session: Session, record: Record, was: RecordVersion, version: RecordVersion, now: datetime) -> None:
    """Closes what was known and makes `version` what is known of the record."""
    was.known_to = now
    record.newest = version.number
    record.updated_at = now
    session.add(was)
    # The index allows one version that is known, so the old one must be closed first.
    session.flush()
    session.add(version)


def timer_columns(public_until: date | None, lifted_on: date | None, today: date) -> dict[str, date | None]:
    """Columns that let the timer wait for the end of publicity; what comes after it is archived as it comes."""
    over = public_until is not None and public_until < today
    waits = not over and lifted_on is None
    return {"archived_on": today if over else None, "archive_after": public_until if waits else None}


def is_public(public_from: date | None, public_until: date | None, lifted_on: date | None, today: date) -> bool:
    """Whether what has these dates is public today."""
    begun = public_from is not None and public_from <= today
    over = public_until is not None and public_until < today
    return begun and not over and (lifted_on is None or lifted_on > today)


def ids_of(record: Record, subject: Subject | subjects.Ref) -> dict[str, str]:
    """What every happening of a record tells."""
    return {
        "record_id": record.id,
        "subject_id": subject.id,
        "type_code": record.type_code,
        "region_code": subject.region_code,
    }


def note(
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
