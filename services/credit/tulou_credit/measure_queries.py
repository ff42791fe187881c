"""What moves a subject's standing, and the measures that apply by it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import Text, and_, bindparam, case, cast, or_
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from tulou_chassis.hot import Hot
from tulou_chassis.violations import InvalidFields, Violation
from tulou_credit import domain
from tulou_credit.domain.grades import GradedRecord, GradeModel, Grading, grade, read_grade_model
from tulou_credit.domain.measures import Measure, MeasureKind, Purpose, Standing, StandingRecord, check
from tulou_credit.domain.standings import GRADED, MOVING, ended_on, graded_kind, gravest, standing_of
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import PublishedMeasure, Record, RecordVersion, Repair, Subject
from tulou_credit.numbers import subject_code
from tulou_credit.queries import get_subject, number_index
from tulou_credit.wiring import House

_RECORDS: Final = Record.__table__  # type: ignore[attr-defined]
_VERSIONS: Final = RecordVersion.__table__  # type: ignore[attr-defined]
_DAY: Final = bindparam("day", type_=_VERSIONS.c.decided_on.type)
_SUBJECTS: Final = Subject.__table__  # type: ignore[attr-defined]
_SHOWN: Final = (
    _VERSIONS.c.record_id,
    _VERSIONS.c.type_code,
    _VERSIONS.c.severity,
    _VERSIONS.c.decided_on,
    _RECORDS.c.disputed,
    # A penalty moves by its severity: its content is not read.
    case((_VERSIONS.c.type_code != "PENALTY", _VERSIONS.c.content)).label("content"),
)
_BOTH: Final = _VERSIONS.join(_RECORDS, _RECORDS.c.id == _VERSIONS.c.record_id)
# Unpublished records must not be applied (沪信用 art. 32).
_PUBLIC: Final = and_(
    _VERSIONS.c.known_to.is_(None),
    _VERSIONS.c.type_code.in_([bindparam(None, code) for code in MOVING]),
    _VERSIONS.c.valid_from <= _DAY,
    or_(_VERSIONS.c.valid_to.is_(None), _VERSIONS.c.valid_to > _DAY),
    _VERSIONS.c.public_from <= _DAY,
    or_(_VERSIONS.c.public_until.is_(None), _VERSIONS.c.public_until >= _DAY),
    or_(_VERSIONS.c.lifted_on.is_(None), _VERSIONS.c.lifted_on > _DAY),
)
_ORDER: Final = (_VERSIONS.c.decided_on, _VERSIONS.c.record_id)
_MOVING: Final = Hot(
    select_columns(*_SHOWN)
    .select_from(_BOTH)
    .where(_VERSIONS.c.subject_id == bindparam("subject_id"), _PUBLIC)
    .order_by(*_ORDER)
)
# The subject with them, in one statement; without any, one row of the subject alone.
_CHECKED: Final = select_columns(_SUBJECTS.c.id.label("subject_id"), *_SHOWN).select_from(
    _SUBJECTS.outerjoin(_BOTH, and_(_VERSIONS.c.subject_id == _SUBJECTS.c.id, _PUBLIC))
)
_BY_CODE: Final = Hot(_CHECKED.where(_SUBJECTS.c.code == bindparam("code")).order_by(*_ORDER))
_BY_NUMBER: Final = Hot(_CHECKED.where(_SUBJECTS.c.number_index == bindparam("code")).order_by(*_ORDER))
_MEASURES: Final = PublishedMeasure.__table__  # type: ignore[attr-defined]
_IN_FORCE: Final = Hot(
    # As text: one measure is read once, and not for each of thousands of checks a second.
    select_columns(
        *(_MEASURES.c[name] for name in ("code", "kind", "standing", "zh", "en", "legal_basis")),
        _MEASURES.c.published_on,
        _MEASURES.c.withdrawn_on,
        cast(_MEASURES.c.purposes, Text).label("purposes"),
    )
    .where(
        _MEASURES.c.published_on <= _DAY,
        or_(_MEASURES.c.withdrawn_on.is_(None), _MEASURES.c.withdrawn_on >= _DAY),
    )
    .order_by(_MEASURES.c.code)
)


class MeasureNotFound(Exception):
    """No such measure is on the list."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotGraded(Exception):
    """The subject is a person: persons are not graded."""

    def __init__(self, subject_id: str) -> None:
        super().__init__(subject_id)
        self.subject_id = subject_id


@dataclass(frozen=True, kw_only=True)
class MovingRecord:
    """A public record that moves its subject's standing. `disputed`: it counts, while an objection to it is open."""

    record_id: str
    type_code: str
    standing: Standing
    decided_on: date
    disputed: bool


def moving_records(session: Session, *, subject_id: str, on: date) -> list[MovingRecord]:
    """What moves the subject's standing on a day by all that is known, oldest decision first. One query."""
    return _moving(_MOVING.run(session, {"subject_id": subject_id, "day": on}), on)


def _moving(rows: Iterable[Any], on: date) -> list[MovingRecord]:
    found = []
    for row in rows:
        content = row.content or {}
        standing = standing_of(row.type_code, severity=row.severity, content=content)
        if standing is not None and (ended_on(content) or date.max) > on:
            found.append(
                MovingRecord(
                    record_id=row.record_id,
                    type_code=row.type_code,
                    standing=standing,
                    decided_on=row.decided_on,
                    disputed=row.disputed,
                )
            )
    return found


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A measure that applies, and the records it applies for."""

    measure: Measure
    records: tuple[MovingRecord, ...]


@dataclass(frozen=True, kw_only=True)
class Check:
    """The answer about a subject: its standing ("SERIOUS", "BAD", "GOOD", "NONE") and the measures that apply.

    `subject_id` is empty where nothing is known of it, not even that it exists.
    """

    subject_id: str
    standing: str
    applied: tuple[Applied, ...]


def check_subject(session: Session, *, code: str, id_type: str = "", purpose: str, on: date, house: House) -> Check:
    """Which published measures apply to a subject for a purpose on a day, by public records alone.

    `code` is a credit code, with `id_type` (身份证, 护照号 …) the number of a person's document. One query, and a
    second where a record moves the standing. Raises InvalidFields (`code`, `id_type`, `purpose`).
    """
    kind = SubjectKind.PERSON if id_type else SubjectKind.ORGANISATION
    number, violations = subject_code(kind=kind, code=code, id_type=id_type)
    violations = [Violation("code", each.rule, each.zh, each.en) for each in violations]
    if purpose not in tuple(Purpose):
        violations.append(Violation("purpose", "unknown", "未知的用途。", "An unknown purpose."))
    if violations:
        raise InvalidFields(violations)
    if id_type:
        found = _BY_NUMBER.run(session, {"code": number_index(id_type, number, house.keyring), "day": on})
    else:
        found = _BY_CODE.run(session, {"code": number, "day": on})
    if not found:
        return Check(subject_id="", standing=gravest(()), applied=())
    moving = _moving((row for row in found if row.record_id), on)
    records = {each.record_id: each for each in moving}
    # A record is public from its day on, and until it is lifted: what comes here counts.
    counting = [StandingRecord(each.record_id, each.standing, on) for each in moving]
    measures = [_measure(row) for row in _IN_FORCE.run(session, {"day": on})] if moving else []
    applied = check(counting, purpose=purpose, measures=measures, on=on)
    return Check(
        subject_id=found[0].subject_id,
        standing=gravest(each.standing for each in moving),
        applied=tuple(
            Applied(measure=each.measure, records=tuple(records[one] for one in each.record_ids)) for each in applied
        ),
    )


def list_measures(session: Session, *, on: date | None = None) -> Sequence[PublishedMeasure]:
    """The list as it is on a day; without one all that ever was on it, versions of a code newest first."""
    query = select(PublishedMeasure)
    if on is not None:
        withdrawn_on = col(PublishedMeasure.withdrawn_on)
        query = query.where(PublishedMeasure.published_on <= on, or_(withdrawn_on.is_(None), withdrawn_on >= on))
    return session.exec(query.order_by(col(PublishedMeasure.code), col(PublishedMeasure.version).desc())).all()


def grade_subject(session: Session, *, subject_id: str, on: date, house: House) -> Grading:
    """The grade of an organisation or sole trader on a day, by all that is known and not lifted, public or not.

    Its contributions name records that are not public: who may see them is decided by those who call. Raises
    SubjectNotFound, NotGraded.
    """
    subject = get_subject(session, subject_id=subject_id)
    if subject.kind == SubjectKind.PERSON:
        raise NotGraded(subject_id)
    lifted_on, valid_to = col(RecordVersion.lifted_on), col(RecordVersion.valid_to)
    known = session.exec(
        select(RecordVersion).where(
            RecordVersion.subject_id == subject_id,
            col(RecordVersion.known_to).is_(None),
            col(RecordVersion.type_code).in_(GRADED),
            RecordVersion.valid_from <= on,
            or_(valid_to.is_(None), valid_to > on),
            or_(lifted_on.is_(None), lifted_on > on),
        )
    ).all()
    records = []
    for each in known:
        kind = graded_kind(each.type_code, severity=each.severity, content=each.content)
        if kind is not None and (ended_on(each.content) or date.max) > on:
            records.append(GradedRecord(each.record_id, kind, each.decided_on))
    false_material = session.exec(
        select(Repair).where(Repair.subject_id == subject_id, col(Repair.false_material_on).is_not(None))
    ).all()
    records += [
        GradedRecord(each.record_id, "FALSE_MATERIAL", each.false_material_on)
        for each in false_material
        if each.false_material_on
    ]
    return grade(records, grade_model(), on=on, calendar=house.calendar)


@lru_cache(maxsize=1)
def grade_model() -> GradeModel:
    """The published model."""
    with files(domain).joinpath("grade_model.json").open(encoding="utf-8") as stream:
        return read_grade_model(stream)


@lru_cache(maxsize=1000)
def _measure(row: Any) -> Measure:
    return Measure(
        code=row.code,
        kind=MeasureKind(row.kind),
        standing=Standing(row.standing),
        purposes=frozenset(json.loads(row.purposes)),
        zh=row.zh,
        en=row.en,
        legal_basis=row.legal_basis,
        published_on=row.published_on,
        withdrawn_on=row.withdrawn_on,
    )
