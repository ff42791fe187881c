"""Every reason the service may refuse for is brought about, in Chinese and in English."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from services.credit.tests.edge import (
    ADMIN,
    AUDITOR,
    CITIZEN,
    CLERK,
    NOBODY,
    OFFICE,
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
from services.credit.tests.integration.test_access import measure
from services.credit.tests.store import firm
from tulou.credit.v1 import error_reason_pb2
from tulou_credit.convert.answers import ANSWERS, DOMAIN
from tulou_credit.operations import evidence

PROTO: Final = Path(__file__).parents[4] / "protos/tulou/credit/v1/error_reason.proto"
REASONS: Final = [
    value.name.removeprefix("ERROR_REASON_") for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values if value.number
]
Ways = Callable[[Edge, str], Refused]
REACHED: Final[dict[str, Ways]] = {}
STATEMENT: Final = "事实有误，我没有做过"


def reaches(reason: str) -> Callable[[Ways], Ways]:
    """Enters how a reason is reached, by a call in the language that is given."""

    def enter(way: Ways) -> Ways:
        REACHED[reason] = way
        return way

    return enter


def simply(reason: str, rpc: str, by: Who | None, **fields: Any) -> None:
    """Enters a reason that one call reaches."""
    REACHED[reason] = lambda edge, lang: edge.refused(rpc, by=by, lang=lang, **fields)


def promised(reason: str) -> set[str]:
    """The metadata that the proto's comment promises."""
    told = re.search(rf"((?:  //[^\n]*\n)+)  ERROR_REASON_{reason} =", PROTO.read_text(encoding="utf-8"))
    assert told is not None
    found = re.search(r"Metadata: ([a-z_, ]+)\.", told[1].replace("\n  //", ""))
    return set(found[1].split(", ")) if found else set()


simply("SUBJECT_NOT_FOUND", "GetSubject", None, subject_id=NOBODY)
simply("RECORD_NOT_FOUND", "GetRecord", None, record_id=NOBODY)
simply("RECORD_TYPE_NOT_FOUND", "GetRecordType", None, code="NONE")
simply("SOURCE_NOT_ALLOWED", "PutRecord", elsewhere(CLERK, org="SWJ"), **entry(firm()))
simply("CONTENT_NOT_ALLOWED", "PutRecord", CLERK, **entry(firm(), "HONOUR", content={"title": 7}))
simply("AUTHORISATION_NOT_FOUND", "GetAuthorisation", PARTNER, authorisation_id=NOBODY)
simply("OBJECTION_NOT_FOUND", "GetObjection", OFFICE, objection_id=NOBODY)
simply("REPAIR_NOT_FOUND", "GetRepair", OFFICE, repair_id=NOBODY)
simply("EVIDENCE_NOT_FOUND", "DownloadEvidence", CITIZEN, evidence_id=NOBODY)
simply("IMPORT_NOT_FOUND", "GetImport", CLERK, import_id=NOBODY)
simply("MEASURE_NOT_FOUND", "WithdrawMeasure", ADMIN, code="TEST_NONE", etag="v1")
simply("MEASURE_NOT_CONFIGURABLE", "PublishMeasure", ADMIN, measure=measure("TEST_FAULTY", legal_basis=" "))
simply("REPORT_NOT_FOUND", "VerifyReport", None, code="AAAA-BBBB")
simply("NOT_COMPETENT", "PublishMeasure", elsewhere(ADMIN, region="350602"), measure=measure("TEST_COUNTY"))
simply("NO_IDENTITY", "GrantAuthorisation", CITIZEN, authorisation=authorisation())


@reaches("QUERY_DENIED")
def _(edge: Edge, lang: str) -> Refused:
    citizen = edge.citizen()
    edge.ask("GrantAuthorisation", by=citizen, authorisation=authorisation())
    asked = {"subject_id": edge.own(citizen), "purpose": "招聘", "type_codes": ["REFUSAL", "PENALTY"]}
    refused = edge.refused("QueryRecords", by=PARTNER, lang=lang, **asked)
    assert refused.metadata == {"lacks": "OTHER_PURPOSE,OUT_OF_SCOPE", "uncovered": "PENALTY"}
    return refused


@reaches("AUTHORISATION_REVOKED")
def _(edge: Edge, lang: str) -> Refused:
    citizen = edge.citizen()
    granted = edge.ask("GrantAuthorisation", by=citizen, authorisation=authorisation()).authorisation
    named = {"authorisation_id": granted.id}
    revoked = edge.ask("RevokeAuthorisation", by=citizen, etag=granted.etag, **named).authorisation
    return edge.refused("RevokeAuthorisation", by=citizen, lang=lang, etag=revoked.etag, **named)


@reaches("OBJECTION_OPEN")
def _(edge: Edge, lang: str) -> Refused:
    company, record_id = edge.breach()
    filed = edge.ask("FileObjection", by=company, record_id=record_id, reason=STATEMENT).objection
    refused = edge.refused("FileObjection", by=company, lang=lang, record_id=record_id, reason=STATEMENT)
    assert refused.metadata == {"objection_id": filed.id}
    return refused


@reaches("REPAIR_OPEN")
def _(edge: Edge, lang: str) -> Refused:
    company, record_id = edge.breach()
    told = {"record_id": record_id, "corrected_on": days_ago(3), "promise": True}
    submitted = edge.ask("SubmitRepair", by=company, evidence_ids=[edge.evidence(company)], **told).repair
    refused = edge.refused("SubmitRepair", by=company, lang=lang, evidence_ids=[edge.evidence(company)], **told)
    assert refused.metadata == {"repair_id": submitted.id}
    return refused


@reaches("CONDITIONS_NOT_MET")
def _(edge: Edge, lang: str) -> Refused:
    company, record_id = edge.breach(type_code="SERIOUS_LIST", valid_from=days_ago(0))
    refused = edge.refused("SubmitRepair", by=company, lang=lang, record_id=record_id, corrected_on=days_ago(-1))
    assert refused.metadata["conditions"] == "MINIMUM_REACHED,DUTIES_FULFILLED,PROOF,PROMISE"
    assert refused.metadata["possible_from"] > days_ago(0)
    assert [each.reason for each in refused.bad.field_violations] == refused.metadata["conditions"].split(",")
    return refused


@reaches("ACTION_NOT_ALLOWED")
def _(edge: Edge, lang: str) -> Refused:
    company, record_id = edge.breach()
    filed = edge.ask("FileObjection", by=company, record_id=record_id, reason=STATEMENT).objection
    refused = edge.refused("CloseObjection", by=OFFICE, lang=lang, objection_id=filed.id, etag=filed.etag)
    assert refused.metadata == {"state": "MARKED", "action": "CLOSE"}
    return refused


@reaches("NOT_CORRECTED")
def _(edge: Edge, lang: str) -> Refused:
    company, record_id = edge.breach()
    filed = edge.ask("FileObjection", by=company, record_id=record_id, reason=STATEMENT).objection
    decision = {"objection_id": filed.id, "etag": filed.etag, "upheld": True, "opinion": "经核查有误"}
    upheld = edge.ask("DecideObjection", by=OFFICE, **decision).objection
    return edge.refused("CloseObjection", by=OFFICE, lang=lang, objection_id=filed.id, etag=upheld.etag)


@reaches("FILE_TYPE")
def _(edge: Edge, lang: str) -> Refused:
    return _uploaded(edge, lang, b"%PDF-1.4\n%", "image/png")


@reaches("FILE_TOO_LARGE")
def _(edge: Edge, lang: str) -> Refused:
    refused = _uploaded(edge, lang, b"%PDF-1.4\n" + bytes(evidence.MAX_FILE), "application/pdf")
    assert refused.metadata == {"max_size": str(evidence.MAX_FILE)}
    return refused


@reaches("TOO_MANY_FILES")
def _(edge: Edge, lang: str) -> Refused:
    company, _ = edge.breach()
    for _ in range(evidence.MAX_FILES):
        edge.evidence(company)
    return _uploaded(edge, lang, b"%PDF-1.4\n%", "application/pdf", company)


@reaches("ROW_NOT_FOUND")
def _(edge: Edge, lang: str) -> Refused:
    return edge.refused("DropRow", by=CLERK, lang=lang, import_id=_with_a_wrong_row(edge), row=3)


@reaches("ROW_SETTLED")
def _(edge: Edge, lang: str) -> Refused:
    row = {"import_id": _with_a_wrong_row(edge), "row": 2, "cells": {"CF_JDRQ": "2024-02-29"}}
    edge.ask("CorrectRow", by=CLERK, **row)
    return edge.refused("CorrectRow", by=CLERK, lang=lang, **row)


@reaches("ROW_STILL_WRONG")
def _(edge: Edge, lang: str) -> Refused:
    row = {"import_id": _with_a_wrong_row(edge), "row": 2, "cells": {"CF_JDRQ": "2024-02-31", "CF_SY": ""}}
    refused = edge.refused("CorrectRow", by=CLERK, lang=lang, **row)
    assert set(refused.fields) == {"cells.CF_JDRQ", "cells.CF_SY"}
    return refused


@reaches("NOT_GRADED")
def _(edge: Edge, lang: str) -> Refused:
    return edge.refused("GradeSubject", by=AUDITOR, lang=lang, subject_id=edge.own(edge.citizen()))


def _uploaded(edge: Edge, lang: str, content: bytes, media_type: str, by: Who = CITIZEN) -> Refused:
    with pytest.raises(Refused) as refused:
        edge.upload("UploadEvidence", content, media_type, by=by, lang=lang)
    return refused.value


def _with_a_wrong_row(edge: Edge) -> str:
    return str(edge.taken(penalties({"CF_JDRQ": "2024-02-30", "CF_XDR_SHXYM": firm()})).import_id)


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_told_in_both_languages(edge: Edge, reason: str) -> None:
    chinese, english = (REACHED[reason](edge, lang) for lang in ("", "en"))
    for refused, locale in ((chinese, "zh-CN"), (english, "en")):
        assert (refused.reason, refused.info.domain, refused.local.locale) == (reason, DOMAIN, locale)
        assert refused.code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
        assert promised(reason) <= set(refused.metadata), "what the proto promises"
    assert re.search("[一-鿿]", chinese.local.message)
    assert english.local.message == english.message
    # The wording may name what was asked for, but no placeholder is left, nor a class or a path.
    for told in (chinese.local.message, english.message):
        assert not re.search(r"[{}]|tulou_|Error\b", told)


def test_what_the_proto_promises_is_read_from_it() -> None:
    assert promised("FILE_TOO_LARGE") == {"max_size"}
    assert promised("CONDITIONS_NOT_MET") == {"conditions", "possible_from"}
    assert promised("NO_IDENTITY") == set()


def test_all_that_operations_raise_has_a_reason_of_the_protos() -> None:
    assert {answer.reason for answer in ANSWERS.values()} == set(REASONS) == set(REACHED)
