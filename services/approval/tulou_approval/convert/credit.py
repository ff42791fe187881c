"""The applicant's credit: what the credit service is asked and answers, and what is shown of it."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict

from tulou.approval.v1 import case_pb2, credit_check_pb2
from tulou.credit.v1 import credit_service_pb2, measure_pb2, subject_pb2
from tulou_approval.domain.credit import PURPOSE, CreditCheck, Measure, Outcome
from tulou_approval.operations.credit import Question

_ID_TYPES = {"PERSON": "身份证", "ORGANISATION": ""}
# What a credit code of an individual business begins with (GB 32100-2015, table 1).
_SOLE_TRADER = "92"


def handling_to_proto(handling: str) -> case_pb2.CaseHandling.ValueType:
    """SIMPLIFIED → CASE_HANDLING_SIMPLIFIED."""
    return case_pb2.CaseHandling.Value(f"CASE_HANDLING_{handling}")


def handling_from_proto(handling: case_pb2.CaseHandling.ValueType) -> str:
    """CASE_HANDLING_SIMPLIFIED → SIMPLIFIED; empty for none."""
    return case_pb2.CaseHandling.Name(handling).removeprefix("CASE_HANDLING_") if handling else ""


def credit_check_to_proto(found: Mapping[str, Any], *, subject_id: str) -> credit_check_pb2.CreditCheck:
    """What was found at the acceptance of the case."""
    measures = [{**measure, "kind": f"CREDIT_MEASURE_KIND_{measure['kind']}"} for measure in found["measures"]]
    shown = {"outcome": f"CREDIT_CHECK_OUTCOME_{found['outcome']}", "time": found["time"], "measures": measures}
    if found["standing"]:
        shown["standing"] = f"CREDIT_STANDING_{found['standing']}"
    return ParseDict(shown, credit_check_pb2.CreditCheck(subject_id=subject_id))


def check_request(question: Question) -> credit_service_pb2.CheckSubjectRequest:
    """What follows from the applicant's credit for an approval?"""
    id_type = _ID_TYPES[question.subject_type]
    return credit_service_pb2.CheckSubjectRequest(code=question.number, id_type=id_type, purpose=PURPOSE)


def register_request(question: Question, *, request_id: str) -> credit_service_pb2.RegisterSubjectRequest:
    """Enter the applicant, whom the credit service does not know."""
    kind = "PERSON" if question.subject_type == "PERSON" else "ORGANISATION"
    if kind == "ORGANISATION" and question.number.startswith(_SOLE_TRADER):
        kind = "SOLE_TRADER"
    return credit_service_pb2.RegisterSubjectRequest(
        request_id=request_id,
        kind=subject_pb2.SubjectKind.Value(f"SUBJECT_KIND_{kind}"),
        code=question.number,
        id_type=_ID_TYPES[question.subject_type],
        name=question.name,
    )


def check_from_proto(answer: credit_service_pb2.CheckSubjectResponse, *, subject_id: str) -> CreditCheck:
    """What was found; `subject_id` is the answer's, or that of the subject just entered."""
    return CreditCheck(
        outcome=Outcome.APPLIED,
        subject_id=subject_id,
        standing=standing_from_proto(answer.standing),
        measures=tuple(_measure(applied.measure) for applied in answer.measures),
    )


def standing_from_proto(standing: measure_pb2.Standing.ValueType) -> str:
    """STANDING_GOOD → GOOD."""
    return measure_pb2.Standing.Name(standing).removeprefix("STANDING_")


def _measure(proto: measure_pb2.Measure) -> Measure:
    return Measure(
        code=proto.code,
        kind=measure_pb2.MeasureKind.Name(proto.kind).removeprefix("MEASURE_KIND_"),
        name=proto.name,
        name_en=proto.name_en,
        legal_basis=proto.legal_basis,
    )
