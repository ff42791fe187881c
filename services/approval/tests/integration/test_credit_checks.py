"""What the credit service answers when a case is accepted decides its handling; without an answer all goes on."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlmodel import select
from structlog.testing import capture_logs

from services.approval.tests.credit_platform import FAST_LANE, ORDINARY_ONLY, SUBJECT, CreditPlatform, platform
from services.approval.tests.office import (
    APPROVER,
    AUDITOR,
    CITIZEN,
    CLERK,
    COMPANY,
    COMPANY_NUMBER,
    PERSON_NUMBER,
    Office,
    Refused,
    Who,
    elsewhere,
    item,
    opened,
    request,
)
from tulou.approval.v1 import case_pb2, credit_check_pb2, events_pb2
from tulou.credit.v1 import measure_pb2
from tulou_approval.operations import cases, timers
from tulou_approval.operations import items as catalogue
from tulou_approval.servicer import credit as credit_desk
from tulou_approval.settings import ApprovalSettings
from tulou_chassis.events import envelope
from tulou_chassis.tables import OutboxEvent

QUICK = "SCJG-XK-9004"
NAME = "漳州土楼食品公司"
ORGANISATION = {"subject_type": "SUBJECT_TYPE_ORGANISATION", "name": NAME, "identity_number": COMPANY_NUMBER}
SIMPLIFIED, ORDINARY = case_pb2.CASE_HANDLING_SIMPLIFIED, case_pb2.CASE_HANDLING_ORDINARY
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def running() -> Iterator[CreditPlatform]:
    with platform() as found:
        yield found


@pytest.fixture(scope="module")
def office(settings: ApprovalSettings, issuer: Path, running: CreditPlatform) -> Iterator[Office]:
    """The running service, which asks the stand-in, with an item that has simplified handling."""
    with opened(settings.model_copy(update={"credit_address": running.address}), issuer) as office:
        seed(office)
        yield office


@pytest.fixture
def credit(running: CreditPlatform, monkeypatch: pytest.MonkeyPatch) -> CreditPlatform:
    """The stand-in, with nothing to say yet; a slow machine must not look like a slow service."""
    monkeypatch.setattr(credit_desk, "SECONDS", 60.0)
    running.reset()
    return running


def seed(office: Office) -> None:
    quick = item(QUICK, simplified_days=4, substantive_check=False, materials=[])
    office.database.write(lambda session: catalogue.seed(session, departments=[], items=[quick], now=datetime.now(UTC)))


def accepted(office: Office, by: Who = CITIZEN, **changes: Any) -> case_pb2.Case:
    return office.act("AcceptCase", office.submitted(by, item_code=QUICK, **changes))


def promised_days(office: Office, case: case_pb2.Case) -> int:
    clocks = office.ask("ExplainClock", by=CLERK, case_id=case.id).clocks
    return {clock.kind: clock.allowed_days for clock in clocks}[case_pb2.DEADLINE_KIND_PROMISED_DECISION]


def history(office: Office, case: case_pb2.Case, action: str) -> dict[str, Any]:
    entries = office.ask("ListCaseHistory", by=CLERK, case_id=case.id).entries
    [details] = [dict(entry.details) for entry in entries if entry.action == action]
    return details


def told(office: Office, case: case_pb2.Case, kind: str) -> Any:
    rows = office.database.read(
        lambda session: session.exec(select(OutboxEvent).where(OutboxEvent.subject == case.id)).all()
    )
    [row] = [row for row in rows if row.type == kind]
    payload = getattr(events_pb2, kind)()
    assert envelope(row, source="approval").data.Unpack(payload)
    return payload


def test_an_applicant_in_good_standing_is_promised_the_shorter_time(office: Office, credit: CreditPlatform) -> None:
    credit.reset(measures=(FAST_LANE,), standing=measure_pb2.STANDING_GOOD)
    case = accepted(office)
    assert case.handling == SIMPLIFIED
    assert promised_days(office, case) == 4
    check = case.credit_check
    assert (check.outcome, check.standing) == (
        credit_check_pb2.CREDIT_CHECK_OUTCOME_APPLIED,
        credit_check_pb2.CREDIT_STANDING_GOOD,
    )
    assert [(one.code, one.name, one.legal_basis) for one in check.measures] == [
        ("FAST_LANE", FAST_LANE.name, FAST_LANE.legal_basis)
    ]
    assert history(office, case, "ACCEPT")["measures"] == ["FAST_LANE"]
    assert told(office, case, "CaseAccepted").handling == SIMPLIFIED
    assert office.breaks(case.id) == []


@pytest.mark.parametrize("measures", [(), (ORDINARY_ONLY,), (FAST_LANE, ORDINARY_ONLY)])
def test_without_the_incentive_or_under_a_restriction_handling_is_ordinary(
    office: Office, credit: CreditPlatform, measures: tuple[measure_pb2.Measure, ...]
) -> None:
    credit.reset(measures=measures)
    case = accepted(office)
    assert (case.handling, promised_days(office, case)) == (ORDINARY, 8)
    assert history(office, case, "ACCEPT")["credit_check"] == "APPLIED"


def test_an_item_without_simplified_handling_has_none_for_anyone(office: Office, credit: CreditPlatform) -> None:
    credit.reset(measures=(FAST_LANE,))
    assert office.in_state("ACCEPTED").handling == ORDINARY


def test_the_clerk_asks_in_the_clerks_own_name_and_in_the_same_trace(office: Office, credit: CreditPlatform) -> None:
    case = office.submitted(item_code=QUICK)
    headers = [*office.metadata(CLERK), ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")]
    message = request("AcceptCase", case_id=case.id, etag=case.etag)
    office._callable("AcceptCase")(message, metadata=headers, timeout=20)
    [(asked, metadata)] = credit.calls
    assert (asked.code, asked.id_type, asked.purpose) == (PERSON_NUMBER, "身份证", "APPROVAL")
    assert metadata["authorization"] == dict(headers)["authorization"]
    assert metadata["traceparent"].split("-")[1] == TRACE


def test_an_applicant_who_is_not_known_is_entered(office: Office, credit: CreditPlatform) -> None:
    credit.reset(known=False)
    case = accepted(office, COMPANY, applicant=ORGANISATION)
    (check, _), (entry, _) = credit.calls
    assert (check.code, check.id_type) == (entry.code, entry.id_type) == (COMPANY_NUMBER, "")
    assert entry.name == NAME
    assert case.credit_check.subject_id == office.row(case.id).credit_subject_id == SUBJECT


def test_a_service_that_fails_twice_is_asked_again(office: Office, credit: CreditPlatform) -> None:
    credit.reset(measures=(FAST_LANE,), failures=2)
    assert accepted(office).handling == SIMPLIFIED
    assert len(credit.calls) == 3


@pytest.mark.parametrize(
    ("failures", "code", "asked"),
    [(3, grpc.StatusCode.UNAVAILABLE, 3), (1, grpc.StatusCode.INTERNAL, 1), (1, grpc.StatusCode.PERMISSION_DENIED, 1)],
)
def test_without_an_answer_the_case_is_accepted_for_ordinary_handling(
    office: Office, credit: CreditPlatform, failures: int, code: grpc.StatusCode, asked: int
) -> None:
    credit.reset(measures=(FAST_LANE,), failures=failures, code=code, words=f"{PERSON_NUMBER} 陈小实")
    with capture_logs() as logs:
        case = accepted(office)
    assert len(credit.calls) == asked
    assert (case.handling, promised_days(office, case)) == (ORDINARY, 8)
    assert case.credit_check.outcome == credit_check_pb2.CREDIT_CHECK_OUTCOME_UNAVAILABLE
    assert history(office, case, "ACCEPT")["credit_check"] == "UNAVAILABLE"
    [warning] = [line for line in logs if line["event"] == "credit_unavailable"]
    assert (warning["log_level"], warning["code"]) == ("warning", code.name)
    assert PERSON_NUMBER not in json.dumps(logs, default=str)


def test_a_service_that_does_not_answer_in_time_is_not_waited_for(
    office: Office, credit: CreditPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credit_desk, "SECONDS", 0.3)
    credit.reset(measures=(FAST_LANE,), slow=True)
    case = accepted(office)
    assert case.credit_check.outcome == credit_check_pb2.CREDIT_CHECK_OUTCOME_UNAVAILABLE
    assert len(credit.calls) == 1


def test_a_service_that_is_down_stops_nobody(
    settings: ApprovalSettings, issuer: Path, office: Office, credit: CreditPlatform
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with opened(settings.model_copy(update={"credit_address": address}), issuer) as alone:
        case = accepted(alone)
    assert case.credit_check.outcome == credit_check_pb2.CREDIT_CHECK_OUTCOME_UNAVAILABLE
    assert credit.calls == []


def test_who_has_no_credit_service_asks_none(settings: ApprovalSettings, issuer: Path, office: Office) -> None:
    with opened(settings, issuer) as alone:
        case = accepted(alone)
    assert case.handling == ORDINARY
    assert case.credit_check.outcome == credit_check_pb2.CREDIT_CHECK_OUTCOME_NOT_ASKED


def test_nobody_is_asked_about_whose_case_will_not_be_accepted(office: Office, credit: CreditPlatform) -> None:
    case = office.submitted(item_code=QUICK)
    for by, etag in ((CLERK, "v0"), (elsewhere(CLERK, org="SWJ"), case.etag)):
        with pytest.raises(Refused):
            office.act("AcceptCase", case, by=by, etag=etag)
    done = office.act("AcceptCase", case)
    with pytest.raises(Refused, match="ACTION_NOT_ALLOWED"):
        office.act("AcceptCase", done)
    assert len(credit.calls) == 1


def test_a_repeated_request_gets_the_first_answer(office: Office, credit: CreditPlatform) -> None:
    credit.reset(measures=(FAST_LANE,))
    case = office.submitted(item_code=QUICK)
    asked = {"request_id": "8a8f0c1e-2a40-4a7b-8d8c-3b9f7b4c5d6e", "case_id": case.id, "etag": case.etag}
    first = office.ask("AcceptCase", by=CLERK, **asked)
    credit.reset(measures=(ORDINARY_ONLY,))
    assert office.ask("AcceptCase", by=CLERK, **asked) == first
    assert credit.calls == []


def test_staff_sees_who_it_is_in_the_credit_service_and_the_applicant_does_not(
    office: Office, credit: CreditPlatform
) -> None:
    credit.reset(measures=(FAST_LANE,))
    case = accepted(office)
    shown = {who: office.case(case.id, who).credit_check for who in (CITIZEN, CLERK, APPROVER, AUDITOR)}
    assert {who.subject: check.subject_id for who, check in shown.items()} == {
        "citizen-1": "",
        "clerk-1": SUBJECT,
        "approver-1": SUBJECT,
        "auditor-1": SUBJECT,
    }
    assert shown[CITIZEN].measures == shown[CLERK].measures


def test_a_draft_has_no_check(office: Office) -> None:
    draft = office.draft(item_code=QUICK)
    assert draft.handling == ORDINARY
    assert not draft.HasField("credit_check")


def test_silence_accepts_for_ordinary_handling(office: Office, credit: CreditPlatform) -> None:
    credit.reset(measures=(FAST_LANE,))
    case = office.case_at(datetime(2026, 2, 13, tzinfo=UTC), item_code=QUICK)
    case.act(cases.submit_case, datetime(2026, 2, 13, tzinfo=UTC), CITIZEN)
    later = datetime(2026, 3, 2, tzinfo=UTC)
    office.database.write(lambda session: timers.deem_accepted(session, desk=office.desk, case_id=case.id, now=later))
    row = case.row
    assert (row.state, row.handling) == ("ACCEPTED", "ORDINARY")
    assert row.credit_check is not None
    assert row.credit_check["outcome"] == "NOT_ASKED"
    assert credit.calls == []


def test_cases_are_listed_by_their_handling(office: Office, credit: CreditPlatform) -> None:
    who = elsewhere(CITIZEN, subject="lister")
    credit.reset(measures=(FAST_LANE,))
    quick = accepted(office, who)
    credit.reset()
    slow = accepted(office, who)
    for handling, expected in (
        ("SIMPLIFIED", [quick.id]),
        ("ORDINARY", [slow.id]),
        ("UNSPECIFIED", [slow.id, quick.id]),
    ):
        found = office.ask("ListCases", by=who, handling=f"CASE_HANDLING_{handling}").cases
        assert [case.id for case in found] == expected


@pytest.mark.parametrize("act", ["GrantCase", "RefuseCase"])
def test_a_decision_tells_organisations_by_code_and_persons_by_nothing(
    office: Office, credit: CreditPlatform, act: str
) -> None:
    events = {}
    for who, applicant in ((COMPANY, ORGANISATION), (CITIZEN, {})):
        case = office.act("StartReview", accepted(office, who, applicant=applicant))
        events[who] = told(office, office.act(act, case), {"GrantCase": "CaseGranted"}.get(act, "CaseRefused"))
    company, person = events[COMPANY], events[CITIZEN]
    assert (company.applicant_credit_code, company.applicant_name) == (COMPANY_NUMBER, NAME)
    assert (person.applicant_credit_code, person.applicant_name) == ("", "")
    for event in (company, person):
        assert event.credit_subject_id == SUBJECT
        assert event.department_name == "漳州市市场监督管理局"
        assert event.department_credit_code.startswith("11350600TUL")
    assert PERSON_NUMBER not in str(person)
