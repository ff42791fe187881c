"""Writes happen once: the same request_id, a stale etag, and many at the same moment."""

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from sqlmodel import func, select

from services.approval.tests.office import (
    ADMIN,
    CITIZEN,
    CLERK,
    COMPANY,
    FOOD,
    ON_THE_SPOT,
    Office,
    Refused,
    application,
    elsewhere,
    item,
    request,
    state_of,
)
from tulou.approval.v1 import case_pb2
from tulou_approval.models import Case, CaseDocument, ItemVersion
from tulou_chassis.tables import HistoryRecord, IdempotencyRecord, OutboxEvent
from tulou_civics.identifiers import check_case_number


def rows(office: Office, *where: Any) -> int:
    return office.database.read(lambda session: session.exec(select(func.count()).where(*where)).one())


def at_once(count: int, do: Callable[[int], Any]) -> list[Any]:
    """What each of so many callers at the same moment gets: an answer or a Refused."""

    def one(number: int) -> Any:
        try:
            return do(number)
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def reasons(answers: list[Any]) -> Counter[str]:
    """How many were refused why; "" for those that were not."""
    return Counter(answer.reason if isinstance(answer, Refused) else "" for answer in answers)


def test_a_replay_gets_the_identical_answer(office: Office) -> None:
    message = request("CreateCase", case=application())
    first = office.send("CreateCase", message, by=CITIZEN)
    again = office.send("CreateCase", message, by=CITIZEN)
    assert again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
    assert rows(office, HistoryRecord.aggregate == first.case.id) == 1


def test_a_replay_gets_its_answer_after_the_case_moved_on(office: Office) -> None:
    draft = office.draft(item_code=ON_THE_SPOT)
    submit = request("SubmitCase", case_id=draft.id, etag=draft.etag)
    first = office.send("SubmitCase", submit, by=CITIZEN)
    accept = request("AcceptCase", case_id=draft.id, etag=first.case.etag)
    accepted = office.send("AcceptCase", accept, by=CLERK)
    office.act("GrantCase", accepted.case)
    assert office.send("SubmitCase", submit, by=CITIZEN) == first
    assert office.send("AcceptCase", accept, by=CLERK) == accepted
    assert state_of(office.case(draft.id)) == "GRANTED"
    assert rows(office, CaseDocument.case_id == draft.id, CaseDocument.kind == "RECEIPT") == 1
    assert rows(office, OutboxEvent.subject == draft.id, OutboxEvent.type == "CaseSubmitted") == 1


def test_the_same_id_with_another_payload_is_refused(office: Office) -> None:
    request_id = str(uuid.uuid4())
    office.ask("CreateCase", by=CITIZEN, request_id=request_id, case=application())
    for changed in (application(title="另一个"), application(form={}), application(applicant={"phone": "13950699999"})):
        with pytest.raises(Refused) as refused:
            office.ask("CreateCase", by=CITIZEN, request_id=request_id, case=changed)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


def test_an_id_belongs_to_its_caller_and_rpc(office: Office) -> None:
    request_id = str(uuid.uuid4())
    first = office.ask("CreateCase", by=CITIZEN, request_id=request_id, case=application())
    other = office.ask("CreateCase", by=COMPANY, request_id=request_id, case=application())
    assert first.case.id != other.case.id
    office.act("UpdateCase", first.case, request_id=request_id)


def test_twenty_identical_calls_at_once_make_one_case(office: Office) -> None:
    message = request("CreateCase", case=application(title="二十个同样的请求"))
    answers = at_once(20, lambda _: office.send("CreateCase", message, by=CITIZEN))
    assert {type(answer) for answer in answers} == {type(answers[0])}
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert rows(office, Case.title == "二十个同样的请求") == 1
    assert rows(office, IdempotencyRecord.request_id == message.request_id) == 1  # type: ignore[attr-defined]


def test_twenty_identical_submissions_at_once_submit_once(office: Office) -> None:
    draft = office.draft(item_code=ON_THE_SPOT)
    message = request("SubmitCase", case_id=draft.id, etag=draft.etag)
    answers = at_once(20, lambda _: office.send("SubmitCase", message, by=CITIZEN))
    assert len({answer.case.number for answer in answers}) == 1
    assert rows(office, HistoryRecord.aggregate == draft.id, HistoryRecord.action == "SUBMIT") == 1


def test_a_failure_is_not_kept(office: Office) -> None:
    draft = office.draft(form={}, item_code=ON_THE_SPOT)
    request_id = str(uuid.uuid4())
    with pytest.raises(Refused, match="FORM_INVALID"):
        office.act("SubmitCase", draft, request_id=request_id)
    assert rows(office, IdempotencyRecord.request_id == request_id) == 0
    fixed = office.act(
        "UpdateCase", draft, case={"form": {"shop": "店", "area": 1, "owner": {"name": "人"}}}, update_mask="form"
    )
    assert state_of(office.act("SubmitCase", fixed, request_id=request_id)) == "SUBMITTED"


def test_reads_keep_nothing(office: Office) -> None:
    case = office.submitted()
    before = rows(office, IdempotencyRecord.subject != "")
    office.case(case.id)
    office.ask("ListCases", by=CLERK)
    office.ask("RevealApplicant", by=CLERK, case_id=case.id, purpose="核对申请人身份")
    assert rows(office, IdempotencyRecord.subject != "") == before


def test_a_stale_etag_is_refused_with_the_one_to_read(office: Office) -> None:
    case = office.submitted()
    current = office.act("StartPreReview", case)
    for etag in (case.etag, "v0", "x", "V" + current.etag[1:]):
        with pytest.raises(Refused) as refused:
            office.act("AcceptCase", current, etag=etag)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
        assert refused.value.metadata == {"etag": current.etag}
    assert state_of(office.act("AcceptCase", current)) == "ACCEPTED"


def test_of_two_acts_at_once_one_wins(office: Office) -> None:
    for _ in range(5):
        case = office.submitted(item_code=ON_THE_SPOT)
        answers = at_once(2, lambda n, case=case: office.act(("AcceptCase", "DeclineCase")[n], case))  # type: ignore[misc]
        refused = [answer for answer in answers if isinstance(answer, Refused)]
        [won] = [answer for answer in answers if not isinstance(answer, Refused)]
        assert [(one.code, one.reason) for one in refused] == [(grpc.StatusCode.ABORTED, "ETAG_STALE")]
        assert refused[0].metadata == {"etag": won.etag}
        assert office.case(case.id).state == won.state
        assert rows(office, HistoryRecord.aggregate == case.id) == 3
        assert office.breaks(case.id) == []


def test_no_update_is_lost(office: Office) -> None:
    draft = office.draft(form={})

    def add(number: int) -> None:
        while True:
            current = office.case(draft.id, CITIZEN)
            form = {**dict(current.form), f"n{number}": number}
            try:
                office.act("UpdateCase", current, case={"form": form}, update_mask="form")
            except Refused as refused:
                if refused.reason != "ETAG_STALE":
                    raise
            else:
                return

    at_once(8, add)
    assert set(office.case(draft.id, CITIZEN).form) == {f"n{number}" for number in range(8)}


def test_thirty_submissions_at_once_get_numbers_of_their_own(office: Office) -> None:
    drafts = [office.draft(item_code=ON_THE_SPOT, region_code="350624") for _ in range(30)]
    submitted = at_once(30, lambda n: office.act("SubmitCase", drafts[n]))
    numbers = [case.number for case in submitted]
    assert len(set(numbers)) == 30
    assert all(check_case_number(number) == number for number in numbers)
    # The running number is of region and day, without gaps.
    assert sorted(int(number[14:19]) for number in numbers) == list(range(1, 31))
    receipts = office.database.read(
        lambda session: session.exec(select(CaseDocument.number).where(CaseDocument.kind == "RECEIPT")).all()
    )
    assert max(Counter(receipts).values()) == 1


def test_regions_and_documents_count_on_their_own(office: Office) -> None:
    here = office.submitted(item_code=ON_THE_SPOT, region_code="350625")
    there = office.submitted(item_code=ON_THE_SPOT, region_code="350626")
    town = office.submitted(item_code=ON_THE_SPOT, region_code="350602001")
    city = office.submitted(item_code=ON_THE_SPOT, region_code="3506")
    assert (here.number[:6], there.number[:6]) == ("350605", "350626")
    assert (town.number[:6], city.number[:6]) == ("350602", "350600")
    assert there.number[14:19] == "00001"
    year = there.number[6:10]
    document = office.ask("ListCaseDocuments", by=CITIZEN, case_id=there.id).documents[0]
    assert document.number.startswith(f"漳SCJG收〔{year}〕")


def test_two_admins_cannot_make_one_item(office: Office) -> None:
    answers = at_once(6, lambda _: office.ask("CreateItem", by=ADMIN, item=item("SCJG-XK-9801")))
    assert (
        sorted(answer.reason if isinstance(answer, Refused) else "" for answer in answers) == [""] + ["ITEM_EXISTS"] * 5
    )
    assert rows(office, ItemVersion.code == "SCJG-XK-9801") == 1


def test_two_admins_cannot_draft_one_version(office: Office) -> None:
    admins = [elsewhere(ADMIN, subject=f"admin-{n}") for n in range(6)]
    answers = at_once(6, lambda n: office.ask("DraftItem", by=admins[n], code=FOOD))
    assert (
        sorted(answer.reason if isinstance(answer, Refused) else "" for answer in answers) == [""] + ["ITEM_STATE"] * 5
    )
    assert rows(office, ItemVersion.code == FOOD) == 2


def test_answers_of_a_write_are_read_by_the_next_call(office: Office) -> None:
    for _ in range(10):
        draft = office.draft()
        assert office.case(draft.id, CITIZEN) == draft
        assert draft.id in {case.id for case in office.ask("ListCases", by=CITIZEN).cases}
    assert case_pb2.CASE_ACTION_SUBMIT in draft.allowed_actions
