"""Writes happen once and whole: the same request_id, a stale etag, many at the same moment, and refusals."""

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from sqlalchemy import inspect, text

from services.credit.tests.edge import (
    ADMIN,
    CITIZEN,
    CLERK,
    OFFICE,
    PARTNER,
    PDF,
    Edge,
    Refused,
    Who,
    authorisation,
    days_ago,
    elsewhere,
    entry,
    penalties,
)
from services.credit.tests.integration.test_access import measure, record_type
from services.credit.tests.store import firm
from tulou_chassis.tables import IdempotencyRecord, OutboxEvent
from tulou_credit import commands
from tulou_credit.models import Authorisation, QueryLog, Record, Subject

STATEMENT = "事实有误，我没有做过"
# RPC, by whom, with what, and with what else under the same request_id.
Write = tuple[str, Who, dict[str, Any], dict[str, Any]]


def register(edge: Edge) -> Write:
    subject = {"kind": "SUBJECT_KIND_ORGANISATION", "code": firm(), "name": "幂等茶厂"}
    return "RegisterSubject", CLERK, subject, {"name": "别的茶厂"}


def put(edge: Edge) -> Write:
    return "PutRecord", CLERK, entry(firm()), {"organ_name": "别的机关"}


def withdraw(edge: Edge) -> Write:
    _, record_id = edge.breach()
    mistake, annulled = "WITHDRAWAL_REASON_SENT_BY_MISTAKE", "WITHDRAWAL_REASON_REVOKED"
    return "WithdrawRecord", CLERK, {"record_id": record_id, "reason": mistake}, {"reason": annulled}


def drop(edge: Edge) -> Write:
    taken = edge.taken(penalties({"CF_JDRQ": "2024-02-30"}, {"CF_JDRQ": "2024-02-31"}))
    return "DropRow", CLERK, {"import_id": taken.import_id, "row": 2}, {"row": 3}


def grant(edge: Edge) -> Write:
    company, _ = edge.breach()
    return (
        "GrantAuthorisation",
        company,
        {"authorisation": authorisation()},
        {"authorisation": authorisation(uses_max=1)},
    )


def file(edge: Edge) -> Write:
    company, record_id = edge.breach()
    return "FileObjection", company, {"record_id": record_id, "reason": STATEMENT}, {"reason": f"{STATEMENT}！"}


def submit(edge: Edge) -> Write:
    company, record_id = edge.breach()
    told = {"record_id": record_id, "corrected_on": days_ago(3), "promise": True}
    evidence_ids = {"evidence_ids": [edge.evidence(company)]}
    return "SubmitRepair", company, {**told, **evidence_ids}, {"corrected_on": days_ago(2)}


def report(edge: Edge) -> Write:
    company, _ = edge.breach()
    return "CreateReport", company, {"purpose": "自查"}, {"purpose": "投标"}


def publish(edge: Edge) -> Write:
    code = f"TEST_{uuid.uuid4().hex[:8].upper()}"
    return "PublishMeasure", ADMIN, {"measure": measure(code)}, {"measure": measure(code, name="别的措施")}


def draft(edge: Edge) -> Write:
    code = f"TEST_{uuid.uuid4().hex[:8].upper()}"
    return "DraftRecordType", ADMIN, {"type": record_type(code)}, {"type": record_type(code, name="别的目录")}


# One of each service; EvidenceService's and UploadImport are with the files.
WRITES = (register, put, withdraw, drop, grant, file, submit, report, publish, draft)


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


def written(edge: Edge) -> dict[str, int]:
    """How many rows each table has."""
    with edge.database.engine.connect() as connection:
        names = inspect(connection).get_table_names()
        return {name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one() for name in names}


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_the_same_request_is_answered_alike_and_done_once(each_edge: Edge, write: Callable[[Edge], Write]) -> None:
    rpc, by, asked, other = write(each_edge)
    message = each_edge.request(rpc, **asked)
    answers = at_once(6, lambda _: each_edge.send(rpc, message, by=by))
    assert {type(answer).__name__ for answer in answers} == {f"{rpc}Response"}, reasons(answers)
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    after = written(each_edge)
    assert each_edge.send(rpc, message, by=by) == answers[0]
    request_id = message.request_id  # type: ignore[attr-defined]
    refused = each_edge.refused(rpc, by=by, request_id=request_id, **asked | other)
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert written(each_edge) == after
    kept = IdempotencyRecord.request_id == request_id  # type: ignore[attr-defined]
    assert each_edge.rows(IdempotencyRecord, kept) == 1


def test_a_request_id_is_its_callers(each_edge: Edge) -> None:
    request_id = str(uuid.uuid4())
    (one, first), (two, second) = each_edge.breach(), each_edge.breach()
    for who, record_id in ((one, first), (two, second)):
        asked = {"record_id": record_id, "reason": STATEMENT, "request_id": request_id}
        assert each_edge.ask("FileObjection", by=who, **asked).objection.record_id == record_id
    each_edge.ask("CreateReport", by=one, purpose="自查", request_id=request_id)


def test_a_refusal_is_not_kept_and_leaves_nothing(each_edge: Edge) -> None:
    company, record_id = each_edge.breach()
    person = each_edge.citizen()
    code = firm()
    lost = str(uuid.uuid4())
    told = {"record_id": record_id, "corrected_on": days_ago(3), "promise": True}
    both = [each_edge.evidence(company), lost]
    subject = {"kind": "SUBJECT_KIND_PERSON", "code": person.identity[:-1], "id_type": "身份证", "name": "某"}
    filed = {"record_id": record_id, "reason": STATEMENT, "evidence_ids": both}
    report = {"subject_id": each_edge.own(person), "purpose": "贷款审查"}
    before = written(each_edge)
    for by, rpc, asked, reason in (
        # What comes before the fault was written in the transaction that is undone.
        (
            company,
            "FileObjection",
            {"record_id": record_id, "reason": STATEMENT, "evidence_ids": both},
            "EVIDENCE_NOT_FOUND",
        ),
        (company, "SubmitRepair", {**told, "evidence_ids": both}, "EVIDENCE_NOT_FOUND"),
        (CLERK, "PutRecord", entry(code, "HONOUR", content={"title": 7}), "CONTENT_NOT_ALLOWED"),
        (CLERK, "PutRecord", entry(code, "PROFESSION", content={}), "SOURCE_NOT_ALLOWED"),
        (CLERK, "PutRecord", entry(code, valid_from=days_ago(-2)), "INVALID_FIELD"),
        (CLERK, "RegisterSubject", subject, "INVALID_FIELD"),
        (CITIZEN, "GrantAuthorisation", {"authorisation": authorisation()}, "NO_IDENTITY"),
        (company, "GrantAuthorisation", {"authorisation": authorisation(type_codes=["NONE"])}, "INVALID_FIELD"),
        (ADMIN, "PublishMeasure", {"measure": measure("TEST_HALF", purposes=["NONE"])}, "INVALID_FIELD"),
        (PARTNER, "CreateReport", report, "SUBJECT_NOT_FOUND"),
        (
            PARTNER,
            "QueryRecords",
            {"subject_id": each_edge.own(person), "purpose": "贷款审查", "type_codes": ["REFUSAL"]},
            "QUERY_DENIED",
        ),
    ):
        assert each_edge.refused(rpc, by=by, **asked).reason == reason, rpc
        assert written(each_edge) == before, rpc
    assert not each_edge.ask("GetRecord", record_id=record_id).record.disputed
    # The evidence that was there still waits.
    filed |= {"evidence_ids": both[:1]}
    request_id = str(uuid.uuid4())
    each_edge.refused("FileObjection", by=company, request_id=request_id, **filed | {"record_id": lost})
    each_edge.ask("FileObjection", by=company, request_id=request_id, **filed)


def test_a_stale_etag_is_refused_with_the_one_to_read(each_edge: Edge) -> None:
    citizen = each_edge.citizen()
    company, record_id = each_edge.breach()
    granted = each_edge.ask("GrantAuthorisation", by=citizen, authorisation=authorisation()).authorisation
    filed = each_edge.ask("FileObjection", by=company, record_id=record_id, reason=STATEMENT).objection
    told = {"record_id": record_id, "corrected_on": days_ago(3), "promise": True}
    repair = each_edge.ask("SubmitRepair", by=company, evidence_ids=[each_edge.evidence(company)], **told).repair
    listed = each_edge.ask("PublishMeasure", by=ADMIN, measure=measure("TEST_ETAG")).measure
    drafted = each_edge.ask("DraftRecordType", by=ADMIN, type=record_type("TEST_ETAG")).type
    asked: dict[str, tuple[Who, str, dict[str, Any]]] = {
        "RevokeAuthorisation": (citizen, granted.etag, {"authorisation_id": granted.id}),
        "ForwardObjection": (OFFICE, filed.etag, {"objection_id": filed.id}),
        "DecideObjection": (OFFICE, filed.etag, {"objection_id": filed.id, "opinion": "经核查"}),
        "CloseObjection": (OFFICE, filed.etag, {"objection_id": filed.id}),
        "WithdrawObjection": (company, filed.etag, {"objection_id": filed.id}),
        "AcceptRepair": (CLERK, repair.etag, {"repair_id": repair.id}),
        "WithdrawRepair": (company, repair.etag, {"repair_id": repair.id}),
        "WithdrawMeasure": (ADMIN, listed.etag, {"code": "TEST_ETAG"}),
        "PublishRecordType": (ADMIN, drafted.etag, {"code": "TEST_ETAG"}),
        "RetireRecordType": (ADMIN, each_edge.ask("GetRecordType", code="VOLUNTARY").type.etag, {"code": "VOLUNTARY"}),
    }
    decisions = ("DeclineRepair", "ExtendRepair", "GrantRepair", "RefuseRepair", "RevokeRepair")
    asked |= {rpc: (CLERK, repair.etag, {"repair_id": repair.id, "opinion": "经核查"}) for rpc in decisions}
    assert set(asked) == {name for name, each in each_edge.methods.items() if "etag" in each.input_type.fields_by_name}
    for rpc, (by, current, fields) in asked.items():
        for etag in ("v99", "x", current.upper(), f"{current} "):
            refused = each_edge.refused(rpc, by=by, etag=etag, **fields)
            assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE"), rpc
            assert refused.metadata == {"etag": current}, rpc


def test_of_two_decisions_at_once_one_is_made(each_edge: Edge) -> None:
    for _ in range(3):
        company, record_id = each_edge.breach()
        told = {"record_id": record_id, "corrected_on": days_ago(3), "promise": True}
        repair = each_edge.ask("SubmitRepair", by=company, evidence_ids=[each_edge.evidence(company)], **told).repair
        repair = each_edge.ask("AcceptRepair", by=CLERK, repair_id=repair.id, etag=repair.etag).repair
        decision = {"repair_id": repair.id, "etag": repair.etag, "opinion": "经核查"}

        def decide(number: int, decision: dict[str, Any] = decision) -> Any:
            return each_edge.ask(("GrantRepair", "RefuseRepair")[number], by=(CLERK, OFFICE)[number], **decision)

        answers = at_once(2, decide)
        assert reasons(answers) == {"": 1, "ETAG_STALE": 1}
        [won] = [answer for answer in answers if not isinstance(answer, Refused)]
        assert each_edge.ask("GetRepair", by=CLERK, repair_id=repair.id).repair == won.repair
        public = each_edge.ask("ListRecords", subject_id=repair.subject_id).records
        assert len(public) == (1 if answers[0] is not won else 0)


def test_the_last_use_of_an_authorisation_is_used_once(each_edge: Edge) -> None:
    citizen = each_edge.citizen()
    granted = each_edge.ask("GrantAuthorisation", by=citizen, authorisation=authorisation(uses_max=3)).authorisation
    query = {"subject_id": granted.subject_id, "purpose": "贷款审查", "type_codes": ["REFUSAL"]}
    logged = each_edge.rows(QueryLog, QueryLog.subject_id == granted.subject_id)
    answers = at_once(8, lambda _: each_edge.ask("QueryRecords", by=PARTNER, **query))
    assert reasons(answers) == {"": 3, "QUERY_DENIED": 5}
    # Each answer is kept with the use that it took, and no other.
    kept = [answer.query.id for answer in answers if not isinstance(answer, Refused)]
    seen = each_edge.ask("ListQueries", by=citizen, subject_id=granted.subject_id).queries
    assert {each.id for each in seen} == set(kept)
    assert {each.authorisation_id for each in seen} == {granted.id}
    assert each_edge.rows(QueryLog, QueryLog.subject_id == granted.subject_id) == logged + 3
    found = each_edge.ask("GetAuthorisation", by=citizen, authorisation_id=granted.id).authorisation
    assert found.uses == 3


def test_a_query_that_fails_behind_its_use_takes_none(each_edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    citizen = each_edge.citizen()
    granted = each_edge.ask("GrantAuthorisation", by=citizen, authorisation=authorisation(uses_max=1)).authorisation
    query = {"subject_id": granted.subject_id, "purpose": "贷款审查", "type_codes": ["REFUSAL"]}

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("tulou_credit.visible.queried", broken)
        assert each_edge.refused("QueryRecords", by=PARTNER, **query).reason == "INTERNAL"
    found = each_edge.database.read(lambda session: session.get_one(Authorisation, granted.id))
    assert (found.uses, each_edge.rows(QueryLog, QueryLog.subject_id == granted.subject_id)) == (0, 0)
    assert len(each_edge.ask("QueryRecords", by=PARTNER, **query).records) == 1


def test_the_same_record_from_many_at_once_is_one(each_edge: Edge) -> None:
    code = firm()
    clerks = [elsewhere(CLERK, subject=f"clerk-{number}") for number in range(6)]
    answers = at_once(6, lambda number: each_edge.ask("PutRecord", by=clerks[number], **entry(code)))
    assert reasons(answers) == {"": 6}
    assert Counter(answer.outcome for answer in answers) == {1: 1, 2: 5}
    [record_id] = {answer.record_id for answer in answers}
    assert each_edge.rows(Subject, Subject.code == code) == 1
    assert each_edge.rows(Record, Record.id == record_id) == 1
    assert each_edge.rows(OutboxEvent, OutboxEvent.subject == record_id) == 1


def test_the_same_subject_and_draft_and_measure_from_many_at_once_are_one(each_edge: Edge) -> None:
    subject = {"kind": "SUBJECT_KIND_ORGANISATION", "code": firm(), "name": "同时茶厂"}
    answers = at_once(6, lambda _: each_edge.ask("RegisterSubject", by=CLERK, **subject))
    assert (reasons(answers), len({answer.subject.id for answer in answers})) == ({"": 6}, 1)
    answers = at_once(4, lambda _: each_edge.ask("DraftRecordType", by=ADMIN, type=record_type("TEST_MANY")))
    assert {answer.type.version for answer in answers if not isinstance(answer, Refused)} == {1}
    answers = at_once(4, lambda _: each_edge.ask("PublishMeasure", by=ADMIN, measure=measure("TEST_MANY")))
    assert "" in reasons(answers)
    # Each time one is first: the last of many may be told to try again.
    assert set(reasons(answers)) <= {"", "UNAVAILABLE"}
    listed = [each.code for each in each_edge.ask("ListMeasures").measures]
    assert listed.count("TEST_MANY") == 1


def test_only_one_objection_of_many_at_once_is_open(each_edge: Edge) -> None:
    company, record_id = each_edge.breach()
    asked = {"record_id": record_id, "reason": STATEMENT}
    answers = at_once(6, lambda _: each_edge.ask("FileObjection", by=company, **asked))
    assert reasons(answers) == {"": 1, "OBJECTION_OPEN": 5}
    assert len(each_edge.ask("ListObjections", by=company).objections) == 1


def test_one_file_proves_one_proceeding(each_edge: Edge) -> None:
    company, record_id = each_edge.breach()
    evidence_ids = [each_edge.evidence(company)]
    told = {"record_id": record_id, "corrected_on": days_ago(3), "promise": True, "evidence_ids": evidence_ids}
    filed = {"record_id": record_id, "reason": STATEMENT, "evidence_ids": evidence_ids}

    def use(number: int) -> Any:
        return each_edge.ask(("SubmitRepair", "FileObjection")[number], by=company, **(told, filed)[number])

    assert reasons(at_once(2, use)) == {"": 1, "EVIDENCE_NOT_FOUND": 1}
    other, record_id = each_edge.breach()
    stolen = each_edge.upload("UploadEvidence", PDF, by=company).evidence_id
    refused = each_edge.refused("FileObjection", by=other, record_id=record_id, reason=STATEMENT, evidence_ids=[stolen])
    assert (refused.reason, refused.metadata) == ("EVIDENCE_NOT_FOUND", {"evidence_id": stolen})


def test_every_history_holds_after_all_that(each_edge: Edge) -> None:
    commands.verify_audit(each_edge.settings)
