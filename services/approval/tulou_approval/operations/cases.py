"""What applicants do: file, change, submit, correct, withdraw."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final, cast

from sqlalchemy import bindparam, insert, literal_column
from sqlalchemy import select as select_columns
from sqlmodel import Session, select

from tulou_approval.domain.cases import MaterialRule, Necessity, check_materials
from tulou_approval.domain.states import Action
from tulou_approval.models import Case, ItemVersion, MaterialFile
from tulou_approval.operations.acts import Desk, act, civil_date, item_of, load_case, next_number, record
from tulou_approval.operations.documents import DocumentKind, issue
from tulou_approval.operations.forms import check_form
from tulou_approval.queries import own_cases
from tulou_chassis.hot import Hot
from tulou_chassis.keyring import Keyring
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation
from tulou_civics import divisions, identifiers

_ITEMS: Final = ItemVersion.__table__  # type: ignore[attr-defined]
# Only what a draft needs: the item's whole content is read when the case is submitted.
_DRAFTED: Final = (
    *("version", "name", "department_code", "region_code"),
    *("subject_type", "instant", "promised_days", "statutory_days"),
)
# The state stands in the statement: PostgreSQL would plan it anew each time to see whether the index on it may be used.
_PUBLISHED_ITEM: Final = Hot(
    select_columns(*(_ITEMS.c[name] for name in _DRAFTED)).where(
        _ITEMS.c.code == bindparam("item_code"), _ITEMS.c.state == literal_column("'PUBLISHED'")
    )
)
_INSERT_CASE: Final = Hot(insert(Case.__table__))  # type: ignore[attr-defined]


class ItemNotPublished(Exception):
    """The item has no version in force, so no case can be filed."""

    def __init__(self, item_code: str) -> None:
        super().__init__(item_code)
        self.item_code = item_code


class ApplicantKindMismatch(Exception):
    """The item is not for this kind of applicant."""

    def __init__(self, item_code: str, subject_type: str) -> None:
        super().__init__(item_code)
        self.item_code = item_code
        self.subject_type = subject_type


@dataclass(frozen=True, kw_only=True)
class Applicant:
    """Who applies, as handed in."""

    subject_type: str
    name: str
    identity_number: str
    phone: str
    agent_name: str


def create_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    item_code: str,
    title: str,
    region_code: str,
    applicant: Applicant,
    form: Mapping[str, Any],
    now: datetime,
) -> Case:
    """Files a draft under the item's published version. Gives the row as written, which the session does not track.

    Raises ItemNotPublished, ApplicantKindMismatch, InvalidFields.
    """
    found = _PUBLISHED_ITEM.run(session, {"item_code": item_code})
    if not found:
        raise ItemNotPublished(item_code)
    item = found[0]
    if item.subject_type not in {applicant.subject_type, "ANY"}:
        raise ApplicantKindMismatch(item_code, applicant.subject_type)
    applicant = replace(applicant, identity_number=_checked_identity(applicant))
    case_id = str(uuid.uuid4())
    row = SimpleNamespace(
        id=case_id,
        number=None,
        state="DRAFT",
        item_code=item_code,
        item_version=item.version,
        item_name=item.name,
        title=title,
        region_code=_checked_region(region_code or item.region_code, within=item.region_code),
        department_code=item.department_code,
        owner=principal.subject,
        subject_type=applicant.subject_type,
        applicant_name=applicant.name,
        agent_name=applicant.agent_name,
        identity_sealed=seal_identity(desk.keyring, case_id, applicant.identity_number),
        identity_masked=identifiers.mask_identity(applicant.identity_number),
        identity_tail_index=tail_index(desk.keyring, case_id, applicant.identity_number[-4:]),
        phone_sealed=seal_phone(desk.keyring, case_id, applicant.phone),
        phone_masked=identifiers.mask_phone(applicant.phone),
        form=dict(form),
        instant=item.instant,
        promised_days=item.promised_days,
        statutory_days=item.statutory_days,
        extended=False,
        deadlines={},
        next_due=None,
        calendar_version="",
        acceptance=None,
        decision=None,
        licence=None,
        correction=None,
        procedure=None,
        reviewers=[],
        handling="ORDINARY",
        credit_check=None,
        credit_subject_id="",
        turned_ordinary_by="",
        created_at=now,
        updated_at=now,
        submitted_at=None,
        history_sequence=0,
        history_hash="",
        version=1,
    )
    case = cast(Case, row)
    record(session, desk=desk, principal=principal, case=case, action="CREATE", now=now, details={})
    _INSERT_CASE.later(session, vars(row))
    return case


def update_case(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    etag: str,
    changes: Mapping[str, Any],
    now: datetime,
) -> Case:
    """Changes title, form, phone or agent_name of a draft or of a case that waits for correction.

    Raises CaseNotFound, StaleEtag, ActionNotAllowed.
    """
    case = load_case(session, among=own_cases(principal), case_id=case_id, etag=etag)
    if "title" in changes:
        case.title = changes["title"]
    if "form" in changes:
        case.form = dict(changes["form"])
    if "agent_name" in changes:
        case.agent_name = changes["agent_name"]
    if "phone" in changes:
        case.phone_sealed = seal_phone(desk.keyring, case.id, changes["phone"])
        case.phone_masked = identifiers.mask_phone(changes["phone"])
    details = {"fields": sorted(changes)}
    act(session, desk=desk, principal=principal, case=case, action=Action.UPDATE, now=now, details=details)
    return case


def submit_case(session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, now: datetime) -> Case:
    """Hands a draft in: gives the case number and the receipt (行政许可法 art. 32, last paragraph).

    Raises CaseNotFound, StaleEtag, ActionNotAllowed, MaterialsMissing, FormInvalid.
    """
    case = load_case(session, among=own_cases(principal), case_id=case_id, etag=etag)
    today = civil_date(now)
    if case.state == "DRAFT":
        _check_complete(session, case)
        region = divisions.normalise(case.region_code)[:6].ljust(6, "0")
        serial = next_number(session, f"case:{region}:{today:%Y%m%d}")
        case.number = identifiers.case_number(region, today, serial)
        case.submitted_at = now
    event = {"event": "CaseSubmitted", "facts": {"resubmitted": False}}
    act(session, desk=desk, principal=principal, case=case, action=Action.SUBMIT, now=now, **event)  # type: ignore[arg-type]
    issue(session, case=case, kind=DocumentKind.RECEIPT, day=today)
    return case


def resubmit_case(
    session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, now: datetime
) -> Case:
    """Hands the corrections in; the notice clock starts afresh.

    Raises CaseNotFound, StaleEtag, ActionNotAllowed, MaterialsMissing, FormInvalid.
    """
    case = load_case(session, among=own_cases(principal), case_id=case_id, etag=etag)
    if case.state == "NEED_SUPPLEMENT":
        _check_complete(session, case)
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.RESUBMIT,
        now=now,
        event="CaseSubmitted",
        facts={"resubmitted": True},
    )
    issue(session, case=case, kind=DocumentKind.RECEIPT, day=civil_date(now))
    return case


def withdraw_case(
    session: Session, *, desk: Desk, principal: Principal, case_id: str, etag: str, reason: str, now: datetime
) -> Case:
    """Takes the application back, which is possible until the decision.

    Raises CaseNotFound, StaleEtag, ActionNotAllowed.
    """
    case = load_case(session, among=own_cases(principal), case_id=case_id, etag=etag)
    # A draft that goes was never anyone's business but its owner's.
    event = "CaseWithdrawn" if case.state != "DRAFT" else ""
    act(
        session,
        desk=desk,
        principal=principal,
        case=case,
        action=Action.WITHDRAW,
        now=now,
        details={"reason": reason},
        event=event,
    )
    return case


def uploaded_codes(session: Session, case_id: str) -> Collection[str]:
    """Codes of the materials that have a file."""
    return session.exec(
        select(MaterialFile.material_code).where(MaterialFile.case_id == case_id, MaterialFile.superseded == False)  # noqa: E712
    ).all()


def seal_identity(keyring: Keyring, case_id: str, number: str) -> str:
    """An identity number as the row keeps it."""
    return keyring.encrypt(number, context=f"case_file.identity:{case_id}")


def seal_phone(keyring: Keyring, case_id: str, phone: str) -> str:
    """A phone number as the row keeps it."""
    return keyring.encrypt(phone, context=f"case_file.phone:{case_id}")


def tail_index(keyring: Keyring, case_id: str, tail: str) -> str:
    """By what a case is found with the last four characters; bound to the case, so equal tails do not look equal."""
    return keyring.index(f"{case_id}:{tail.upper()}")


def _check_complete(session: Session, case: Case) -> None:
    content = item_of(session, case).content
    rules = [
        MaterialRule(rule["code"], Necessity(rule["necessity"].removeprefix("NECESSITY_")))
        for rule in content.get("materials", ())
    ]
    check_materials(rules, uploaded_codes(session, case.id))
    check_form(content["form_schema"], case.form)


def _checked_identity(applicant: Applicant) -> str:
    person = applicant.subject_type == "PERSON"
    check = identifiers.check_resident_id if person else identifiers.check_credit_code
    try:
        return check(applicant.identity_number)
    except identifiers.InvalidIdentifier:
        zh = "公民身份号码无效。" if person else "统一社会信用代码无效。"
        en = "Not a valid resident identity number." if person else "Not a valid unified social credit code."
        raise InvalidFields([Violation("case.applicant.identity_number", "check_digit", zh, en)]) from None


def _checked_region(code: str, *, within: str) -> str:
    try:
        normal = divisions.normalise(divisions.current_code(code))
        divisions.division(normal)
    except divisions.UnknownDivision:
        violation = Violation("case.region_code", "known", "没有此区划代码。", "No such division.")
        raise InvalidFields([violation]) from None
    if not divisions.covers(within, normal):
        violation = Violation(
            "case.region_code", "within_item", "该事项不在此区域办理。", "The item is not offered there."
        )
        raise InvalidFields([violation])
    return normal
