"""From the decision to the archive: grant, refuse, certify, deliver, close; and the look at who applied."""

from datetime import datetime
from typing import Final

from sqlalchemy import update
from sqlmodel import Session, col

from tulou_approval.domain.states import Action
from tulou_approval.models import Case, Department
from tulou_approval.operations.acts import Desk, act, civil_date, item_of, load_case, record
from tulou_approval.operations.documents import DocumentKind, issue
from tulou_approval.queries import get_case, handled_cases
from tulou_chassis.principals import Principal
from tulou_civics import identifiers
from tulou_civics.durations import Duration, Unit

METHODS: Final = {"PICKUP": "窗口领取", "POST": "邮寄", "ELECTRONIC": "电子送达"}


def grant_case(
    session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, opinion: str, now: datetime
) -> Case:
    """Grants by written decision (行政许可法 art. 38). Raises CaseNotFound, StaleEtag, ActionNotAllowed."""
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    today = civil_date(now)
    number = issue(session, case=case, kind=DocumentKind.GRANT, day=today, opinion=opinion)
    case.decision = {
        "granted": True,
        "document_number": number,
        "reasons": opinion,
        "remedies": "",
        "decision_date": today.isoformat(),
    }
    person = case.subject_type == "PERSON"
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.GRANT,
        now=now,
        details={"document_number": number},
        event="CaseGranted",
        facts={
            "document_number": number,
            "decision_date": today.isoformat(),
            "public_applicant_name": identifiers.mask_name(case.applicant_name) if person else case.applicant_name,
            **_parties(session, desk, case),
        },
    )
    return case


def refuse_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    reasons: str,
    remedies: str,
    now: datetime,
) -> Case:
    """Refuses by written decision, with reasons and remedies (行政许可法 art. 38).

    Raises CaseNotFound, StaleEtag, ActionNotAllowed.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    today = civil_date(now)
    number = issue(session, case=case, kind=DocumentKind.REFUSAL, day=today, reasons=reasons, remedies=remedies)
    case.decision = {
        "granted": False,
        "document_number": number,
        "reasons": reasons,
        "remedies": remedies,
        "decision_date": today.isoformat(),
    }
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.REFUSE,
        now=now,
        details={"document_number": number, "reasons": reasons},
        event="CaseRefused",
        facts={
            "document_number": number,
            "decision_date": today.isoformat(),
            **_parties(session, desk, case),
        },
    )
    return case


def _parties(session: Session, desk: Desk, case: Case) -> dict[str, str]:
    """Who decided, and who applied; of a person no more than its id in the credit service."""
    department = session.get_one(Department, case.department_code)
    facts = {
        "credit_subject_id": case.credit_subject_id,
        "department_name": department.name,
        "department_credit_code": department.credit_code,
    }
    if case.subject_type == "PERSON":
        return facts
    code = desk.keyring.decrypt(case.identity_sealed, context=f"case_file.identity:{case.id}")
    return {**facts, "applicant_credit_code": code, "applicant_name": case.applicant_name}


def certify_case(session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, now: datetime) -> Case:
    """Issues the licence or document (行政许可法 art. 39, 44); a licence gets its identifier by GB/T 36904.

    Raises CaseNotFound, StaleEtag, ActionNotAllowed.
    """
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    today = civil_date(now)
    result = item_of(session, case).content["results"][0]
    issuer = session.get_one(Department, case.department_code).credit_code
    identifier = ""
    if catalogue_code := result.get("licence_code", ""):
        identifier = identifiers.licence_identifier(
            type_body=issuer, catalogue_code=catalogue_code, issuer=issuer, serial=case.number or "", version=1
        )
    months = result.get("valid_months", 0)
    expires = Duration(months, Unit.MONTH).end(today, desk.calendar).date.isoformat() if months else ""
    case.licence = {
        "identifier": identifier,
        "name": result["name"],
        "issue_date": today.isoformat(),
        "expire_date": expires,
    }
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.CERTIFY,
        now=now,
        details={"licence": identifier},
        event="CaseCertified",
        facts={"licence_identifier": identifier},
    )
    return case


def deliver_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    method: str,
    recipient: str,
    now: datetime,
) -> Case:
    """Hands the result over (行政许可法 art. 44). Raises CaseNotFound, StaleEtag, ActionNotAllowed."""
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.DELIVER,
        now=now,
        details={"method": method},
        event="CaseDelivered",
    )
    told = METHODS[method]
    issue(
        session,
        case=case,
        kind=DocumentKind.DELIVERY_RECEIPT,
        day=civil_date(now),
        method=told,
        recipient=recipient,
    )
    return case


def close_case(session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, now: datetime) -> Case:
    """Archives the case. Raises CaseNotFound, StaleEtag, ActionNotAllowed."""
    case = load_case(session, among=handled_cases(principal), case_id=case_id, etag=etag)
    act(session, desk=desk, principal=principal, case=case, action=Action.CLOSE, now=now, event="CaseClosed")
    return case


def reveal_applicant(
    session: Session, *, desk: Desk, principal: Principal, case_id: str, purpose: str, now: datetime
) -> tuple[str, str]:
    """Identity number and phone in clear, for staff that handles the case; the look is kept in the history.

    Raises CaseNotFound.
    """
    case = get_case(session, among=handled_cases(principal), case_id=case_id, for_update=True)
    record(session, desk=desk, principal=principal, case=case, action="REVEAL", now=now, details={"purpose": purpose})
    # Past the ORM, which would count the case's version up: a look must not make stale what others have read.
    session.expunge(case)
    head = {"history_sequence": case.history_sequence, "history_hash": case.history_hash}
    session.execute(update(Case).where(col(Case.id) == case.id).values(head))
    identity = desk.keyring.decrypt(case.identity_sealed, context=f"case_file.identity:{case.id}")
    return identity, desk.keyring.decrypt(case.phone_sealed, context=f"case_file.phone:{case.id}")
