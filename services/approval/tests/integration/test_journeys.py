"""A case's whole life, and the ways it can end before."""

import json
from datetime import UTC, date, datetime

import pytest
from sqlmodel import col, select

from services.approval.tests.office import (
    APPROVER,
    AUDITOR,
    CITIZEN,
    CLERK,
    COMPANY,
    COMPANY_NUMBER,
    FOOD,
    ON_THE_SPOT,
    OTHER_DEPARTMENT,
    SUPERVISOR,
    Office,
    Refused,
    elsewhere,
    state_of,
)
from tulou.approval.v1 import case_pb2, events_pb2
from tulou_approval.domain.states import Action, State, allowed_actions
from tulou_approval.models import Case
from tulou_approval.operations.acts import civil_date
from tulou_chassis.events import envelope
from tulou_chassis.tables import OutboxEvent
from tulou_civics.identifiers import check_case_number, check_licence_identifier

TODAY = civil_date(datetime.now(UTC))


def entries(office: Office, case_id: str) -> list[case_pb2.HistoryEntry]:
    return list(office.ask("ListCaseHistory", by=CLERK, case_id=case_id).entries)


def documents(office: Office, case_id: str) -> list[case_pb2.CaseDocument]:
    return list(office.ask("ListCaseDocuments", by=CITIZEN, case_id=case_id).documents)


def kinds(office: Office, case_id: str) -> list[str]:
    return [case_pb2.DocumentKind.Name(one.kind).removeprefix("DOCUMENT_KIND_") for one in documents(office, case_id)]


def events(office: Office, case_id: str) -> list[tuple[str, object]]:
    """(type, payload) of the events about a case, in the order they were written."""
    found = []
    for row in office.database.read(
        lambda session: session.exec(
            select(OutboxEvent).where(OutboxEvent.subject == case_id).order_by(col(OutboxEvent.id))
        ).all()
    ):
        payload = getattr(events_pb2, row.type)()
        envelope(row, source="approval").data.Unpack(payload)
        found.append((row.type, payload))
    return found


def test_a_case_goes_its_whole_way(office: Office) -> None:
    case = office.draft()
    assert state_of(case) == "DRAFT"
    assert not case.number
    office.upload(case.id)
    case = office.act("SubmitCase", office.case(case.id, CITIZEN))
    assert check_case_number(case.number) == case.number
    assert case.number.startswith(f"350602{TODAY:%Y%m%d}")
    assert case.deadlines.HasField("correction_notice")
    case = office.act("StartPreReview", case)
    case = office.act("RequestCorrection", case)
    assert not case.deadlines.HasField("correction_notice")
    assert case.correction_notice.entries[0].requirement == "请补充比例尺"
    office.upload(case.id, content=b"%PDF-1.7 with a scale")
    case = office.act("UpdateCase", office.case(case.id, CITIZEN))
    case = office.act("ResubmitCase", case)
    case = office.act("AcceptCase", case)
    assert case.acceptance.accept_date == TODAY.isoformat()
    assert not case.acceptance.deemed
    case = office.act("StartReview", case)
    case = office.act("PauseCase", case)
    assert case.special_procedure.planned_days == 5
    assert not case.special_procedure.end_date
    case = office.act("ResumeCase", case)
    assert case.special_procedure.end_date == TODAY.isoformat()
    before = case.deadlines.statutory_decision.due_date
    case = office.act("ExtendCase", case)
    assert case.extended
    assert case.deadlines.statutory_decision.due_date > before
    case = office.act("GrantCase", case)
    assert case.decision.granted
    assert case.deadlines.HasField("delivery")
    case = office.act("CertifyCase", case)
    assert check_licence_identifier(case.licence.identifier) == case.licence.identifier
    assert case.number in case.licence.identifier
    expiry = date.fromisoformat(case.licence.expire_date)
    assert (expiry.year, expiry.month) == (TODAY.year + 5, TODAY.month)
    case = office.act("DeliverCase", case)
    case = office.act("CloseCase", case)

    assert state_of(case) == "CLOSED"
    assert case.title == "新的标题"
    assert not list(case.allowed_actions)
    assert kinds(office, case.id) == [
        "RECEIPT",
        "CORRECTION_NOTICE",
        "RECEIPT",
        "ACCEPTANCE",
        "SPECIAL_PROCEDURE",
        "EXTENSION",
        "GRANT",
        "DELIVERY_RECEIPT",
    ]
    told = entries(office, case.id)
    assert [entry.action for entry in told] == [
        "CREATE",
        "UPLOAD",
        "SUBMIT",
        "PRE_REVIEW",
        "REQUEST_CORRECTION",
        "UPLOAD",
        "UPDATE",
        "RESUBMIT",
        "ACCEPT",
        "START_REVIEW",
        "PAUSE",
        "RESUME",
        "EXTEND",
        "GRANT",
        "CERTIFY",
        "DELIVER",
        "CLOSE",
    ]
    assert [entry.sequence for entry in told] == list(range(1, 18))
    assert {entry.actor for entry in told} == {"citizen-1", "clerk-1", "approver-1"}
    assert {entry.department_code for entry in told} == {"", "SCJG"}
    assert all(len(entry.hash) == 64 for entry in told)
    assert office.breaks(case.id) == []
    assert [kind for kind, _ in events(office, case.id)] == [
        "CaseSubmitted",
        "CaseCorrectionRequested",
        "CaseSubmitted",
        "CaseAccepted",
        "CaseReviewStarted",
        "CasePaused",
        "CaseResumed",
        "CaseExtended",
        "CaseGranted",
        "CaseCertified",
        "CaseDelivered",
        "CaseClosed",
    ]


def test_events_tell_what_happened(office: Office) -> None:
    case = office.in_state("CERTIFIED")
    told = dict(events(office, case.id))
    granted = told["CaseGranted"]
    assert isinstance(granted, events_pb2.CaseGranted)
    assert granted.case.case_number == case.number
    assert granted.case.state == case_pb2.CASE_STATE_GRANTED
    assert granted.case.owner == "citizen-1"
    assert granted.decision_date == TODAY.isoformat()
    assert granted.document_number == case.decision.document_number
    assert granted.public_applicant_name == "陈**"
    certified = told["CaseCertified"]
    assert isinstance(certified, events_pb2.CaseCertified)
    assert certified.licence_identifier == case.licence.identifier


def test_a_companys_name_is_public(office: Office) -> None:
    applicant = {"subject_type": "SUBJECT_TYPE_ORGANISATION", "name": "漳州老街面馆有限公司"}
    applicant["identity_number"] = COMPANY_NUMBER
    case = office.in_state("GRANTED", COMPANY, applicant=applicant)
    granted = dict(events(office, case.id))["CaseGranted"]
    assert isinstance(granted, events_pb2.CaseGranted)
    assert granted.public_applicant_name == "漳州老街面馆有限公司"


def test_a_pause_names_its_ground_in_event_and_document(office: Office) -> None:
    case = office.in_state("UNDER_REVIEW")
    case = office.act("PauseCase", case, ground="PAUSE_GROUND_TESTING")
    paused = dict(events(office, case.id))["CasePaused"]
    assert isinstance(paused, events_pb2.CasePaused)
    assert paused.ground == case_pb2.PAUSE_GROUND_TESTING
    assert case.special_procedure.ground == case_pb2.PAUSE_GROUND_TESTING
    assert "检测" in documents(office, case.id)[-1].text


def test_an_extended_case_that_pauses_comes_back_extended(office: Office) -> None:
    case = office.in_state("EXTENDED")
    case = office.act("PauseCase", case)
    case = office.act("ResumeCase", case)
    assert state_of(case) == "EXTENDED"
    with pytest.raises(Refused, match="ACTION_NOT_ALLOWED"):
        office.act("ExtendCase", case)


def test_who_declines_names_the_right_organ(office: Office) -> None:
    case = office.submitted()
    with pytest.raises(Refused) as refused:
        office.act("DeclineCase", case, competent_organ="")
    assert refused.value.reason == "INVALID_FIELD"
    assert refused.value.info.domain == "tulou"
    assert refused.value.fields == {"competent_organ": "required_unless_licence_not_needed"}
    case = office.act("DeclineCase", case)
    assert state_of(case) == "NOT_ACCEPTED"
    assert "漳州市商务局" in documents(office, case.id)[-1].text
    declined = dict(events(office, case.id))["CaseDeclined"]
    assert isinstance(declined, events_pb2.CaseDeclined)
    assert declined.competent_organ == "漳州市商务局"


def test_where_no_licence_is_needed_no_organ_is_named(office: Office) -> None:
    case = office.act("DeclineCase", office.submitted(), licence_not_needed=True)
    assert "不需要取得行政许可" in documents(office, case.id)[-1].text
    declined = dict(events(office, case.id))["CaseDeclined"]
    assert isinstance(declined, events_pb2.CaseDeclined)
    assert declined.competent_organ == ""


def test_a_refusal_gives_reasons_and_remedies(office: Office) -> None:
    case = office.in_state("REFUSED")
    assert not case.decision.granted
    assert case.decision.reasons == "场所不符合要求"
    assert "行政复议" in case.decision.remedies
    text = documents(office, case.id)[-1].text
    assert "场所不符合要求" in text
    assert "行政复议" in text
    case = office.act("DeliverCase", case)
    assert state_of(office.act("CloseCase", case)) == "CLOSED"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"requirement": "补"}, "no_subject"),
        ({"requirement": "补", "material_code": "M01", "form_field": "shop"}, "two_subjects"),
        ({"requirement": "补", "material_code": "M99"}, "unknown_material"),
        ({"requirement": "   ", "material_code": "M01"}, "no_requirement"),
    ],
)
def test_an_entry_nobody_could_act_on_is_named(office: Office, entry: dict[str, str], problem: str) -> None:
    case = office.submitted()
    good = {"form_field": "owner.name", "requirement": "与证件一致"}
    with pytest.raises(Refused) as refused:
        office.act("RequestCorrection", case, entries=[good, entry])
    assert refused.value.reason == "INVALID_FIELD"
    assert refused.value.info.domain == "tulou"
    assert refused.value.fields == {"entries[1]": problem}


def test_correction_is_asked_for_once(office: Office) -> None:
    case = office.act("ResubmitCase", office.in_state("NEED_SUPPLEMENT"))
    assert case_pb2.CASE_ACTION_REQUEST_CORRECTION not in office.case(case.id).allowed_actions
    with pytest.raises(Refused, match="CORRECTION_ALREADY_USED"):
        office.act("RequestCorrection", case)


def test_a_check_on_the_facts_takes_two_people(office: Office) -> None:
    case = office.in_state("ACCEPTED")
    with pytest.raises(Refused, match="TOO_FEW_REVIEWERS"):
        office.act("StartReview", case, reviewers=["甲", "甲 "])
    assert state_of(office.act("StartReview", case, reviewers=["甲", "乙"])) == "UNDER_REVIEW"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"days": 11}, "EXTENSION_TOO_LONG"),
        ({"approved_by": "乙"}, "HEAD_APPROVAL_MISSING"),
        ({"approved_by": " "}, "HEAD_APPROVAL_MISSING"),
    ],
)
def test_an_extension_keeps_to_the_law(office: Office, fields: dict[str, object], reason: str) -> None:
    case = office.in_state("UNDER_REVIEW")
    with pytest.raises(Refused, match=reason):
        office.act("ExtendCase", case, **fields)


def test_an_instant_item_is_decided_without_review(office: Office) -> None:
    case = office.submitted(item_code=ON_THE_SPOT)
    case = office.act("AcceptCase", case)
    assert case.deadlines.promised_decision.due_date == TODAY.isoformat()
    assert state_of(office.act("GrantCase", case)) == "GRANTED"


def test_a_promised_item_is_not_decided_without_review(office: Office) -> None:
    with pytest.raises(Refused, match="ACTION_NOT_ALLOWED"):
        office.act("GrantCase", office.in_state("ACCEPTED"))


def test_a_result_that_is_no_licence_has_no_identifier_and_no_end(office: Office) -> None:
    applicant = {"subject_type": "SUBJECT_TYPE_ORGANISATION", "identity_number": COMPANY_NUMBER}
    case = office.submitted(COMPANY, item_code=OTHER_DEPARTMENT, applicant=applicant)
    clerk, approver = elsewhere(CLERK, org="SWJ"), elsewhere(APPROVER, org="SWJ")
    case = office.act("AcceptCase", case, clerk)
    case = office.act("StartReview", case, approver, reviewers=["甲"])
    case = office.act("GrantCase", case, approver)
    case = office.act("CertifyCase", case, clerk)
    assert case.licence.name == "备案回执"
    assert (case.licence.identifier, case.licence.expire_date) == ("", "")


STATES = [state for state in State if state is not State.DRAFT]


@pytest.mark.parametrize("state", STATES)
def test_withdrawing_and_terminating_are_possible_until_the_decision(office: Office, state: State) -> None:
    case = office.in_state(state)
    possible = allowed_actions(state, instant=False, extended=case.extended)
    for rpc, action, end in (
        ("WithdrawCase", Action.WITHDRAW, "WITHDRAWN"),
        ("TerminateCase", Action.TERMINATE, "TERMINATED"),
    ):
        if action not in possible:
            with pytest.raises(Refused, match="ACTION_NOT_ALLOWED") as refused:
                office.act(rpc, case)
            assert refused.value.metadata == {"state": state, "action": action}
            continue
        ended = office.act(rpc, office.in_state(state))
        assert state_of(ended) == end
        assert not ended.deadlines.ListFields()
        assert office.row(ended.id).next_due is None
        assert office.breaks(ended.id) == []
    assert (Action.WITHDRAW in possible) == (state in State.__members__ and state.value in BEFORE_DECISION)


BEFORE_DECISION = {
    "SUBMITTED",
    "PRE_REVIEW",
    "NEED_SUPPLEMENT",
    "ACCEPTED",
    "UNDER_REVIEW",
    "SPECIAL_PROCEDURE",
    "EXTENDED",
}


def test_a_draft_that_is_withdrawn_was_never_anyones_business(office: Office) -> None:
    case = office.act("WithdrawCase", office.draft())
    assert state_of(case) == "WITHDRAWN"
    assert events(office, case.id) == []
    for who in (CLERK, SUPERVISOR, AUDITOR):
        with pytest.raises(Refused, match="CASE_NOT_FOUND"):
            office.case(case.id, who)


def test_what_a_state_does_not_allow_is_refused_and_changes_nothing(office: Office) -> None:
    case = office.in_state("CLOSED")
    before = office.row(case.id)
    for rpc in ("UpdateCase", "SubmitCase", "ResubmitCase", "AcceptCase", "StartReview", "GrantCase", "CertifyCase"):
        with pytest.raises(Refused, match="ACTION_NOT_ALLOWED") as refused:
            office.act(rpc, case)
        assert refused.value.metadata["state"] == "CLOSED"
    assert office.row(case.id).model_dump() == before.model_dump()
    assert len(documents(office, case.id)) == len(set(kinds(office, case.id)))


def test_an_update_takes_what_the_mask_names_and_no_more(office: Office) -> None:
    case = office.draft()
    changed = office.act(
        "UpdateCase",
        case,
        case={"title": "改过", "applicant": {"phone": "13950699999", "agent_name": "林经办"}, "form": {"shop": "新"}},
        update_mask="applicant.phone,applicant.agentName,form",
    )
    assert changed.title == case.title
    assert changed.applicant.phone == "139****9999"
    assert changed.applicant.agent_name == "林经办"
    assert changed.applicant.identity_number == case.applicant.identity_number
    assert dict(changed.form) == {"shop": "新"}
    assert json.loads(json.dumps(office.row(case.id).form)) == {"shop": "新"}


@pytest.mark.parametrize("mask", ["", "itemCode", "applicant", "applicant.identityNumber", "title,number"])
def test_an_update_of_anything_else_is_refused(office: Office, mask: str) -> None:
    with pytest.raises(Refused) as refused:
        office.act("UpdateCase", office.draft(), update_mask=mask)
    assert refused.value.fields in ({"update_mask": "known_paths"}, {"update_mask": "required"})


def test_an_update_cannot_empty_what_is_required(office: Office) -> None:
    with pytest.raises(Refused) as refused:
        office.act("UpdateCase", office.draft(), case={"form": {}}, update_mask="title")
    assert refused.value.fields == {"case.title": "required"}


def test_a_case_cannot_be_filed_for_another_kind_of_applicant(office: Office) -> None:
    with pytest.raises(Refused, match="APPLICANT_KIND"):
        office.draft(item_code=OTHER_DEPARTMENT)


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("SUBJECT_TYPE_PERSON", "350602199003070037"),
        ("SUBJECT_TYPE_PERSON", COMPANY_NUMBER),
        ("SUBJECT_TYPE_PERSON", "35060219900307003"),
        ("SUBJECT_TYPE_ORGANISATION", "91350600TULTEXT011"),
        ("SUBJECT_TYPE_ORGANISATION", "abc"),
    ],
)
def test_an_identity_number_that_cannot_be_right_is_refused_and_not_repeated(
    office: Office, kind: str, number: str
) -> None:
    with pytest.raises(Refused) as refused:
        office.draft(applicant={"subject_type": kind, "identity_number": number})
    assert refused.value.fields == {"case.applicant.identity_number": "check_digit"}
    assert number not in str(refused.value.bad)


def test_no_case_is_filed_for_an_item_nobody_published(office: Office) -> None:
    with pytest.raises(Refused, match="ITEM_NOT_PUBLISHED") as refused:
        office.draft(item_code="SCJG-XK-7777")
    assert refused.value.metadata == {"item_code": "SCJG-XK-7777"}


def test_a_case_keeps_nothing_of_what_only_the_service_sets(office: Office) -> None:
    case = office.draft(id="1", number="2", state="CASE_STATE_GRANTED", licence={"identifier": "x"}, extended=True)
    assert state_of(case) == "DRAFT"
    assert not case.number
    assert not case.extended
    assert not case.HasField("licence")
    assert case.id != "1"


def test_a_case_without_its_materials_or_form_is_not_taken(office: Office) -> None:
    case = office.draft(form={})
    with pytest.raises(Refused, match="MATERIALS_MISSING") as refused:
        office.act("SubmitCase", case)
    assert refused.value.metadata == {"material_codes": "M01"}
    office.upload(case.id)
    with pytest.raises(Refused, match="FORM_INVALID"):
        office.act("SubmitCase", office.case(case.id, CITIZEN))
    assert office.row(case.id).number is None


def test_rows_hold_the_case_number_only_once(office: Office) -> None:
    office.submitted()
    query = select(Case.number).where(Case.item_code == FOOD)
    numbers = office.database.read(lambda session: session.exec(query).all())
    given = [number for number in numbers if number]
    assert len(given) == len(set(given))
