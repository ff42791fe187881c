"""What moves a subject's standing, and the measures that apply by it."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import bindparam, case, or_
from sqlalchemy import select as select_columns
from sqlmodel import Session

from tulou_chassis.hot import Hot
from tulou_credit.domain.measures import Standing
from tulou_credit.domain.standings import MOVING, ended_on, standing_of
from tulou_credit.models import Record, RecordVersion

_RECORDS: Final = Record.__table__  # type: ignore[attr-defined]
_VERSIONS: Final = RecordVersion.__table__  # type: ignore[attr-defined]
_DAY: Final = bindparam("day", type_=_VERSIONS.c.decided_on.type)
# Unpublished records must not be applied (沪信用 art. 32). A penalty moves by its severity: its content is not read.
_MOVING: Final = Hot(
    select_columns(
        _VERSIONS.c.record_id,
        _VERSIONS.c.type_code,
        _VERSIONS.c.severity,
        _VERSIONS.c.decided_on,
        _RECORDS.c.disputed,
        case((_VERSIONS.c.type_code != "PENALTY", _VERSIONS.c.content)).label("content"),
    )
    .join(_RECORDS, _RECORDS.c.id == _VERSIONS.c.record_id)
    .where(
        _VERSIONS.c.subject_id == bindparam("subject_id"),
        _VERSIONS.c.known_to.is_(None),
        _VERSIONS.c.type_code.in_([bindparam(None, code) for code in MOVING]),
        _VERSIONS.c.valid_from <= _DAY,
        or_(_VERSIONS.c.valid_to.is_(None), _VERSIONS.c.valid_to > _DAY),
        _VERSIONS.c.public_from <= _DAY,
        or_(_VERSIONS.c.public_until.is_(None), _VERSIONS.c.public_until >= _DAY),
        or_(_VERSIONS.c.lifted_on.is_(None), _VERSIONS.c.lifted_on > _DAY),
    )
    .order_by(_VERSIONS.c.decided_on, _VERSIONS.c.record_id)
)


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
    found = []
    for row in _MOVING.run(session, {"subject_id": subject_id, "day": on}):
        content = row.content or {}
        standing = standing_of(row.type_code, severity=row.severity, content=content)
        ended = ended_on(content)
        if standing is not None and (ended is None or ended > on):
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
