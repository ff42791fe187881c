"""The rules of every field are kept at the edge, and what keeps them never breaks what is behind it."""

from collections.abc import Iterator
from typing import Any, Final

import grpc
import pytest
from google.api import field_behavior_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from services.credit.tests.edge import (
    ADMIN,
    CLERK,
    NOBODY,
    OPERATOR,
    PARTNER,
    Edge,
    Refused,
    Who,
    authorisation,
    days_ago,
    elsewhere,
    entry,
    penalties,
)
from services.credit.tests.integration.test_access import EVERYONE, RULES, measure
from services.credit.tests.store import firm
from tulou.options.v1 import field_pb2

UPLOADS: Final = ("UploadImport", "UploadEvidence")
FIRST, LAST = "0001-01-01", "9999-12-31"


def caller(rpc: str) -> Who | None:
    """Someone who may."""
    return next((who for who in EVERYONE if RULES[rpc][0] & set(who.roles)), None)


def broken(field: Any) -> Iterator[tuple[str, Any]]:
    """What breaks the rules of a text, with the rule it breaks."""
    rule = field.GetOptions().Extensions[field_pb2.rule]
    text = field.type == field.TYPE_STRING
    many = field.is_repeated
    if text and rule.max_length:
        yield "max_length", ["长" * (rule.max_length + 1)] if many else "长" * (rule.max_length + 1)
    if text and rule.format:
        yield "format", ["x"] if many else "x"
    if text and rule.pattern:
        yield "pattern", ["~"] if many else "~"
    if rule.max_items and text:
        yield "max_items", ["x"] * (rule.max_items + 1)
    if rule.HasField("minimum"):
        yield "minimum", rule.minimum - 1
    if rule.HasField("maximum"):
        yield "maximum", rule.maximum + 1
    if field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]:
        yield "required", None


@pytest.mark.parametrize("rpc", [rpc for rpc in RULES if rpc not in UPLOADS])
def test_a_field_that_breaks_its_rule_is_named(edge: Edge, rpc: str) -> None:
    base, by = RULES[rpc][1], caller(rpc)
    for field in edge.methods[rpc].input_type.fields:
        for rule, value in broken(field):
            asked = {**base, field.name: value}
            if value is None:
                # The helper would make one up.
                asked = {**base, **({"request_id": ""} if field.name == "request_id" else {})}
                asked.pop(field.name, None) if field.name != "request_id" else None
            refused = edge.refused(rpc, by=by, **asked)
            assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"), field.name
            assert any(path.startswith(field.name) for path in refused.fields), (field.name, rule)


def harmless(edge: Edge, rpc: str, by: Who | None, **fields: Any) -> None:
    """Whatever it answers, it does not break."""
    try:
        edge.ask(rpc, by=by, **fields)
    except Refused as refused:
        if refused.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE):
            raise


@pytest.fixture(scope="module")
def known(each_edge: Edge) -> dict[str, Any]:
    """A firm with records of several types, and its subject's id."""
    company, record_id = each_edge.breach()
    for type_code in ("HONOUR", "CONTRACT", "SERIOUS_LIST", "REFUSAL"):
        each_edge.ask("PutRecord", by=CLERK, **entry(company.identity, type_code))
    granted = authorisation(type_codes=["REFUSAL", "SERIOUS_LIST", "ABNORMAL_LIST", "CONTRACT"])
    each_edge.ask("GrantAuthorisation", by=company, authorisation=granted)
    import_id = each_edge.taken(penalties({"CF_JDRQ": "2024-02-30"})).import_id
    ids = {"company": company, "record_id": record_id, "import_id": import_id}
    return {**ids, "subject_id": each_edge.own(company)}


@pytest.mark.parametrize("day", [FIRST, "1949-09-30", "2016-01-01", "2019-06-30", LAST])
def test_days_of_long_ago_and_far_ahead_are_days(each_edge: Edge, known: dict[str, Any], day: str) -> None:
    company, subject = known["company"], {"subject_id": known["subject_id"]}
    asked = {**subject, "purpose": "贷款审查", "on": day}
    harmless(each_edge, "GradeSubject", company, **subject, on=day)
    harmless(each_edge, "ListRecords", None, **subject, on=day)
    harmless(each_edge, "QueryRecords", company, **asked, type_codes=["SERIOUS_LIST"])
    harmless(each_edge, "QueryRecords", PARTNER, **asked, type_codes=["REFUSAL", "SERIOUS_LIST", "ABNORMAL_LIST"])
    harmless(each_edge, "QueryRecords", elsewhere(CLERK, org="SWJ"), **asked, type_codes=["CONTRACT"])
    for other in (FIRST, days_ago(0), LAST):
        harmless(each_edge, "GetTimeliness", CLERK, received_from=day, received_to=other)
        harmless(each_edge, "PutRecord", CLERK, **entry(firm(), valid_from=day, valid_to=other))
        harmless(each_edge, "PutRecord", CLERK, **entry(firm(), valid_from=other, valid_to=day))
        term = authorisation(valid_from=day, valid_to=other)
        harmless(each_edge, "GrantAuthorisation", company, authorisation=term)
    evidence = {"promise": True, "evidence_ids": [each_edge.evidence(company)]}
    harmless(each_edge, "SubmitRepair", company, record_id=known["record_id"], corrected_on=day, **evidence)
    harmless(each_edge, "PublishMeasure", ADMIN, measure=measure("TEST_DAY", published_on=day))
    harmless(each_edge, "PublishMeasure", ADMIN, measure=measure("TEST_DAY", published_on=day))
    harmless(each_edge, "WithdrawMeasure", ADMIN, code="TEST_DAY", etag="v1", withdrawn_on=day)


@pytest.mark.parametrize("days", [-(10**9), -(10**6), 10**7, 10**14])
def test_instants_beyond_all_days_are_refused_or_answered(each_edge: Edge, known: dict[str, Any], days: int) -> None:
    request = each_edge.request("ListRecords", subject_id=known["subject_id"])
    query = each_edge.request("QueryRecords", subject_id=known["subject_id"], purpose="自查", type_codes=["REFUSAL"])
    for rpc, message, by in (("ListRecords", request, None), ("QueryRecords", query, known["company"])):
        for nanos in (0, -1, 10**9):
            message.known_time.CopyFrom(Timestamp(seconds=days * 86_400, nanos=nanos))  # type: ignore[attr-defined]
            with pytest.raises(Refused) as refused:
                each_edge.send(rpc, message, by=by)
            assert (refused.value.reason, set(refused.value.fields)) == ("INVALID_FIELD", {"known_time"})


def test_whole_numbers_may_be_large(each_edge: Edge, known: dict[str, Any]) -> None:
    most = 2**63 - 1
    harmless(each_edge, "RerunQuarantine", CLERK, import_id=known["import_id"], after=most)
    harmless(each_edge, "RerunQuarantine", CLERK, import_id=known["import_id"], after=2**31)
    harmless(each_edge, "DropRow", CLERK, import_id=known["import_id"], row=2_000_000)
    assert each_edge.first("WatchEvents", by=OPERATOR, seconds=0.3, after=most) is None


@pytest.mark.parametrize("text", ["a\0b", "\u202e", "😀" * 3, "%_\\'\"", " "])
def test_any_text_is_only_text(each_edge: Edge, known: dict[str, Any], text: str) -> None:
    company, subject = known["company"], {"subject_id": known["subject_id"]}
    harmless(each_edge, "SearchSubjects", None, name=text, match="NAME_MATCH_ANYWHERE")
    harmless(each_edge, "SearchSubjects", None, name=text)
    harmless(each_edge, "SearchSubjects", None, code=text)
    harmless(each_edge, "FindPerson", PARTNER, id_type=text, number=text, name=text)
    harmless(each_edge, "CheckSubject", PARTNER, code=text, purpose=text)
    harmless(each_edge, "CheckSubject", PARTNER, code=f"A{text}1234", id_type=text, purpose="APPROVAL")
    person = {"kind": "SUBJECT_KIND_PERSON", "code": "EA7654321", "id_type": text, "name": text}
    harmless(each_edge, "RegisterSubject", CLERK, **person)
    harmless(each_edge, "ListRecords", None, **subject, type_code=text)
    harmless(each_edge, "QueryRecords", company, **subject, purpose=text, type_codes=["REFUSAL"])
    harmless(each_edge, "QueryRecords", company, **subject, purpose="自查", type_codes=[text])
    harmless(each_edge, "GrantAuthorisation", company, authorisation=authorisation(grantee=text, purpose=text))
    texts = {"subject_name": text, "source_key": text, "organ_name": text}
    harmless(each_edge, "PutRecord", CLERK, **entry(firm(), **texts))
    harmless(each_edge, "PutRecord", CLERK, **entry(firm(), "HONOUR", content={"title": text, text: text}))
    honour = {"title": text, "granted_on": "2026-01-05"}
    harmless(each_edge, "PutRecord", CLERK, **entry(firm(), "HONOUR", content=honour))
    harmless(each_edge, "FileObjection", company, record_id=known["record_id"], reason=text * 5)
    harmless(each_edge, "CreateReport", company, purpose=text)
    harmless(each_edge, "VerifyReport", None, code=text)
    harmless(each_edge, "PublishMeasure", ADMIN, measure=measure("TEST_TEXT", name=text, legal_basis=text))
    harmless(each_edge, "GetRecordType", None, code=text)
    harmless(each_edge, "ListMeasures", None, purpose=text)
    harmless(each_edge, "GetTimeliness", CLERK, source=text, received_from=FIRST, received_to=LAST)
    harmless(each_edge, "CorrectRow", CLERK, import_id=known["import_id"], row=2, cells={text: text, "CF_SY": text})
    for rpc in ("ListReports", "ListObjections", "ListAuthorisations"):
        harmless(each_edge, rpc, company, page_token=text)


def test_an_enum_of_another_kind_is_refused(edge: Edge) -> None:
    message = edge.request("SearchSubjects")
    message.status = 99  # type: ignore[attr-defined]
    with pytest.raises(Refused) as refused:
        edge.send("SearchSubjects", message, by=None)
    assert refused.value.reason == "INVALID_FIELD"
    harmless(edge, "GetSubject", None, subject_id=NOBODY.upper())


def test_what_is_repaired_is_told_to_nobody_of_a_day_before_either(each_edge: Edge) -> None:
    company, record_id = each_edge.breach()
    subject_id = each_edge.own(company)
    granted = authorisation(type_codes=["ABNORMAL_LIST"])
    each_edge.ask("GrantAuthorisation", by=company, authorisation=granted)
    known_time = Timestamp()
    known_time.GetCurrentTime()
    told = {"record_id": record_id, "corrected_on": days_ago(3), "promise": True}
    repair = each_edge.ask("SubmitRepair", by=company, evidence_ids=[each_edge.evidence(company)], **told).repair
    repair = each_edge.ask("AcceptRepair", by=CLERK, repair_id=repair.id, etag=repair.etag).repair

    def found(by: Who) -> list[int]:
        asked = {"subject_id": subject_id, "purpose": "贷款审查", "type_codes": ["ABNORMAL_LIST"]}
        ways: list[dict[str, Any]] = [{}, {"on": days_ago(2)}, {"known_time": known_time.ToJsonString()}]
        return [len(each_edge.ask("QueryRecords", by=by, **asked, **way).records) for way in ways]

    assert found(PARTNER) == [1, 1, 1]
    each_edge.ask("GrantRepair", by=CLERK, repair_id=repair.id, etag=repair.etag, opinion="准予修复")
    assert found(PARTNER) == [0, 0, 0]
    assert found(company) == [1, 1, 1]


def test_a_negative_record_may_be_asked_about_of_any_day(each_edge: Edge) -> None:
    company, _ = each_edge.breach(valid_from="2016-01-01")
    each_edge.ask("GrantAuthorisation", by=company, authorisation=authorisation(type_codes=["ABNORMAL_LIST"]))
    asked = {"subject_id": each_edge.own(company), "purpose": "贷款审查", "type_codes": ["ABNORMAL_LIST"]}
    # The five years after the end have not begun.
    assert len(each_edge.ask("QueryRecords", by=PARTNER, **asked, on="2016-06-01").records) == 1
