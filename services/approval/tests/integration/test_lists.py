"""Lists: each filter, pages that stay whole while cases come in, and each role's own view."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest

from services.approval.tests.office import (
    APPROVER,
    AUDITOR,
    CITIZEN,
    CLERK,
    COMPANY,
    COMPANY_NUMBER,
    COUNTY,
    FOOD,
    ON_THE_SPOT,
    OTHER_DEPARTMENT,
    SUPERVISOR,
    Office,
    Refused,
    Who,
    elsewhere,
    state_of,
)
from tulou.approval.v1 import case_pb2
from tulou_approval.operations import reactions

_people = itertools.count()


def someone(**changes: Any) -> Who:
    """An applicant without any case yet."""
    return elsewhere(CITIZEN, subject=f"someone-{next(_people)}", **changes)


def listed(office: Office, by: Who, **filters: Any) -> list[str]:
    """Ids, in the order they come."""
    return [case.id for case in office.ask("ListCases", by=by, **{"page_size": 100, **filters}).cases]


def paged(office: Office, rpc: str, field: str, by: Who | None, size: int, **filters: Any) -> list[Any]:
    """Everything, page by page."""
    found, token = [], ""
    while True:
        answer = office.ask(rpc, by=by, page_size=size, page_token=token, **filters)
        page = list(getattr(answer, field))
        assert len(page) <= size
        found += page
        token = answer.next_page_token
        if not token:
            return found
        assert len(page) == size


def test_newest_come_first_without_forms(office: Office) -> None:
    who = someone()
    made = [office.draft(who).id for _ in range(5)]
    assert listed(office, who) == made[::-1]
    shown = office.ask("ListCases", by=who).cases[0]
    assert not shown.HasField("form")
    assert shown.etag
    assert shown.allowed_actions


def test_each_filter_filters(office: Office) -> None:
    who = someone()
    draft = office.draft(who, item_code=ON_THE_SPOT).id
    submitted = office.submitted(who, item_code=ON_THE_SPOT, region_code="350602001")
    accepted = office.act("AcceptCase", office.submitted(who, item_code=ON_THE_SPOT, region_code="350603")).id
    county = office.submitted(who, item_code=COUNTY).id
    closed = office.act("WithdrawCase", office.submitted(who, item_code=ON_THE_SPOT), who).id
    everything = [closed, county, accepted, submitted.id, draft]
    assert listed(office, who) == everything
    assert listed(office, who, state="CASE_STATE_DRAFT") == [draft]
    assert listed(office, who, state="CASE_STATE_SUBMITTED") == [county, submitted.id]
    assert listed(office, who, state="CASE_STATE_CLOSED") == []
    assert listed(office, who, item_code=COUNTY) == [county]
    assert listed(office, who, item_code="NONE") == []
    # The county's case bears the county's code, the others what was given or the usual place of these tests.
    assert listed(office, who, region_code="350603") == [accepted]
    assert listed(office, who, region_code="350602001") == [submitted.id]
    assert listed(office, who, region_code="350602") == [closed, county, submitted.id, draft]
    assert listed(office, who, region_code="350600") == everything
    assert listed(office, who, number=submitted.number) == [submitted.id]
    assert listed(office, who, number="35060220200101000017") == []
    assert listed(office, who, open_only=True) == [county, accepted, submitted.id, draft]
    assert listed(office, who, open_only=True, state="CASE_STATE_WITHDRAWN") == []
    assert listed(office, who, state="CASE_STATE_SUBMITTED", item_code=COUNTY, region_code="3506") == [county]


def test_what_is_due_is_found_by_its_day(office: Office) -> None:
    who = someone()
    instant = office.act("AcceptCase", office.submitted(who, item_code=ON_THE_SPOT))
    waiting = office.submitted(who, item_code=ON_THE_SPOT)
    office.draft(who)
    today = date.fromisoformat(instant.deadlines.promised_decision.due_date)
    notice = date.fromisoformat(waiting.deadlines.correction_notice.due_date)
    assert listed(office, who, due_before=today.isoformat()) == [instant.id]
    assert listed(office, who, due_before=(today - timedelta(days=1)).isoformat()) == []
    assert listed(office, who, due_before=(notice - timedelta(days=1)).isoformat()) == [instant.id]
    assert listed(office, who, due_before=notice.isoformat()) == [waiting.id, instant.id]


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"page_size": -1}, "page_size"),
        ({"page_size": 101}, "page_size"),
        ({"state": 99}, "state"),
        ({"due_before": "2026-02-30"}, "due_before"),
        ({"region_code": "35"}, "region_code"),
        ({"item_code": "x" * 33}, "item_code"),
        ({"number": "a\x00b"}, "number"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(office: Office, filters: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        office.ask("ListCases", by=CITIZEN, **filters)
    assert list(refused.value.fields) == [field]


def test_a_page_has_twenty_unless_asked_otherwise(office: Office) -> None:
    who = someone()
    made = [office.draft(who).id for _ in range(23)]
    first = office.ask("ListCases", by=who)
    assert [case.id for case in first.cases] == made[:2:-1]
    second = office.ask("ListCases", by=who, page_token=first.next_page_token)
    assert [case.id for case in second.cases] == made[2::-1]
    assert second.next_page_token == ""
    assert [case.id for case in paged(office, "ListCases", "cases", who, 5)] == made[::-1]
    assert [case.id for case in paged(office, "ListCases", "cases", who, 23)] == made[::-1]


def test_pages_stay_whole_while_cases_come_and_change(office: Office) -> None:
    who = someone()
    made = [office.draft(who, item_code=ON_THE_SPOT) for _ in range(6)]
    first = office.ask("ListCases", by=who, page_size=2)
    new = office.draft(who)
    office.act("SubmitCase", made[1], who)
    office.act("SubmitCase", made[5], who)
    rest = office.ask("ListCases", by=who, page_size=10, page_token=first.next_page_token)
    seen = [case.id for case in (*first.cases, *rest.cases)]
    assert seen == [case.id for case in made[::-1]]
    assert new.id not in seen


def test_cases_of_one_instant_are_all_seen(office: Office) -> None:
    who = someone()
    now = datetime.now(UTC)
    made = {office.case_at(now, by=who).id for _ in range(7)}
    seen = [case.id for case in paged(office, "ListCases", "cases", who, 2)]
    assert len(seen) == 7
    assert set(seen) == made


def test_a_page_token_of_other_filters_is_refused(office: Office) -> None:
    who = someone()
    for _ in range(3):
        office.draft(who)
    token = office.ask("ListCases", by=who, page_size=1).next_page_token
    for filters in ({"state": 1}, {"item_code": FOOD}, {"open_only": True}):
        with pytest.raises(Refused) as refused:
            office.ask("ListCases", by=who, page_token=token, **filters)
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.reason == "PAGE_TOKEN_INVALID"
    for rpc, by in (("ListNotices", who), ("ListGrants", None), ("ListItems", None)):
        with pytest.raises(Refused, match="PAGE_TOKEN_INVALID"):
            office.ask(rpc, by=by, page_token=token)
    # Rows, not tokens, are what a caller is kept from: another's token shows nothing of theirs.
    assert listed(office, someone(), page_token=token) == []


def test_each_role_sees_its_rows(office: Office) -> None:
    who = someone()
    applicant = {"subject_type": "SUBJECT_TYPE_ORGANISATION", "identity_number": COMPANY_NUMBER}
    company = elsewhere(COMPANY, subject=f"company-{next(_people)}")
    town = office.submitted(who, item_code=ON_THE_SPOT, region_code="350602001")
    county = office.submitted(who, item_code=COUNTY)
    other_county = office.submitted(who, item_code=ON_THE_SPOT, region_code="350603")
    other_department = office.submitted(company, item_code=OTHER_DEPARTMENT, applicant=applicant)
    draft = office.draft(who)
    gone = office.act("WithdrawCase", office.draft(who), who)
    mine = {town.id, county.id, other_county.id}
    universe = {*mine, other_department.id, draft.id, gone.id}

    def sees(by: Who) -> set[str]:
        cases = paged(office, "ListCases", "cases", by, 100)
        return {case.id for case in cases} & universe

    assert sees(who) == {*mine, draft.id, gone.id}
    assert sees(company) == {other_department.id}
    assert sees(someone()) == set()
    for role in (CLERK, APPROVER):
        assert sees(role) == mine
        assert sees(elsewhere(role, region="350602")) == {town.id, county.id}
        assert sees(elsewhere(role, region="350602001")) == {town.id}
        assert sees(elsewhere(role, region="350603")) == {other_county.id}
        assert sees(elsewhere(role, org="SWJ")) == {other_department.id}
        assert sees(elsewhere(role, org="")) == set()
        assert sees(elsewhere(role, region="")) == set()
    for role in (SUPERVISOR, AUDITOR):
        assert sees(role) == {*mine, other_department.id}
        assert sees(elsewhere(role, region="350603")) == {other_county.id}
        assert sees(elsewhere(role, region="3505")) == set()
        assert sees(elsewhere(role, region="")) == set()
    # Who is several things sees what each of them sees.
    both = elsewhere(who, roles=("citizen", "clerk"), org="SWJ")
    assert sees(both) == {*mine, draft.id, gone.id, other_department.id}


def test_notices_come_newest_first_in_the_language_asked_for(office: Office) -> None:
    who = someone()
    case = office.submitted(who, item_code=ON_THE_SPOT)
    now = datetime.now(UTC)
    kinds = ("CaseSubmitted", "CaseAccepted", "CaseGranted")

    def tell(session: Any) -> None:
        for number, kind in enumerate(kinds):
            reactions.notify_applicant(
                session,
                event_id=f"00000000-0000-4000-8000-{next(_people):012d}",
                type=kind,
                owner=who.subject,
                case_id=case.id,
                case_number=case.number,
                item_name=case.item_name,
                time=now + timedelta(seconds=number),
            )

    office.database.write(tell)
    notices = office.ask("ListNotices", by=who).notices
    assert [notice.text for notice in notices] == [
        f"您申报的“{case.item_name}”已准予。",
        f"您申报的“{case.item_name}”已受理。",
        f"您申报的“{case.item_name}”已收到。",
    ]
    assert {(notice.case_id, notice.case_number) for notice in notices} == {(case.id, case.number)}
    english = office.ask("ListNotices", by=who, lang="en").notices
    assert english[0].text == f"Your application for {case.item_name} has been granted."
    assert [notice.id for notice in paged(office, "ListNotices", "notices", who, 1)] == [one.id for one in notices]
    assert not office.ask("ListNotices", by=someone()).notices


def test_the_register_of_grants_is_open_to_everyone(office: Office) -> None:
    def enter(session: Any) -> None:
        for number in range(5):
            reactions.publish_grant(
                session,
                case_number=f"3506022026110100{number:03d}0",
                item_code=FOOD if number % 2 else COUNTY,
                item_name="食品经营许可",
                applicant_name="陈**",
                department_code="SCJG",
                document_number=f"漳SCJG准〔2026〕{number:05d}号",
                decision_date=date(2026, 11, 1 + number // 2),
            )

    office.database.write(enter)
    grants = office.ask("ListGrants").grants
    assert [grant.decision_date for grant in grants] == [
        "2026-11-03",
        "2026-11-02",
        "2026-11-02",
        "2026-11-01",
        "2026-11-01",
    ]
    assert grants[0].applicant_name == "陈**"
    assert len(office.ask("ListGrants", item_code=FOOD).grants) == 2
    assert not office.ask("ListGrants", item_code="NONE").grants
    assert paged(office, "ListGrants", "grants", None, 2) == list(grants)


def test_a_history_is_read_page_by_page(office: Office) -> None:
    case = office.in_state("CLOSED")
    entries = paged(office, "ListCaseHistory", "entries", CLERK, 4, case_id=case.id)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1].action == "CLOSE"
    other = office.in_state("SUBMITTED")
    token = office.ask("ListCaseHistory", by=CLERK, case_id=case.id, page_size=1).next_page_token
    with pytest.raises(Refused, match="PAGE_TOKEN_INVALID"):
        office.ask("ListCaseHistory", by=CLERK, case_id=other.id, page_token=token)
    assert state_of(other) == "SUBMITTED"
    assert entries[0].state == case_pb2.CASE_STATE_DRAFT
