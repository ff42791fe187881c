"""Who may call what, and on which rows: every RPC, every role, from outside every border."""

from typing import Any

import grpc
import pytest

from services.credit.tests.edge import (
    ADMIN,
    AUDITOR,
    CITIZEN,
    CLERK,
    COMPANY,
    EVERYONE,
    NOBODY,
    OFFICE,
    OPERATOR,
    PARTNER,
    SUPERVISOR,
    Edge,
    Refused,
    Who,
    access_of,
    authorisation,
    days_ago,
    elsewhere,
    entry,
    penalties,
)
from services.credit.tests.store import firm, person
from tulou_chassis import outbox

SUBJECTS = {"citizen", "enterprise"}
STAFF = {"clerk", "approver"}
SENDERS = STAFF | {"partner"}
ASKERS = SUBJECTS | SENDERS
PARTIES = SUBJECTS | STAFF | {"auditor"}
ANYONE: set[str] = set()
SUBJECT, RECORD, IMPORT = {"subject_id": NOBODY}, {"record_id": NOBODY}, {"import_id": NOBODY}
OBJECTION = {"objection_id": NOBODY, "etag": "v1"}
REPAIR = {"repair_id": NOBODY, "etag": "v1"}
DECIDED = {**REPAIR, "opinion": "经核查"}
DAYS = {"received_from": "2026-01-01", "received_to": "2026-01-31"}
NUMBER = {"code": person(), "id_type": "身份证"}


def record_type(code: str, **changes: Any) -> dict[str, Any]:
    """An entry of the catalogue, as the proto's JSON."""
    return {
        "code": code,
        "name": "测试目录",
        "category": "RECORD_CATEGORY_HONOUR",
        "openness": "OPENNESS_PUBLIC",
        "sources": ["FGW"],
        "subject_kinds": ["SUBJECT_KIND_ORGANISATION"],
        "content_schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"title": {"type": "string"}},
        },
        "retention_amount": 5,
        "retention_unit": "RETENTION_UNIT_YEAR",
        "publicity": "PUBLICITY_RULE_VALIDITY",
    } | changes


def measure(code: str, **changes: Any) -> dict[str, Any]:
    """A measure, as the proto's JSON."""
    return {
        "code": code,
        "kind": "MEASURE_KIND_INCENTIVE",
        "standing": "STANDING_GOOD",
        "purposes": ["APPROVAL"],
        "name": "测试措施",
        "name_en": "A measure of tests",
        "legal_basis": "《测试条例》第一条",
        "published_on": days_ago(0),
    } | changes


# Who may call each RPC, and with what. A new RPC fails the tests until it stands here.
RULES: dict[str, tuple[set[str], dict[str, Any]]] = {
    "SearchSubjects": (ANYONE, {}),
    "GetSubject": (ANYONE, SUBJECT),
    "FindPerson": ({"citizen", *SENDERS}, {"id_type": "身份证", "number": person(), "name": "某人"}),
    "RegisterSubject": (STAFF, {**NUMBER, "kind": "SUBJECT_KIND_PERSON", "name": "某人"}),
    "CheckSubject": (SENDERS, {**NUMBER, "purpose": "APPROVAL"}),
    "GradeSubject": ({"enterprise", "supervisor", "auditor", *STAFF}, SUBJECT),
    "ListRecords": (ANYONE, SUBJECT),
    "QueryRecords": (ASKERS, {**SUBJECT, "purpose": "贷款审查", "type_codes": ["REFUSAL"]}),
    "ListQueries": ({*SUBJECTS, "auditor"}, SUBJECT),
    "GetRecord": (ANYONE, RECORD),
    "ListRecordVersions": (PARTIES, RECORD),
    "PutRecord": (SENDERS, entry(firm(), "HONOUR")),
    "WithdrawRecord": (STAFF, {**RECORD, "reason": "WITHDRAWAL_REASON_SENT_BY_MISTAKE"}),
    "GetTimeliness": ({"supervisor", "auditor", *STAFF}, DAYS),
    "WatchEvents": ({"partner", "operator", "supervisor"}, {}),
    "UploadImport": (SENDERS, {}),
    "GetImport": (SENDERS, IMPORT),
    "ListImports": (SENDERS, {}),
    "CancelImport": (SENDERS, IMPORT),
    "ListQuarantinedRows": (SENDERS, IMPORT),
    "DownloadQuarantine": (SENDERS, IMPORT),
    "CorrectRow": (SENDERS, {**IMPORT, "row": 2, "cells": {"CF_SY": "事实"}}),
    "DropRow": (SENDERS, {**IMPORT, "row": 2}),
    "RerunQuarantine": (SENDERS, IMPORT),
    "GrantAuthorisation": (SUBJECTS, {"authorisation": authorisation()}),
    "GetAuthorisation": (ASKERS, {"authorisation_id": NOBODY}),
    "ListAuthorisations": (ASKERS, {}),
    "RevokeAuthorisation": (SUBJECTS, {"authorisation_id": NOBODY, "etag": "v1"}),
    "UploadEvidence": (SUBJECTS, {}),
    "DownloadEvidence": (SUBJECTS | STAFF, {"evidence_id": NOBODY}),
    "FileObjection": (SUBJECTS, {**RECORD, "reason": "事实有误，我没有做过"}),
    "GetObjection": (PARTIES, {"objection_id": NOBODY}),
    "ListObjections": (PARTIES, {}),
    "ForwardObjection": (STAFF, OBJECTION),
    "DecideObjection": (STAFF, {**OBJECTION, "opinion": "经核查"}),
    "CloseObjection": (STAFF, OBJECTION),
    "WithdrawObjection": (SUBJECTS, OBJECTION),
    "GetRepairConditions": (SUBJECTS, RECORD),
    "SubmitRepair": (SUBJECTS, {**RECORD, "corrected_on": "2026-05-06"}),
    "GetRepair": (PARTIES, {"repair_id": NOBODY}),
    "ListRepairs": (PARTIES, {}),
    "AcceptRepair": (STAFF, REPAIR),
    "DeclineRepair": (STAFF, DECIDED),
    "ExtendRepair": (STAFF, DECIDED),
    "GrantRepair": (STAFF, DECIDED),
    "RefuseRepair": (STAFF, DECIDED),
    "WithdrawRepair": (SUBJECTS, REPAIR),
    "RevokeRepair": (STAFF, DECIDED),
    "CreateReport": (ASKERS, {**SUBJECT, "purpose": "自查"}),
    "GetReport": (ASKERS, {"report_id": NOBODY}),
    "ListReports": (ASKERS, {}),
    "DownloadReport": (ASKERS, {"report_id": NOBODY}),
    "VerifyReport": (ANYONE, {"code": "2345-6789-ABCD-EFGH"}),
    "ListMeasures": (ANYONE, {}),
    "PublishMeasure": ({"admin"}, {"measure": measure("TEST_ACCESS")}),
    "WithdrawMeasure": ({"admin"}, {"code": "TEST_NONE", "etag": "v1"}),
    "ListRecordTypes": (ANYONE, {}),
    "GetRecordType": (ANYONE, {"code": "PENALTY"}),
    "DraftRecordType": ({"admin"}, {"type": record_type("TEST_ACCESS")}),
    "PublishRecordType": ({"admin"}, {"code": "TEST_NONE", "etag": "v1"}),
    "RetireRecordType": ({"admin"}, {"code": "TEST_NONE", "etag": "v1"}),
}


def call(edge: Edge, rpc: str, by: Who | str | None) -> Any:
    """Calls the RPC with the table's arguments, whatever its shape."""
    if rpc.startswith("Upload"):
        return edge.upload(rpc, by=by)
    if rpc == "WatchEvents":
        return edge.first(rpc, by=by, seconds=0.3)
    return edge.ask(rpc, by=by, **RULES[rpc][1])


def refusal(edge: Edge, rpc: str, by: Who | str | None) -> str:
    try:
        call(edge, rpc, by)
    except Refused as refused:
        return refused.reason
    return ""


def test_every_rpc_has_its_rule_in_the_table(edge: Edge) -> None:
    assert set(RULES) == set(edge.methods)
    assert len(edge.methods) == len(RULES)
    for rpc, (roles, _) in RULES.items():
        assert access_of(edge.methods[rpc]) == (not roles, roles), rpc


@pytest.mark.parametrize("rpc", RULES)
def test_without_a_token_only_what_is_open_to_everyone_answers(edge: Edge, rpc: str) -> None:
    assert (refusal(edge, rpc, None) == "TOKEN_MISSING") == bool(RULES[rpc][0])


@pytest.mark.parametrize("rpc", RULES)
def test_a_bad_token_is_refused_everywhere(edge: Edge, rpc: str) -> None:
    with pytest.raises(Refused) as refused:
        call(edge, rpc, edge.token(CITIZEN, issuer="https://elsewhere.test"))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


@pytest.mark.parametrize("rpc", [rpc for rpc, (roles, _) in RULES.items() if roles])
def test_a_role_that_is_not_named_is_refused(edge: Edge, rpc: str) -> None:
    for who in (*EVERYONE, elsewhere(CLERK, roles=())):
        if RULES[rpc][0].isdisjoint(who.roles):
            with pytest.raises(Refused) as refused:
                call(edge, rpc, who)
            assert refused.value.code is grpc.StatusCode.PERMISSION_DENIED
            assert refused.value.reason == "ROLE_NOT_ALLOWED"
            assert refused.value.metadata["method"].endswith(f"/{rpc}")
        else:
            assert refusal(edge, rpc, who) not in ("ROLE_NOT_ALLOWED", "INTERNAL")


@pytest.fixture(scope="module")
def own(edge: Edge) -> dict[str, Any]:
    """What belongs to a citizen, a firm, the bank and the SCJG: who they are, and the ids of their rows."""
    citizen, (company, listed) = edge.citizen(), edge.breach()
    person_id, firm_id = edge.own(citizen), edge.own(company)
    edge.ask("PutRecord", by=CLERK, **entry(company.identity, "CONTRACT"))
    granted = edge.ask("GrantAuthorisation", by=citizen, authorisation=authorisation()).authorisation
    asked = {"subject_id": person_id, "purpose": "贷款审查"}
    refused = edge.ask("QueryRecords", by=PARTNER, type_codes=["REFUSAL"], **asked).records[0].id
    objection = edge.ask("FileObjection", by=citizen, record_id=refused, reason="事实有误，我没有做过").objection
    told = {"record_id": listed, "corrected_on": days_ago(3), "promise": True}
    repair = edge.ask("SubmitRepair", by=company, evidence_ids=[edge.evidence(company)], **told).repair
    taken = edge.taken(penalties({"CF_JDRQ": "2024-02-30"}))
    return {
        "citizen": citizen,
        "company": company,
        "person_id": person_id,
        "firm_id": firm_id,
        "listed": listed,
        "refused": refused,
        "authorisation": granted.id,
        "objection": objection.id,
        "repair": repair.id,
        "filed": repair.evidence_ids[0],
        "evidence": edge.evidence(citizen),
        "report": edge.ask("CreateReport", by=PARTNER, **asked).report.id,
        "import": taken.import_id,
    }


def strangers(own: dict[str, Any]) -> dict[str, Who]:
    """Who is not whose the rows are."""
    return {
        "another citizen": elsewhere(CITIZEN, identity=person()),
        "a citizen without a number": CITIZEN,
        "a citizen with half a number": elsewhere(CITIZEN, identity=own["citizen"].identity[:-1]),
        "a citizen with a firm's code": elsewhere(CITIZEN, identity=own["company"].identity),
        "another firm": elsewhere(COMPANY, identity=firm()),
        "a firm without a code": COMPANY,
        "a firm with half a code": elsewhere(COMPANY, identity=own["company"].identity[:-1]),
        "a firm with a person's number": elsewhere(COMPANY, identity=own["citizen"].identity),
        "another department": elsewhere(CLERK, org="SWJ", subject="clerk-swj"),
        "no department": elsewhere(CLERK, org="", subject="clerk-none"),
        "staff with their own number": elsewhere(CLERK, org="SWJ", identity=own["citizen"].identity),
        "another bank": elsewhere(PARTNER, org="BANK02", subject="partner-2"),
        "a bank without a code": elsewhere(PARTNER, org="", subject="partner-3"),
        "an administrator": ADMIN,
        "nobody": elsewhere(CITIZEN, roles=()),
    }


ASKED = {"purpose": "贷款审查", "type_codes": ["REFUSAL"]}
STEP, DECISION = {"etag": "v1"}, {"etag": "v1", "opinion": "经核查"}
# RPC, the field that names the row, whose row, and what else is asked.
ROWS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("GetSubject", "subject_id", "person_id", {}),
    ("QueryRecords", "subject_id", "person_id", ASKED),
    ("QueryRecords", "subject_id", "firm_id", ASKED),
    ("ListQueries", "subject_id", "person_id", {}),
    ("ListQueries", "subject_id", "firm_id", {}),
    ("CreateReport", "subject_id", "person_id", {"purpose": "贷款审查"}),
    ("GetRecord", "record_id", "refused", {}),
    ("ListRecordVersions", "record_id", "refused", {}),
    ("ListRecordVersions", "record_id", "listed", {}),
    ("WithdrawRecord", "record_id", "refused", {"reason": "WITHDRAWAL_REASON_SENT_BY_MISTAKE"}),
    ("WithdrawRecord", "record_id", "listed", {"reason": "WITHDRAWAL_REASON_SENT_BY_MISTAKE"}),
    ("GetImport", "import_id", "import", {}),
    ("CancelImport", "import_id", "import", {}),
    ("ListQuarantinedRows", "import_id", "import", {}),
    ("DownloadQuarantine", "import_id", "import", {}),
    ("CorrectRow", "import_id", "import", {"row": 2, "cells": {"CF_JDRQ": "2024-02-29"}}),
    ("DropRow", "import_id", "import", {"row": 2}),
    ("RerunQuarantine", "import_id", "import", {}),
    ("GetAuthorisation", "authorisation_id", "authorisation", {}),
    ("RevokeAuthorisation", "authorisation_id", "authorisation", STEP),
    ("DownloadEvidence", "evidence_id", "evidence", {}),
    ("DownloadEvidence", "evidence_id", "filed", {}),
    ("FileObjection", "record_id", "refused", {"reason": "事实有误，我没有做过"}),
    ("FileObjection", "record_id", "listed", {"reason": "事实有误，我没有做过"}),
    ("GetObjection", "objection_id", "objection", {}),
    ("ForwardObjection", "objection_id", "objection", STEP),
    ("DecideObjection", "objection_id", "objection", DECISION),
    ("CloseObjection", "objection_id", "objection", STEP),
    ("WithdrawObjection", "objection_id", "objection", STEP),
    ("GetRepairConditions", "record_id", "listed", {}),
    ("SubmitRepair", "record_id", "listed", {"corrected_on": "2026-05-06"}),
    ("GetRepair", "repair_id", "repair", {}),
    ("AcceptRepair", "repair_id", "repair", STEP),
    ("DeclineRepair", "repair_id", "repair", DECISION),
    ("ExtendRepair", "repair_id", "repair", DECISION),
    ("GrantRepair", "repair_id", "repair", DECISION),
    ("RefuseRepair", "repair_id", "repair", DECISION),
    ("WithdrawRepair", "repair_id", "repair", STEP),
    ("RevokeRepair", "repair_id", "repair", DECISION),
    ("GetReport", "report_id", "report", {}),
    ("DownloadReport", "report_id", "report", {}),
]


@pytest.mark.parametrize(("rpc", "field", "whose", "asked"), ROWS, ids=[f"{row[0]}-{row[2]}" for row in ROWS])
def test_what_is_anothers_is_as_if_it_were_not_there(
    edge: Edge, own: dict[str, Any], rpc: str, field: str, whose: str, asked: dict[str, Any]
) -> None:
    roles = RULES[rpc][0]
    for name, who in strangers(own).items():
        if roles and roles.isdisjoint(who.roles):
            continue
        by = who if who.roles else None
        there = edge.refused(rpc, by=by, **{field: own[whose]}, **asked)
        nowhere = edge.refused(rpc, by=by, **{field: NOBODY}, **asked)
        # The id that was asked for may be told again.
        as_nowhere = there.status.SerializeToString().replace(own[whose].encode(), NOBODY.encode())
        assert as_nowhere == nowhere.status.SerializeToString(), name
        assert there.code is grpc.StatusCode.NOT_FOUND or there.reason == "QUERY_DENIED", name
    # Nothing came of it.
    assert edge.ask("GetRepair", by=CLERK, repair_id=own["repair"]).repair.etag == "v1"
    assert edge.ask("GetRecord", record_id=own["listed"]).record.version == 1
    assert edge.ask("GetAuthorisation", by=PARTNER, authorisation_id=own["authorisation"]).authorisation.etag == "v3"


def test_lists_leave_out_what_is_anothers(edge: Edge, own: dict[str, Any]) -> None:
    for name, who in strangers(own).items():
        for rpc, kept in (
            ("ListImports", "operations"),
            ("ListAuthorisations", "authorisations"),
            ("ListObjections", "objections"),
            ("ListRepairs", "repairs"),
            ("ListReports", "reports"),
        ):
            if set(who.roles) & RULES[rpc][0]:
                assert not getattr(edge.ask(rpc, by=who), kept), (name, rpc)
        if set(who.roles) & ASKERS:
            assert not edge.ask("ListAuthorisations", by=who, granted_to_me=True).authorisations, name


def test_those_whose_rows_they_are_see_them(edge: Edge, own: dict[str, Any]) -> None:
    citizen, company = own["citizen"], own["company"]
    for who, rpc, field, whose in (
        (citizen, "GetSubject", "subject_id", "person_id"),
        (citizen, "ListQueries", "subject_id", "person_id"),
        (AUDITOR, "ListQueries", "subject_id", "person_id"),
        (citizen, "GetRecord", "record_id", "refused"),
        (CLERK, "GetRecord", "record_id", "refused"),
        (citizen, "ListRecordVersions", "record_id", "refused"),
        (CLERK, "ListRecordVersions", "record_id", "refused"),
        (AUDITOR, "ListRecordVersions", "record_id", "refused"),
        (company, "GradeSubject", "subject_id", "firm_id"),
        (CLERK, "GetImport", "import_id", "import"),
        (elsewhere(CLERK, subject="clerk-2", roles=("approver",)), "DownloadQuarantine", "import_id", "import"),
        (citizen, "GetAuthorisation", "authorisation_id", "authorisation"),
        (PARTNER, "GetAuthorisation", "authorisation_id", "authorisation"),
        (citizen, "DownloadEvidence", "evidence_id", "evidence"),
        (CLERK, "DownloadEvidence", "evidence_id", "filed"),
        (OFFICE, "DownloadEvidence", "evidence_id", "filed"),
        (citizen, "GetObjection", "objection_id", "objection"),
        (OFFICE, "GetObjection", "objection_id", "objection"),
        (AUDITOR, "GetObjection", "objection_id", "objection"),
        (company, "GetRepairConditions", "record_id", "listed"),
        (company, "GetRepair", "repair_id", "repair"),
        (CLERK, "GetRepair", "repair_id", "repair"),
        (OFFICE, "GetRepair", "repair_id", "repair"),
        (AUDITOR, "GetRepair", "repair_id", "repair"),
        (PARTNER, "GetReport", "report_id", "report"),
        (citizen, "GetReport", "report_id", "report"),
        (citizen, "DownloadReport", "report_id", "report"),
    ):
        edge.ask(rpc, by=who, **{field: own[whose]})


def test_an_objection_is_its_departments_since_it_was_forwarded(edge: Edge) -> None:
    company, listed = edge.breach()
    filed = edge.ask("FileObjection", by=company, record_id=listed, reason="事实有误，我没有做过").objection
    assert edge.refused("GetObjection", by=CLERK, objection_id=filed.id).reason == "OBJECTION_NOT_FOUND"
    forwarded = edge.ask("ForwardObjection", by=OFFICE, objection_id=filed.id, etag=filed.etag).objection
    assert edge.ask("GetObjection", by=CLERK, objection_id=filed.id).objection == forwarded
    for rpc in ("ForwardObjection", "CloseObjection"):
        refused = edge.refused(rpc, by=CLERK, objection_id=filed.id, etag=forwarded.etag)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_COMPETENT")
    decision = {"objection_id": filed.id, "etag": forwarded.etag, "opinion": "经核查"}
    assert edge.refused("DecideObjection", by=OFFICE, **decision).reason == "NOT_COMPETENT"
    assert edge.ask("DecideObjection", by=CLERK, **decision).objection.state


def test_a_person_is_found_by_its_number_and_name_and_a_citizen_finds_itself_alone(
    edge: Edge, own: dict[str, Any]
) -> None:
    citizen = own["citizen"]
    right = {"id_type": "身份证", "number": citizen.identity, "name": citizen.name}
    for who in (citizen, CLERK, PARTNER):
        found = edge.ask("FindPerson", by=who, **right).subject
        assert (found.id, found.name == citizen.name) == (own["person_id"], who is citizen)
    statuses = {
        edge.refused("FindPerson", by=who, **right | wrong).status.SerializeToString()
        for who, wrong in (
            (CITIZEN, {}),
            (elsewhere(CITIZEN, identity=person()), {}),
            (elsewhere(CITIZEN, identity=own["company"].identity), {}),
            (citizen, {"name": "欧阳大某"}),
            (CLERK, {"name": "欧阳大某"}),
            (PARTNER, {"name": "欧阳大某"}),
            (PARTNER, {"number": person()}),
            (PARTNER, {"number": "x"}),
            (PARTNER, {"id_type": "护照"}),
        )
    }
    assert len(statuses) == 1


def test_who_sends_for_nobody_sends_nothing(edge: Edge) -> None:
    for who in (elsewhere(CLERK, org=""), elsewhere(PARTNER, org="")):
        for rpc in ("PutRecord", "UploadImport"):
            with pytest.raises(Refused) as refused:
                call(edge, rpc, who)
            assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_COMPETENT")
        assert not edge.ask("ListImports", by=who).operations
    with pytest.raises(Refused, match="NOT_COMPETENT"):
        call(edge, "RegisterSubject", elsewhere(CLERK, org=""))


def test_another_departments_records_are_not_sent_over(edge: Edge) -> None:
    code = firm()
    assert edge.refused("PutRecord", by=elsewhere(CLERK, org="SWJ"), **entry(code)).reason == "SOURCE_NOT_ALLOWED"
    assert edge.refused("PutRecord", by=PARTNER, **entry(code)).reason == "SOURCE_NOT_ALLOWED"
    # Each numbers its own.
    mine = edge.ask("PutRecord", by=CLERK, **entry(code, "HONOUR")).record_id
    theirs = edge.ask("PutRecord", by=elsewhere(CLERK, org="SWJ"), **entry(code, "HONOUR")).record_id
    assert mine != theirs


def test_timeliness_is_for_ones_own_department_and_supervision(edge: Edge) -> None:
    for who in (SUPERVISOR, AUDITOR, CLERK):
        edge.ask("GetTimeliness", by=who, source="SCJG", **DAYS)
    for who in (elsewhere(CLERK, org="SWJ"), elsewhere(CLERK, org="")):
        refused = edge.refused("GetTimeliness", by=who, source="SCJG", **DAYS)
        assert (refused.reason, refused.fields) == ("INVALID_FIELD", {"source": "own"})


@pytest.mark.parametrize("region", ["350602", "3505", "", "x%", "350602001"])
def test_only_the_citys_administrators_write_the_catalogue_and_the_list(edge: Edge, region: str) -> None:
    who = elsewhere(ADMIN, region=region)
    for rpc, changes in (
        ("PublishMeasure", {}),
        ("WithdrawMeasure", {"code": "FAST_LANE"}),
        ("WithdrawMeasure", {}),
        ("DraftRecordType", {}),
        ("PublishRecordType", {"code": "TEST_ACCESS"}),
        ("PublishRecordType", {}),
        ("RetireRecordType", {"code": "HONOUR"}),
        ("RetireRecordType", {}),
    ):
        refused = edge.refused(rpc, by=who, **RULES[rpc][1] | changes)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_COMPETENT"), rpc


def test_events_are_for_those_of_their_region(edge: Edge, own: dict[str, Any]) -> None:
    # As the relay does.
    edge.database.write(lambda session: outbox.place(session, limit=1000))
    assert edge.first("WatchEvents", by=OPERATOR, seconds=5) is not None
    county = elsewhere(PARTNER, region="350602")
    assert edge.first("WatchEvents", by=county, seconds=5) is not None
    granted = {"types": ["AuthorisationGranted"]}
    for platform in (OPERATOR, SUPERVISOR):
        assert edge.first("WatchEvents", by=platform, seconds=5, **granted) is not None
    for other in (PARTNER, county, elsewhere(OPERATOR, region="350602")):
        assert edge.first("WatchEvents", by=other, seconds=0.3, **granted) is None
    for region in ("350603", "", "x"):
        assert edge.first("WatchEvents", by=elsewhere(PARTNER, region=region), seconds=0.3) is None


def test_an_administrator_has_no_right_to_what_is_not_public(edge: Edge, own: dict[str, Any]) -> None:
    # Nor has who is both: the role adds nothing.
    both = elsewhere(ADMIN, roles=("admin", "clerk"), org="SWJ")
    asked = {"subject_id": own["person_id"], **ASKED}
    assert edge.refused("QueryRecords", by=ADMIN, **asked).reason == "ROLE_NOT_ALLOWED"
    assert edge.refused("QueryRecords", by=both, **asked).reason == "QUERY_DENIED"
    assert edge.refused("GetRecord", by=both, record_id=own["refused"]).reason == "RECORD_NOT_FOUND"
    assert edge.refused("GetSubject", by=both, subject_id=own["person_id"]).reason == "SUBJECT_NOT_FOUND"


def test_departments_see_what_is_internal_of_firms_and_nothing_of_persons(edge: Edge, own: dict[str, Any]) -> None:
    internal = {"purpose": "招标", "type_codes": ["CONTRACT"]}
    department = elsewhere(CLERK, org="SWJ")
    assert len(edge.ask("QueryRecords", by=department, subject_id=own["firm_id"], **internal).records) == 1
    for who, subject in (
        (department, "person_id"),
        (elsewhere(CLERK, org=""), "firm_id"),
        (elsewhere(PARTNER, org="BANK02"), "firm_id"),
        (elsewhere(COMPANY, identity=firm()), "firm_id"),
    ):
        assert edge.refused("QueryRecords", by=who, subject_id=own[subject], **internal).reason == "QUERY_DENIED"


def test_an_applicants_token_with_an_organisation_does_not_make_it_that_organisation(
    edge: Edge, own: dict[str, Any]
) -> None:
    asked = {"subject_id": own["person_id"], **ASKED}
    for who in (elsewhere(CITIZEN, org=PARTNER.org), elsewhere(COMPANY, org=PARTNER.org)):
        assert edge.refused("QueryRecords", by=who, **asked).reason == "QUERY_DENIED"
        assert not edge.ask("ListAuthorisations", by=who, granted_to_me=True).authorisations
