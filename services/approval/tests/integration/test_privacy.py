"""Identity numbers and phones: masked in answers, sealed in rows, shown to staff that says why, and nowhere else."""

import json
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlmodel import select
from structlog.testing import capture_logs

from services.approval.tests.office import (
    APPROVER,
    AUDITOR,
    CITIZEN,
    CLERK,
    COMPANY,
    COMPANY_NUMBER,
    ON_THE_SPOT,
    PERSON_NUMBER,
    PHONE,
    SUPERVISOR,
    Office,
    Refused,
    elsewhere,
)
from tulou_approval.models import Case
from tulou_chassis.tables import IdempotencyRecord, OutboxEvent

OTHER_PHONE = "13950699999"
SECRETS = (PERSON_NUMBER, PHONE, OTHER_PHONE, PERSON_NUMBER[6:14], PERSON_NUMBER[-8:])


def test_answers_show_masks_to_everyone(office: Office) -> None:
    case = office.submitted()
    for who in (CITIZEN, CLERK, APPROVER, SUPERVISOR, AUDITOR):
        shown = office.case(case.id, who).applicant
        assert (shown.identity_number, shown.phone) == ("350*************36", "138****2345")
        listed = office.ask("ListCases", by=who, number=case.number).cases[0].applicant
        assert (listed.identity_number, listed.phone) == (shown.identity_number, shown.phone)


def test_a_companys_code_is_masked_less(office: Office) -> None:
    applicant = {"subject_type": "SUBJECT_TYPE_ORGANISATION", "identity_number": COMPANY_NUMBER}
    shown = office.draft(COMPANY, applicant=applicant).applicant.identity_number
    assert shown == f"913506********{COMPANY_NUMBER[-4:]}"


def test_staff_that_says_why_sees_them_and_leaves_a_trace(office: Office) -> None:
    case = office.submitted()
    before = office.row(case.id)
    shown = office.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="电话通知补正")
    assert (shown.identity_number, shown.phone) == (PERSON_NUMBER, PHONE)
    again = office.ask("RevealApplicant", by=APPROVER, case_id=case.id, purpose="核对申请人身份")
    assert again == shown
    looks = [
        entry
        for entry in office.ask("ListCaseHistory", by=CITIZEN, case_id=case.id).entries
        if entry.action == "REVEAL"
    ]
    assert [(look.actor, look.department_code, look.details["purpose"]) for look in looks] == [
        ("clerk-1", "SCJG", "电话通知补正"),
        ("approver-1", "SCJG", "核对申请人身份"),
    ]
    assert office.breaks(case.id) == []
    # A look is no step: all that was known of the case stays as it was, and what others have read is not stale.
    history = {"history_sequence", "history_hash"}
    assert office.row(case.id).model_dump(exclude=history) == before.model_dump(exclude=history)
    office.act("StartPreReview", case)
    assert office.breaks(case.id) == []


def test_a_look_without_a_purpose_is_refused(office: Office) -> None:
    case = office.submitted()
    for purpose, rule in (("", "required"), ("看看", "min_length"), ("看" * 201, "max_length")):
        with pytest.raises(Refused) as refused:
            office.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose=purpose)
        assert refused.value.fields == {"purpose": rule}


def test_applicants_and_oversight_do_not_look(office: Office) -> None:
    case = office.submitted()
    for who in (CITIZEN, SUPERVISOR, AUDITOR, elsewhere(CITIZEN, subject="x")):
        with pytest.raises(Refused, match="ROLE_NOT_ALLOWED"):
            office.ask("RevealApplicant", by=who, case_id=case.id, purpose="核对申请人身份")
    assert not [
        entry for entry in office.ask("ListCaseHistory", by=CLERK, case_id=case.id).entries if entry.action == "REVEAL"
    ]


def test_a_changed_phone_is_sealed_and_shown_to_staff(office: Office) -> None:
    draft = office.draft(item_code=ON_THE_SPOT)
    changed = office.act("UpdateCase", draft, case={"applicant": {"phone": OTHER_PHONE}}, update_mask="applicant.phone")
    assert changed.applicant.phone == "139****9999"
    case = office.act("SubmitCase", changed)
    shown = office.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="电话通知补正")
    assert (shown.identity_number, shown.phone) == (PERSON_NUMBER, OTHER_PHONE)


def test_a_sealed_text_that_was_moved_to_another_case_is_not_shown(office: Office) -> None:
    mine, other = office.submitted(), office.submitted()
    moved = office.row(other.id).identity_sealed
    where = text("UPDATE case_file SET identity_sealed = :moved WHERE id = :id")
    office.database.write(lambda session: session.execute(where, params={"moved": moved, "id": mine.id}))
    with pytest.raises(Refused) as refused:
        office.ask("RevealApplicant", by=CLERK, case_id=mine.id, purpose="核对申请人身份")
    assert refused.value.reason == "INTERNAL"
    assert "identity" not in refused.value.message


def test_equal_numbers_do_not_look_equal_in_the_rows(office: Office) -> None:
    rows = [office.row(office.draft().id) for _ in range(5)]
    for column in ("identity_sealed", "phone_sealed", "identity_tail_index"):
        assert len({getattr(row, column) for row in rows}) == 5


def everything_written(office: Office) -> str:
    """Every value of every row of every table, as text."""
    engine = office.database.engine
    parts = []
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')):
                for value in row:
                    if isinstance(value, (bytes, memoryview)):
                        parts.append(bytes(value).decode("utf-8", "replace"))
                    else:
                        parts.append(json.dumps(value, ensure_ascii=False, default=str))
    return "\n".join(parts)


def test_nothing_of_them_is_written_anywhere_in_clear(office: Office) -> None:
    with capture_logs() as logs:
        case = office.draft(applicant={"identity_number": PERSON_NUMBER.lower()})
        office.upload(case.id)
        case = office.act(
            "UpdateCase",
            office.case(case.id, CITIZEN),
            case={"applicant": {"phone": OTHER_PHONE}},
            update_mask="applicant.phone",
        )
        case = office.act("SubmitCase", case)
        office.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="核对申请人身份")
        office.ask("TrackCase", number=case.number, identity_tail=PERSON_NUMBER[-4:])
        with pytest.raises(Refused):
            office.draft(applicant={"identity_number": PERSON_NUMBER[:-1] + "0"})
        with pytest.raises(Refused):
            office.draft(applicant={"phone": PHONE + "0"})
        for method in ("AcceptCase", "StartReview", "GrantCase", "CertifyCase", "DeliverCase", "CloseCase"):
            case = office.act(method, case)
    rows = everything_written(office)
    assert case.number in rows
    told = json.dumps(logs, default=str)
    for secret in (*SECRETS, PERSON_NUMBER[:-1]):
        assert secret not in rows
        assert secret not in told
    url = office.settings.database_for("approval")
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):
            for secret in SECRETS:
                assert secret.encode() not in file.read_bytes(), file.name


def test_events_and_kept_answers_hold_no_more_than_masks(office: Office) -> None:
    case = office.in_state("CLOSED")
    events = office.database.read(
        lambda session: session.exec(select(OutboxEvent.data).where(OutboxEvent.subject == case.id)).all()
    )
    assert len(events) >= 6
    for data in events:
        for shown in (b"350***", b"138****", "陈小实".encode(), "老街面馆".encode()):
            assert shown not in data
    answers = office.database.read(lambda session: session.exec(select(IdempotencyRecord.response)).all())
    assert answers
    for answer in answers:
        assert not any(secret.encode() in answer for secret in SECRETS)
    assert not office.database.read(
        lambda session: session.exec(
            select(IdempotencyRecord.method).where(IdempotencyRecord.method.contains("Reveal"))  # type: ignore[attr-defined]
        ).all()
    )


def test_a_row_opens_only_with_the_keys(office: Office) -> None:
    row = office.row(office.draft().id)
    assert row.identity_sealed.startswith("k1.")
    context = f"case_file.identity:{row.id}"
    assert office.desk.keyring.decrypt(row.identity_sealed, context=context) == PERSON_NUMBER
    assert isinstance(row, Case)
