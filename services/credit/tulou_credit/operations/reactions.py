"""What follows from other services' events: decisions of approval become records."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlmodel import Session

from tulou_credit.domain.entries import Entry
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.intake.rows import Licence
from tulou_credit.models import Subject
from tulou_credit.operations import entries, records, subjects
from tulou_credit.wiring import House

# 统一社会信用代码 GB 32100-2015: register 9 (市场监管), category 2 (个体工商户).
_SOLE_TRADER: Final = "92"
# What the standard of the files (发改办财金〔2018〕790号) calls licences of no special kind.
_ORDINARY: Final = "普通"
_EDITION: Final = "2018"


@dataclass(frozen=True, kw_only=True)
class DecidedCase:
    """A decision of the approval service on a case. Of a natural person `credit_code` and `applicant_name` are empty,
    and `subject_id` tells who it is, if the credit service was asked when the case was accepted."""

    subject_id: str
    credit_code: str
    applicant_name: str = field(repr=False)
    item_code: str
    item_name: str
    document_number: str
    decided_on: date
    department_code: str
    department_name: str
    department_credit_code: str


@dataclass(frozen=True)
class _Applicant:
    kind: SubjectKind
    code: str = field(repr=False)
    id_type: str
    name: str = field(repr=False)


def record_grant(
    session: Session, *, case: DecidedCase, origin: str, now: datetime, house: House
) -> records.Put | None:
    """Records a grant as a licence, which the same licence in a double-publicity file will correct and not double.

    None where nothing tells who the natural person is. Raises what `records.put` raises.
    """
    applicant = _applicant(session, case, house)
    if applicant is None:
        return None
    licence = Licence(
        row=0,
        edition=_EDITION,
        subject_kind=applicant.kind,
        subject_name=applicant.name,
        subject_code=applicant.code,
        id_type=applicant.id_type,
        other_numbers=(),
        representative="",
        representative_id_type="",
        representative_id="",
        document_number=case.document_number,
        content=case.item_name,
        decided_on=case.decided_on,
        valid_to=None,
        organ=case.department_name,
        organ_code=case.department_credit_code,
        source=case.department_name,
        source_code=case.department_credit_code,
        note="",
        document_name="准予行政许可决定书",
        licence_category=_ORDINARY,
        certificate_name="",
        certificate_number="",
        valid_from=None,
        is_valid=True,
    )
    return records.put(session, licence, source=case.department_code, origin=origin, now=now, house=house)


def record_refusal(
    session: Session, *, case: DecidedCase, origin: str, now: datetime, house: House
) -> records.Put | None:
    """Records a refusal, which is not public: only grants are to be published (行政许可法 art. 40).

    None as in `record_grant`. Raises what `entries.put` raises.
    """
    applicant = _applicant(session, case, house)
    if applicant is None:
        return None
    entry = Entry(
        type_code="REFUSAL",
        subject_kind=applicant.kind,
        subject_code=applicant.code,
        id_type=applicant.id_type,
        subject_name=applicant.name,
        source_key=case.document_number,
        organ=case.department_name,
        valid_from=case.decided_on,
        content={
            "item": case.item_name,
            "document_number": case.document_number,
            "organ": case.department_name,
            "decided_on": case.decided_on.isoformat(),
        },
    )
    return entries.put(session, entry=entry, source=case.department_code, origin=origin, now=now, house=house)


def _applicant(session: Session, case: DecidedCase, house: House) -> _Applicant | None:
    if case.credit_code:
        kind = SubjectKind.SOLE_TRADER if case.credit_code.startswith(_SOLE_TRADER) else SubjectKind.ORGANISATION
        return _Applicant(kind, case.credit_code, "", case.applicant_name)
    subject = session.get(Subject, case.subject_id) if case.subject_id else None
    if subject is None:
        return None
    number = subjects.reveal(subject=subject, house=house)
    return _Applicant(SubjectKind(subject.kind), number, subject.id_type, subject.name)
