"""A household's credit, and what follows from it in the other service: over HTTP and gRPC, on both databases and over
both buses, in processes and in containers; each of them is met, not each with each."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from e2e import numbers
from e2e.api_cases import Run
from e2e.clients import Client, GrpcClient, HttpClient, Json, Refused
from e2e.eventually import eventually
from e2e.providers.cities import Bus, Cities, Database, Place
from e2e.tokens import Tokens
from tulou_city.layout import HOST, City

WAYS: Final[list[tuple[Database, Bus, Place, type[HttpClient] | type[GrpcClient]]]] = [
    ("sqlite", "in-process", "processes", HttpClient),
    ("sqlite", "rabbitmq", "processes", GrpcClient),
    ("postgresql", "in-process", "processes", GrpcClient),
    ("postgresql", "rabbitmq", "processes", HttpClient),
    ("postgresql", "rabbitmq", "containers", HttpClient),
    ("postgresql", "rabbitmq", "containers", GrpcClient),
]
APPROVAL: Final = "tulou.approval.v1.ApprovalService"
CREDIT: Final = "tulou.credit.v1"
ORDINARY, SIMPLIFIED = "CASE_HANDLING_ORDINARY", "CASE_HANDLING_SIMPLIFIED"
EVALUATED: Final = {"purpose": "贷款审查", "typeCodes": ["PENALTY", "PROFESSION"]}


@dataclass
class Journey:
    """The people of one run, and the one trace that all they do is part of."""

    city: City
    client: Client
    trace_id: str
    run: Run

    def do(self, rpc: str, change: Json | None = None, *, by: str = "") -> Json:
        """One call; see Run.do."""
        return self.run.do(rpc, change, caller=by)

    def take_in(self, rows: str) -> Json:
        """Sends a file of these rows and gives what became of them."""
        self.run.prepare(
            (
                {"call": "UploadImport", "change": {"file.data": f"${{csv:{rows}}}"}},
                {"call": "GetImport", "until": {"operation.done": True}},
            )
        )
        assert self.run.known["operation"]["metadata"]["state"] == "IMPORT_STATE_DONE"
        response: Json = self.run.known["operation"]["response"]
        return {name: int(count) for name, count in response.items() if name != "@type" and int(count)}

    def events(self, types: list[str], subject: str) -> list[Json]:
        """As many events about `subject` as there are types, as who runs the platform reads them; they are of these."""
        found: list[Json] = []
        token = self.run.token("operator")
        with closing(self.client.watch({"types": types}, token=token, rpc="credit.WatchEvents")) as stream:
            for event in stream:
                if subject in (event["data"].get("recordId"), event["data"].get("subjectId")):
                    found.append(event)
                if len(found) == len(types):
                    break
        assert [event["type"] for event in found] == types
        return found

    def accepted(self) -> Json:
        """A new case of the firm, handed in and accepted."""
        self.run.prepare(("an accepted case of the firm",))
        return self.run.known["case"]  # type: ignore[no-any-return]

    def repair(self, record_id: str) -> None:
        """The firm asks for repair of the record, and the department grants it."""
        assert self.do("GetRepairConditions", {"recordId": record_id})["unmet"] == []
        self.do("UploadEvidence")
        self.do("SubmitRepair", {"recordId": record_id})
        self.do("AcceptRepair")
        assert self.do("GrantRepair")["repair"]["state"] == "REPAIR_STATE_GRANTED"

    def turns(self, handling: str) -> Json:
        """The case as the clerk sees it, once it is handled so."""

        def look() -> Json:
            case: Json = self.do("GetCase", by="clerk")["case"]
            assert case["handling"] == handling
            return case

        return eventually(look)

    def edges(self) -> set[tuple[str, str, str, str]]:
        """Who called whom in the journey's trace, as far as it has arrived: service and span, service and span."""
        answer = httpx.get(f"http://{HOST}:{self.city.port + 1}/api/traces/{self.trace_id}", trust_env=False)
        spans: list[Json] = answer.json()["spans"] if answer.is_success else []
        by_id = {span["spanId"]: span for span in spans}
        return {
            (*_place(by_id[span["parentSpanId"]]), *_place(span)) for span in spans if span["parentSpanId"] in by_id
        }


@pytest.fixture(params=WAYS, ids=lambda way: "-".join([*way[:3], way[3].name]))
def journey(request: pytest.FixtureRequest, cities: Cities) -> Iterator[Journey]:
    database, bus, place, kind = request.param
    city = cities(database=database, bus=bus, place=place)
    client: Client = kind(city.url if kind is HttpClient else f"{HOST}:{city.port}")
    trace_id = secrets.token_hex(16)
    run = Run(client, Tokens(city), traceparent=lambda: f"00-{trace_id}-{secrets.token_hex(8)}-01")
    yield Journey(city, client, trace_id, run)
    client.close()


def test_a_penalty_from_the_file_to_its_correction(journey: Journey) -> None:
    do = journey.do
    assert journey.take_in("penalty of a person") == {"rowsCreated": 1}
    subject = do("FindPerson")["subject"]
    of_person = {"subjectId": subject["id"]}
    number = journey.run.resolve("${person}")
    assert (subject["kind"], subject["code"]) == ("SUBJECT_KIND_PERSON", "")
    # Published: everyone sees it, with no number in it.
    [record] = do("ListRecords", of_person)["records"]
    record_id = record["id"]
    assert (record["typeCode"], record["severity"]) == ("PENALTY", "SEVERITY_GENERAL")
    assert not numbers.in_clear(str(record).encode())

    # What is not public is for whom the person authorises, for what and as often as that says.
    with pytest.raises(Refused) as refused:
        do("QueryRecords", {**of_person, **EVALUATED})
    assert refused.value.metadata["lacks"] == "NO_AUTHORISATION"
    scope = {"authorisation.typeCodes": EVALUATED["typeCodes"]}
    authorisation = do("GrantAuthorisation", scope, by="person")["authorisation"]
    answered = do("QueryRecords", {**of_person, **EVALUATED})
    assert [each["id"] for each in answered["records"]] == [record_id]
    with pytest.raises(Refused) as refused:
        do("QueryRecords", {**of_person, **EVALUATED})
    assert refused.value.metadata["lacks"] == "USED_UP"
    [query] = do("ListQueries", of_person, by="person")["queries"]
    assert query == answered["query"]
    assert (query["authorisationId"], query["purpose"]) == (authorisation["id"], EVALUATED["purpose"])

    do("FileObjection", {"recordId": record_id, "reason": "违法事实的认定有误，本人已办理变更登记。"}, by="person")
    assert do("GetRecord", {"recordId": record_id})["record"]["disputed"] is True
    do("ForwardObjection")
    assert do("DecideObjection")["objection"]["state"] == "OBJECTION_STATE_UPHELD"
    with pytest.raises(Refused) as refused:
        do("CloseObjection")
    assert refused.value.reason == "NOT_CORRECTED"
    assert journey.take_in("corrected penalty of a person") == {"rowsSuperseded": 1}
    do("CloseObjection")
    corrected = do("GetRecord", {"recordId": record_id})["record"]
    assert corrected["disputed"] is False
    assert corrected["version"] == 2
    assert corrected["content"]["facts"].startswith("经复核")
    versions = do("ListRecordVersions", {"recordId": record_id}, by="person")["versions"]
    assert [version["content"]["facts"][:3] for version in versions] == ["检查发", "经复核"]
    # The same file again is known.
    assert journey.take_in("corrected penalty of a person") == {"rowsUnchanged": 1}

    journey.events(
        [
            "RecordPublished",
            "ObjectionFiled",
            "ObjectionForwarded",
            "ObjectionDecided",
            "RecordSuperseded",
            "ObjectionClosed",
        ],
        record_id,
    )
    filed = f"{CREDIT}.ObjectionService/FileObjection"
    _find(journey, {("gateway", "*", "credit", filed), ("credit", filed, "worker", "credit.ObjectionFiled publish")})
    report = do("CreateReport", by="person")["report"]
    content = do("GetReport", by="person")["report"]["content"]
    assert [each["asker"] for each in content["queries"]] == [query["asker"]]
    assert number not in str(content)
    assert do("VerifyReport")["contentSha256"] == report["contentSha256"]


def test_credit_opens_the_fast_lane_closes_it_and_opens_it_again(journey: Journey) -> None:
    do = journey.do
    journey.run.prepare(("an item that may be simplified", "an honour"))
    subject_id = journey.run.known["subject"]["id"]

    # With an honour and nothing against it; and the licence that is granted is credit information itself.
    first = journey.accepted()
    assert (first["handling"], first["creditCheck"]["outcome"]) == (SIMPLIFIED, "CREDIT_CHECK_OUTCOME_APPLIED")
    assert [measure["code"] for measure in first["creditCheck"]["measures"]] == ["FAST_LANE"]
    do("StartReview")
    granted = do("GrantCase")["case"]
    licences = {"subjectId": subject_id, "typeCode": "LICENCE"}
    [record] = eventually(lambda: do("ListRecords", licences)["records"])
    assert record["content"]["document_number"] == granted["decision"]["documentNumber"]
    assert record["source"] == "SCJG"

    # A penalty closes the lane; when its minimum period is over it can be repaired, and the lane is open.
    journey.take_in("penalty")
    second = journey.accepted()
    assert second["handling"] == ORDINARY
    assert [measure["code"] for measure in second["creditCheck"]["measures"]] == ["ORDINARY_ONLY"]
    [penalty] = do("ListRecords", {"subjectId": subject_id, "typeCode": "PENALTY"})["records"]
    journey.repair(penalty["id"])
    assert do("ListRecords", {"subjectId": subject_id, "typeCode": "PENALTY"})["records"] == []
    third = journey.accepted()
    assert third["handling"] == SIMPLIFIED

    # The serious-default list turns the running case, and the repair turns it back.
    journey.run.prepare(("an entry of the serious list",))
    record_id = journey.run.known["recordId"]
    turned = journey.turns(ORDINARY)
    assert turned["turnedOrdinaryBy"] == record_id
    assert turned["deadlines"] != third["deadlines"]
    journey.repair(record_id)
    back = journey.turns(SIMPLIFIED)
    assert back["deadlines"] == third["deadlines"]
    assert back["turnedOrdinaryBy"] == ""
    actions = [entry["action"] for entry in do("ListCaseHistory", {"pageSize": 100}, by="firm")["entries"]]
    assert actions[-2:] == ["TURN_ORDINARY", "TURN_SIMPLIFIED"]

    accept, check = f"{APPROVAL}/AcceptCase", f"{CREDIT}.CreditService/CheckSubject"
    grant, put = f"{APPROVAL}/GrantCase", f"{CREDIT}.CreditService/PutRecord"
    granting = f"{CREDIT}.RepairService/GrantRepair"
    _find(
        journey,
        {
            ("gateway", "*", "approval", accept),
            ("approval", accept, "approval", check),
            ("approval", check, "credit", check),
            ("approval", grant, "worker", "approval.CaseGranted publish"),
            ("approval", grant, "credit worker", "approval.CaseGranted process"),
            ("credit worker", "approval.CaseGranted process", "worker", "INSERT"),
            ("gateway", "*", "credit", put),
            ("credit", put, "worker", "credit.StandingChanged publish"),
            ("credit", put, "approval worker", "credit.StandingChanged process"),
            ("approval worker", "credit.StandingChanged process", "worker", "UPDATE"),
            ("credit", granting, "approval worker", "credit.StandingChanged process"),
        },
    )


def _find(journey: Journey, wanted: set[tuple[str, str, str, str]]) -> None:
    """Waits until the trace has all that is wanted; "*" stands for any name of the span of the gateway."""

    def look() -> None:
        edges = journey.edges()
        found = edges | {(service, "*", *rest) for service, _, *rest in edges if service == "gateway"}
        assert wanted <= found, sorted(wanted - found)

    eventually(look)


def _place(span: Json) -> tuple[str, str]:
    """Its service and its name; of a statement's name only the verb, for the rest differs between databases. One
    process works for all services: whose handler a span is of, its attributes say."""
    service, name, attributes = span["service"], span["name"], span["attributes"]
    if "tulou.handler" in attributes:
        service = f"{attributes['tulou.handler'].partition('.')[0]} worker"
    elif service.endswith("worker"):
        service = "worker"
    return service, name.split()[0] if "db.system" in attributes else name
