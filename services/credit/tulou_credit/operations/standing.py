"""Tells other services when a subject's standing moves for the worst or back."""

from datetime import datetime
from typing import Final

from sqlmodel import Session

from tulou_chassis.events import emit
from tulou_credit.domain.happenings import StandingChanged
from tulou_credit.domain.records import civil_date
from tulou_credit.domain.standings import gravest
from tulou_credit.measure_queries import moving_records
from tulou_credit.models import Record

TOLD_OF: Final = "SERIOUS_LIST"
"""The record type whose records are told of."""


def tell(session: Session, *, record: Record, subject_id: str, region_code: str, now: datetime) -> None:
    """Tells the subject's standing after a change of `record`; nothing of other types than the serious-default list."""
    if record.type_code != TOLD_OF:
        return
    session.flush()
    counting = moving_records(session, subject_id=subject_id, on=civil_date(now))
    emit(
        session,
        StandingChanged(
            record_id=record.id,
            subject_id=subject_id,
            type_code=record.type_code,
            region_code=region_code,
            standing=gravest(each.standing for each in counting),
        ),
    )
