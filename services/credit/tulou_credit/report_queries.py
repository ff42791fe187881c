"""What is read of reports: by who had them made, by their subject, and by anyone who holds a code."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import tuple_
from sqlmodel import Session, col, or_, select

from tulou_chassis.principals import Principal
from tulou_civics.identifiers import mask_name
from tulou_credit.domain.reports import code_as_kept
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import RecordVersion, Report
from tulou_credit.operations.parties import own_subject
from tulou_credit.queries import get_subject
from tulou_credit.wiring import House


class ReportNotFound(Exception):
    """No such report, or not one the caller may see; `report_id` is empty where a code was asked for."""

    def __init__(self, report_id: str) -> None:
        super().__init__(report_id)
        self.report_id = report_id


@dataclass(frozen=True, kw_only=True)
class OpenedReport:
    """A report and what was sealed of it: its code, its content (as `ReportContent`), and the titles of the fields of
    records by type."""

    report: Report
    code: str = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)
    titles: Mapping[str, Mapping[str, str]] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What anyone who holds the code of a report learns. `changed_since`: a record of the subject came or changed."""

    subject_name: str
    kind: str
    created_at: datetime
    sha256: str
    changed_since: bool


def get_report(session: Session, *, principal: Principal, report_id: str, house: House) -> OpenedReport:
    """A report, to who had it made and to its subject. Raises ReportNotFound."""
    report = session.get(Report, report_id)
    if report is None:
        raise ReportNotFound(report_id)
    if report.made_by != principal.subject:
        own = own_subject(session, principal=principal, house=house)
        if own is None or own.id != report.subject_id:
            raise ReportNotFound(report_id)
    opened = json.loads(house.keyring.decrypt(report.snapshot, context=f"credit_report.snapshot:{report.id}"))
    return OpenedReport(
        report=report, code=code_of(report=report, house=house), content=opened["content"], titles=opened["titles"]
    )


def code_of(*, report: Report, house: House) -> str:
    """The verification code of a report that the caller may see."""
    return house.keyring.decrypt(report.code_sealed, context=f"credit_report.code:{report.id}")


def list_reports(
    session: Session, *, principal: Principal, after: tuple[datetime, str] | None, limit: int, house: House
) -> Sequence[Report]:
    """Reports that the caller had made and those about itself, newest first, behind `after` (created_at and id)."""
    query = select(Report)
    own = own_subject(session, principal=principal, house=house)
    made = col(Report.made_by) == principal.subject
    query = query.where(made if own is None else or_(made, col(Report.subject_id) == own.id))
    if after:
        query = query.where(tuple_(col(Report.created_at), col(Report.id)) < tuple_(*after))
    return session.exec(query.order_by(col(Report.created_at).desc(), col(Report.id).desc()).limit(limit)).all()


def verify(session: Session, *, code: str, house: House) -> Verification:
    """Whether a report with this code was made. Spaces, hyphens and small letters do not matter. Raises ReportNotFound.

    A code has 80 random bits: nobody finds one by trying.
    """
    report = session.exec(select(Report).where(Report.code_index == house.keyring.index(code_as_kept(code)))).first()
    if report is None:
        raise ReportNotFound("")
    subject = get_subject(session, subject_id=report.subject_id)
    changed = select(RecordVersion.record_id).where(
        RecordVersion.subject_id == subject.id, RecordVersion.known_from > report.created_at
    )
    return Verification(
        subject_name=mask_name(subject.name) if subject.kind == SubjectKind.PERSON else subject.name,
        kind=report.kind,
        created_at=report.created_at,
        sha256=report.sha256,
        changed_since=session.exec(changed.limit(1)).first() is not None,
    )
