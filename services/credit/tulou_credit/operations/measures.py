"""The published list of measures: none applies that is not on it (沪信用 art. 32)."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from sqlmodel import Session, col, func, or_, select

from tulou_chassis.etags import check_etag
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation
from tulou_credit.domain.measures import Measure, Purpose
from tulou_credit.domain.records import civil_date
from tulou_credit.measure_queries import MeasureNotFound
from tulou_credit.models import PublishedMeasure
from tulou_credit.operations.parties import check_city_administrator

_CODE: Final = re.compile("[A-Z][A-Z0-9_]{1,31}")
_LENGTHS: Final = {"zh": 200, "en": 300, "legal_basis": 500}


def publish(session: Session, *, principal: Principal, measure: Measure, now: datetime) -> PublishedMeasure:
    """Puts the measure on the list; versions before it end on the day before.

    It may be published for today or a day to come, not for the past, and its end is told by `withdraw`. Raises
    NotForTheCity, InvalidFields; without a legal basis there is no Measure to publish.
    """
    check_city_administrator(principal)
    _check(measure, civil_date(now))
    return _publish(session, measure, principal.subject, now)


def withdraw(
    session: Session, *, principal: Principal, code: str, etag: str, withdrawn_on: date, now: datetime
) -> PublishedMeasure:
    """Tells the last day on which the measure applies: yesterday, if it is to end at once, or later.

    Raises NotForTheCity, MeasureNotFound, StaleEtag, InvalidFields.
    """
    check_city_administrator(principal)
    query = select(PublishedMeasure).where(PublishedMeasure.code == code)
    found = session.exec(query.where(col(PublishedMeasure.withdrawn_on).is_(None))).first()
    if found is None:
        raise MeasureNotFound(code)
    check_etag(etag, version=found.revision)
    if withdrawn_on < civil_date(now) - timedelta(days=1):
        raise InvalidFields([Violation("withdrawn_on", "range", "不得早于昨日。", "Not before yesterday.")])
    found.withdrawn_on, found.withdrawn_by, found.updated_at = withdrawn_on, principal.subject, now
    session.add(found)
    session.flush()
    return found


def seed(session: Session, *, measures: Sequence[Measure], now: datetime) -> int:
    """Publishes the measures whose code the list does not know; gives of how many."""
    known = set(session.exec(select(PublishedMeasure.code)).all())
    new = [each for each in measures if each.code not in known]
    for each in new:
        _publish(session, each, "", now)
    return len(new)


def _publish(session: Session, measure: Measure, actor: str, now: datetime) -> PublishedMeasure:
    published_on = measure.published_on or civil_date(now)
    lasting = or_(col(PublishedMeasure.withdrawn_on).is_(None), col(PublishedMeasure.withdrawn_on) >= published_on)
    for was in session.exec(select(PublishedMeasure).where(PublishedMeasure.code == measure.code, lasting)).all():
        was.withdrawn_on, was.withdrawn_by, was.updated_at = published_on - timedelta(days=1), actor, now
        session.add(was)
    # The index allows one version without end, so the old one must have its end first.
    session.flush()
    # Behind what was read above: of two at once the later must not take the number of a version that it has read.
    newest = session.exec(select(func.max(PublishedMeasure.version)).where(PublishedMeasure.code == measure.code)).one()
    made = PublishedMeasure(
        code=measure.code,
        version=(newest or 0) + 1,
        kind=measure.kind,
        standing=measure.standing,
        purposes=sorted(measure.purposes),
        zh=measure.zh,
        en=measure.en,
        legal_basis=measure.legal_basis,
        published_on=published_on,
        published_by=actor,
        updated_at=now,
    )
    session.add(made)
    session.flush()
    return made


def _check(measure: Measure, today: date) -> None:
    violations = []
    if not _CODE.fullmatch(measure.code):
        zh, en = "须以大写字母开头，由大写字母、数字和下划线组成。", "Capital letters, digits and underscores."
        violations.append(Violation("measure.code", "pattern", zh, en))
    if not measure.purposes <= set(Purpose):
        violations.append(Violation("measure.purposes", "unknown", "未知的用途。", "An unknown purpose."))
    if measure.published_on is not None and measure.published_on < today:
        violations.append(Violation("measure.published_on", "range", "不得早于今日。", "Not before today."))
    for name, most in _LENGTHS.items():
        if not 1 <= len(getattr(measure, name)) <= most:
            zh, en = f"须为 1 至 {most} 个字符。", f"1 to {most} characters."
            violations.append(Violation(f"measure.{name}", "length", zh, en))
    if violations:
        raise InvalidFields(violations)
