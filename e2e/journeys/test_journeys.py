"""Whole lives of a case, the same over HTTP and gRPC, on both databases and over both buses, in
processes and in containers."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import httpx
import pytest

from e2e.api_cases import Run
from e2e.clients import Client, GrpcClient, HttpClient, Json
from e2e.eventually import eventually
from e2e.providers.cities import Bus, Cities, Database, Place, by_hand
from e2e.tokens import Tokens
from tulou_city.layout import HOST, City
from tulou_civics import identifiers

CITIES: Final[list[tuple[Database, Bus, Place]]] = [
    ("sqlite", "in-process", "processes"),
    ("sqlite", "rabbitmq", "processes"),
    ("postgresql", "in-process", "processes"),
    ("postgresql", "rabbitmq", "processes"),
    ("postgresql", "rabbitmq", "containers"),
]
SERVICE: Final = "tulou.approval.v1.ApprovalService"


@dataclass
class Journey:
    """One case's life: the people in it, the one trace that all they do is part of, and the states it went through."""

    city: City
    client: Client
    trace_id: str
    run: Run
    states: list[str]

    def go(self, rpc: str, **change: Any) -> Json:
        """One step; gives the case after it, whose deadlines are those that its history explains."""
        case: Json = self.run.do(rpc, change)["case"]
        self.states.append(case["state"].removeprefix("CASE_STATE_"))
        explained = {clock["kind"]: clock for clock in self.clocks()}
        running = {kind: clock["deadline"] for kind, clock in explained.items() if not clock["stopDate"]}
        assert {_kind(name): deadline for name, deadline in case.get("deadlines", {}).items()} == running
        return case

    def file(self, region: str = "350602") -> Json:
        """A draft, its four materials, and the submission."""
        self.run.do("CreateCase", {"case.regionCode": region})
        for code in ("M01", "M02", "M03", "M04"):
            self.run.do("UploadMaterial", {"materialCode": code})
        self.run.do("GetCase")
        return self.go("SubmitCase")

    def clocks(self) -> list[Json]:
        """How the deadlines came about."""
        return self.run.do("ExplainClock", caller="clerk")["clocks"]  # type: ignore[no-any-return]

    def standing(self) -> set[str]:
        """The deadlines whose clock stands still."""
        return {clock["kind"].removeprefix("DEADLINE_KIND_") for clock in self.clocks() if clock["paused"]}

    def events(self, count: int, *, after: int = 0) -> list[Json]:
        """The first `count` events of the case behind the position `after`, as a partner reads them."""
        found: list[Json] = []
        positions = [after]
        with closing(self.client.watch({"after": str(after)}, token=self.run.token("partner"))) as stream:
            for event in stream:
                positions.append(int(event["position"]))
                if event["subject"] == self.run.known["case"]["id"]:
                    found.append(event)
                if len(found) == count:
                    break
        assert all(earlier < later for earlier, later in pairwise(positions))
        return found

    def notices(self, count: int) -> list[str]:
        """The texts of all notices to the applicant, oldest first, once there are `count`."""

        def look() -> list[str]:
            found = self.run.do("ListNotices", {"pageSize": 100})["notices"]
            assert len(found) == count, found
            return [notice["text"] for notice in reversed(found)]

        return eventually(look)

    def registered(self) -> list[Json]:
        """The grants of this case in the public register."""
        grants = self.run.do("ListGrants", {"pageSize": 100})["grants"]
        return [grant for grant in grants if grant["caseNumber"] == self.run.known["case"]["number"]]

    def spans(self) -> list[Json]:
        """The spans of the journey's trace that have arrived."""
        answer = httpx.get(f"http://{HOST}:{self.city.port + 1}/api/traces/{self.trace_id}", trust_env=False)
        return answer.json()["spans"] if answer.is_success else []


@pytest.fixture(params=CITIES, ids="-".join, scope="module")
def city(request: pytest.FixtureRequest, cities: Cities) -> City:
    database, bus, place = request.param
    return cities(database=database, bus=bus, place=place)


@pytest.fixture(params=[HttpClient, GrpcClient], ids=["http", "grpc"])
def journey(request: pytest.FixtureRequest, city: City) -> Iterator[Journey]:
    client: Client = request.param(city.url if request.param is HttpClient else f"{HOST}:{city.port}")
    trace_id = secrets.token_hex(16)
    run = Run(client, Tokens(city), traceparent=lambda: f"00-{trace_id}-{secrets.token_hex(8)}-01")
    yield Journey(city, client, trace_id, run, [])
    client.close()


def test_a_licence_from_the_application_to_the_archive(journey: Journey) -> None:
    go = journey.go
    submitted = journey.file()
    assert identifiers.check_case_number(submitted["number"]) == submitted["number"]
    go("StartPreReview")
    go("RequestCorrection")
    journey.run.do("UploadMaterial", {"materialCode": "M03", "filename": "更正后的平面图.pdf"})
    journey.run.do("GetCase")
    resubmitted = go("ResubmitCase")
    assert resubmitted["number"] == submitted["number"]
    accepted = go("AcceptCase")
    go("StartReview")
    paused = go("PauseCase")
    assert paused["specialProcedure"]["ground"] == "PAUSE_GROUND_EXPERT_REVIEW"
    assert journey.standing() == {"PROMISED_DECISION", "STATUTORY_DECISION"}
    go("ResumeCase")
    assert journey.standing() == set()
    extended = go("ExtendCase")
    statutory = "statutoryDecision"
    assert extended["deadlines"][statutory]["dueDate"] > accepted["deadlines"][statutory]["dueDate"]
    granted = go("GrantCase")
    certified = go("CertifyCase")
    go("DeliverCase")
    closed = go("CloseCase")
    assert journey.states == [
        "SUBMITTED", "PRE_REVIEW", "NEED_SUPPLEMENT", "SUBMITTED", "ACCEPTED", "UNDER_REVIEW", "SPECIAL_PROCEDURE",
        "UNDER_REVIEW", "EXTENDED", "GRANTED", "CERTIFIED", "DELIVERED", "CLOSED",
    ]  # fmt: skip

    identifier = certified["licence"]["identifier"]
    assert identifiers.check_licence_identifier(identifier) == identifier
    assert submitted["number"] in identifier
    assert certified["licence"]["expireDate"] > certified["licence"]["issueDate"]
    assert "deadlines" not in closed
    _check_clocks(journey.clocks())
    _check_tracking(journey)
    _check_history(journey)

    names = [
        "CaseSubmitted", "CaseCorrectionRequested", "CaseSubmitted", "CaseAccepted", "CaseReviewStarted", "CasePaused",
        "CaseResumed", "CaseExtended", "CaseGranted", "CaseCertified", "CaseDelivered", "CaseClosed",
    ]  # fmt: skip
    events = journey.events(len(names))
    assert [event["type"] for event in events] == names
    assert [event["data"]["resubmitted"] for event in events if event["type"] == "CaseSubmitted"] == [False, True]
    assert len({event["id"] for event in events}) == len(names)
    # A partner that comes back gets what it has not seen, and nothing twice.
    assert journey.events(len(names) - 5, after=int(events[4]["position"])) == events[5:]

    texts = journey.notices(10)
    assert texts[0] == "您申报的“食品经营许可（新办）”已收到。"
    assert texts[-1] == "您申报的“食品经营许可（新办）”办理结果已送达。"
    [grant] = eventually(journey.registered)
    assert grant["applicantName"] == identifiers.mask_name("林知夏")
    assert grant["documentNumber"] == granted["decision"]["documentNumber"]
    _check_trace(journey)
    _check_audit(journey.city)


def test_a_partner_sees_the_events_of_its_region_alone(journey: Journey) -> None:
    first, elsewhere, last = (journey.file(region)["id"] for region in ("350602", "350603", "350602"))

    def seen(partner: str, last: str) -> list[str]:
        subjects = []
        with closing(journey.client.watch({}, token=journey.run.token(partner))) as stream:
            for event in stream:
                subjects.append(event["subject"])
                if event["subject"] == last:
                    break
        return subjects

    here = seen("partner of a county", last)
    assert first in here
    assert elsewhere not in here
    there = seen("partner of another county", elsewhere)
    assert first not in there
    assert seen("partner without a region", last) == seen("partner of nowhere", last) == []


def test_a_refusal_gives_reasons_and_remedies_and_enters_no_register(journey: Journey) -> None:
    journey.file()
    journey.go("AcceptCase")
    journey.go("StartReview")
    refused = journey.go("RefuseCase")
    journey.go("DeliverCase")
    journey.go("CloseCase")
    assert journey.states == ["SUBMITTED", "ACCEPTED", "UNDER_REVIEW", "REFUSED", "DELIVERED", "CLOSED"]
    assert refused["decision"]["granted"] is False
    assert "行政复议" in refused["decision"]["remedies"]
    documents = journey.run.do("ListCaseDocuments")["documents"]
    assert [document["kind"].removeprefix("DOCUMENT_KIND_") for document in documents] == [
        "RECEIPT", "ACCEPTANCE", "REFUSAL", "DELIVERY_RECEIPT",
    ]  # fmt: skip
    assert refused["decision"]["remedies"] in documents[2]["text"]
    # In order: once the last event has become a notice, all before it have taken effect.
    assert journey.notices(4)[2] == "您申报的“食品经营许可（新办）”不予许可，请查看决定书。"
    assert journey.registered() == []


def test_an_applicant_withdraws_while_a_correction_is_awaited(journey: Journey) -> None:
    journey.file()
    journey.go("RequestCorrection")
    withdrawn = journey.go("WithdrawCase", reason="不再开店")
    assert journey.states == ["SUBMITTED", "NEED_SUPPLEMENT", "WITHDRAWN"]
    assert withdrawn["allowedActions"] == []
    assert "deadlines" not in withdrawn
    events = journey.events(3)
    assert [event["type"] for event in events] == ["CaseSubmitted", "CaseCorrectionRequested", "CaseWithdrawn"]
    journey.notices(2)


def test_a_case_for_another_organ_is_not_accepted_and_the_right_one_named(journey: Journey) -> None:
    journey.file()
    declined = journey.go("DeclineCase")
    assert journey.states == ["SUBMITTED", "NOT_ACCEPTED"]
    assert declined["allowedActions"] == []
    notice = journey.run.do("ListCaseDocuments")["documents"][-1]
    assert notice["kind"] == "DOCUMENT_KIND_NON_ACCEPTANCE"
    assert "请向漳州市卫生健康委员会申请" in notice["text"]
    assert journey.events(2)[1]["data"]["competentOrgan"] == "漳州市卫生健康委员会"
    assert journey.notices(2)[1].endswith("不予受理，请查看通知书。")


def _kind(field: str) -> str:
    return {
        "correctionNotice": "DEADLINE_KIND_CORRECTION_NOTICE",
        "promisedDecision": "DEADLINE_KIND_PROMISED_DECISION",
        "statutoryDecision": "DEADLINE_KIND_STATUTORY_DECISION",
        "delivery": "DEADLINE_KIND_DELIVERY",
    }[field]


def _check_clocks(clocks: list[Json]) -> None:
    explained = {clock["kind"].removeprefix("DEADLINE_KIND_"): clock for clock in clocks}
    assert explained.keys() == {"CORRECTION_NOTICE", "PROMISED_DECISION", "STATUTORY_DECISION", "DELIVERY"}
    assert all(clock["stopDate"] and clock["legalBasis"] and not clock["overdue"] for clock in clocks)
    allowed = {kind: clock["allowedDays"] for kind, clock in explained.items()}
    # The item's 10 days by law and the 10 of the extension.
    assert allowed["STATUTORY_DECISION"] == 20
    assert allowed["CORRECTION_NOTICE"] == 5


def _check_tracking(journey: Journey) -> None:
    tracked = journey.run.do("TrackCase")
    assert tracked["state"] == "CASE_STATE_CLOSED"
    assert [step["state"].removeprefix("CASE_STATE_") for step in tracked["steps"]] == journey.states
    assert "林知夏" not in str(tracked)


def _check_history(journey: Journey) -> None:
    entries = journey.run.do("ListCaseHistory", {"pageSize": 200})["entries"]
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    moved = [entry["state"].removeprefix("CASE_STATE_") for entry in entries]
    assert [state for state, before in zip(moved[1:], moved, strict=False) if state != before] == journey.states


def _check_audit(city: City) -> None:
    done = by_hand(city, "approval", "audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "are as they were written" in done.stdout


def _check_trace(journey: Journey) -> None:
    grant, granted = f"{SERVICE}/GrantCase", "approval.CaseGranted"
    wanted = {
        ("approval", grant, "approval", "INSERT"),
        ("approval", grant, "approval", "UPDATE"),
        ("approval", grant, "worker", f"{granted} publish"),
        ("approval", grant, "worker", f"{granted} process"),
        ("worker", f"{granted} process", "worker", "INSERT"),
    }

    def look() -> None:
        spans = journey.spans()
        by_id = {span["spanId"]: span for span in spans}
        edges = set()
        for span in spans:
            if parent := by_id.get(span["parentSpanId"]):
                edges.add((*_place(parent), *_place(span)))
        assert wanted <= edges, sorted(edges)
        # Between the caller and the service there is the gateway, whatever it calls its spans.
        calls = [span for span in spans if span["service"] == "approval" and span["name"] == grant]
        parents = [by_id.get(call["parentSpanId"], {}) for call in calls]
        assert [parent.get("service") for parent in parents] == ["gateway"]

    eventually(look)


def _place(span: Json) -> tuple[str, str]:
    """Its service and its name; of a statement's name only the verb, for the rest differs between databases."""
    name: str = span["name"]
    # One process can work for one service or for all of them.
    service = "worker" if span["service"].endswith("worker") else span["service"]
    return service, name.split()[0] if "db.system" in span["attributes"] else name
