"""What the credit service reads. Who may ask for what is not public is decided by those who call."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, case, false, func, null, or_, tuple_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tulou_chassis.keyring import Keyring
from tulou_civics.divisions import UnknownDivision, current_code
from tulou_credit.domain.catalogue import TypeState
from tulou_credit.domain.subjects import SubjectKind, SubjectStatus, name_key
from tulou_credit.models import FormerName, Record, RecordType, RecordVersion, Subject
from tulou_credit.wiring import House

# In session.info: published types by code, for the transaction; a chunk of an import is all of one or two.
TYPES_AT_HAND: Final = "credit_types"
# Behind every text that begins with the one before it.
_END = "\U0010ffff"


class SubjectNotFound(Exception):
    """No such subject."""

    def __init__(self, subject_id: str) -> None:
        super().__init__(subject_id)
        self.subject_id = subject_id


class RecordNotFound(Exception):
    """No such record."""

    def __init__(self, record_id: str) -> None:
        super().__init__(record_id)
        self.record_id = record_id


class RecordTypeNotFound(Exception):
    """The catalogue has no such entry, or none in that state."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def number_index(id_type: str, number: str, keyring: Keyring) -> str:
    """What a person's number is found by. Tolerant of full-width characters, spaces and small letters."""
    compact = unicodedata.normalize("NFKC", number).replace(" ", "").upper()
    return keyring.index(f"{id_type}\n{compact}")


def get_subject(session: Session, *, subject_id: str) -> Subject:
    """The subject. Raises SubjectNotFound."""
    subject = session.get(Subject, subject_id)
    if subject is None:
        raise SubjectNotFound(subject_id)
    return subject


def subject_by_code(session: Session, *, code: str) -> Subject | None:
    """The organisation or sole trader of a credit code, which is to be normalised."""
    return session.exec(select(Subject).where(Subject.code == code)).first()


def subject_by_number(session: Session, *, id_type: str, number: str, house: House) -> Subject | None:
    """The person of an identity document, its type as in the files: 身份证, 护照号 …"""
    index = number_index(id_type, number, house.keyring)
    return session.exec(select(Subject).where(Subject.number_index == index)).first()


@dataclass(frozen=True, kw_only=True)
class SubjectFilter:
    """Which organisations and sole traders to list; what is empty does not filter.

    `code` is a credit code as it was typed. `name` is how a name begins, with `anywhere` a part of it, today's or a
    former one; `region_code` takes all that lies in the division.
    """

    code: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    anywhere: bool = False
    region_code: str = ""
    status: SubjectStatus | None = None


def search_subjects(
    session: Session, *, filter: SubjectFilter, after: tuple[str, str] | None, limit: int
) -> Sequence[Subject]:
    """Subjects by today's name, behind `after` (name_key and id of the last one). Natural persons are never listed."""
    key = name_key(filter.name)
    if filter.name and not key:
        return []
    query = _filtered(filter, after).order_by(col(Subject.name_key), col(Subject.id)).limit(limit)
    if not key:
        return session.exec(query).all()
    # Two searches, each along its own index, where one with OR would go along none.
    characters = filter.anywhere and session.get_bind().dialect.name == "postgresql"
    today = session.exec(query.where(*_named(Subject, key, filter.anywhere, characters))).all()
    formerly = select(FormerName.subject_id).where(*_named(FormerName, key, filter.anywhere, characters))
    former = session.exec(query.where(col(Subject.id).in_(formerly))).all()
    found = {subject.id: subject for subject in (*today, *former)}
    return sorted(found.values(), key=lambda subject: (subject.name_key, subject.id))[:limit]


def _filtered(filter: SubjectFilter, after: tuple[str, str] | None) -> SelectOfScalar[Subject]:
    query = select(Subject).where(Subject.kind != SubjectKind.PERSON)
    if filter.code:
        query = query.where(Subject.code == unicodedata.normalize("NFKC", filter.code).replace(" ", "").upper())
    if filter.status is not None:
        query = query.where(Subject.status == filter.status)
    if filter.region_code:
        try:
            code = current_code(filter.region_code)
        except UnknownDivision:
            return query.where(false())
        query = query.where(col(Subject.region_code) >= code, col(Subject.region_code) < f"{code}:")
    if after:
        query = query.where(tuple_(col(Subject.name_key), col(Subject.id)) > tuple_(*after))
    return query


def _named(
    table: type[Subject] | type[FormerName], key: str, anywhere: bool, characters: bool
) -> Sequence[ColumnElement[bool]]:
    column = col(table.name_key)
    if not anywhere:
        # A range and not LIKE, which goes along an index in neither database without more ado.
        return column >= key, column < key + _END
    contains = column.contains(key, autoescape=True)
    if not characters:
        return (contains,)
    # Goes along an index of single characters: of 300,000 names, read in 0.5 s, a few are left to be read. NULL stands
    # in the statement as it does in the index.
    return contains, func.string_to_array(column, null()).op("@>")(func.string_to_array(key, null()))


def former_names(session: Session, *, subject_id: str) -> Sequence[FormerName]:
    """Names the subject bore, oldest first."""
    return session.exec(
        select(FormerName)
        .where(FormerName.subject_id == subject_id)
        .order_by(col(FormerName.valid_from), col(FormerName.id))
    ).all()


def get_record(session: Session, *, record_id: str, for_update: bool = False) -> Record:
    """The record; `for_update` keeps others from writing it until the transaction ends. Raises RecordNotFound."""
    query = select(Record).where(Record.id == record_id)
    record = session.exec(query.with_for_update() if for_update else query).first()
    if record is None:
        raise RecordNotFound(record_id)
    return record


def record_versions(session: Session, *, record_id: str) -> Sequence[RecordVersion]:
    """All that the record ever said, oldest first."""
    return session.exec(
        select(RecordVersion).where(RecordVersion.record_id == record_id).order_by(col(RecordVersion.number))
    ).all()


def as_of(
    session: Session,
    *,
    subject_id: str,
    on: date,
    known_at: datetime,
    public_only: bool,
    limit: int,
    after: tuple[date, str] | None = None,
    types: Collection[str] = (),
) -> Sequence[tuple[RecordVersion, Record]]:
    """What was known at `known_at` about the subject on the day `on`, and of that what was public, in one query.

    Each version with its record, which has the marks of today. Newest decisions first, behind `after` (day of decision
    and record id). With `known_at` after `on`, it is what is known since of that day. `types` are codes of record
    types; none are all.
    """
    query = (
        select(RecordVersion, Record)
        .join(Record, col(Record.id) == RecordVersion.record_id)
        .where(
            RecordVersion.subject_id == subject_id,
            RecordVersion.known_from <= known_at,
            or_(col(RecordVersion.known_to).is_(None), col(RecordVersion.known_to) > known_at),
            RecordVersion.valid_from <= on,
            or_(col(RecordVersion.valid_to).is_(None), col(RecordVersion.valid_to) > on),
        )
    )
    if public_only:
        query = query.where(
            col(RecordVersion.public_from) <= on,
            or_(col(RecordVersion.public_until).is_(None), col(RecordVersion.public_until) >= on),
            or_(col(RecordVersion.lifted_on).is_(None), col(RecordVersion.lifted_on) > on),
        )
    if types:
        query = query.where(col(RecordVersion.type_code).in_(types))
    place = tuple_(col(RecordVersion.decided_on), col(RecordVersion.record_id))
    if after:
        query = query.where(place < tuple_(*after))
    query = query.order_by(col(RecordVersion.decided_on).desc(), col(RecordVersion.record_id).desc())
    return session.exec(query.limit(limit)).all()


@dataclass(frozen=True, kw_only=True)
class Timeliness:
    """How many records came, how many of them in time, and the working days of delay of the latest."""

    records: int
    in_time: int
    latest: int

    @property
    def share(self) -> float:
        """0 to 1; 1 where nothing came."""
        return self.in_time / self.records if self.records else 1.0


def timeliness(session: Session, *, source: str, from_: date, to: date) -> Timeliness:
    """Of the licences and penalties (双公示) that a department sent in the days `from_` to `to`, both included: what
    came within 7 working days of the decision (发改办财金〔2018〕424号)."""
    late = col(Record.days_late)
    records, in_time, latest = session.exec(
        select(
            func.count(col(Record.id)),
            func.coalesce(func.sum(case((late == 0, 1), else_=0)), 0),
            func.coalesce(func.max(late), 0),
        ).where(
            Record.source == source,
            Record.received_on >= from_,
            Record.received_on <= to,
            col(Record.type_code).in_(("LICENCE", "PENALTY")),
        )
    ).one()
    return Timeliness(records=records, in_time=in_time, latest=latest)


def get_type(session: Session, *, code: str, state: TypeState = TypeState.PUBLISHED) -> RecordType:
    """The catalogue's entry: the version in force, or the one in the making. Raises RecordTypeNotFound."""
    found = session.exec(select(RecordType).where(RecordType.code == code, RecordType.state == state)).first()
    if found is None:
        raise RecordTypeNotFound(code)
    return found


def list_types(session: Session) -> Sequence[RecordType]:
    """The catalogue in force, by code."""
    query = select(RecordType).where(RecordType.state == TypeState.PUBLISHED)
    return session.exec(query.order_by(col(RecordType.code))).all()
