"""What the applicant's credit means for how a case is handled, and what the credit service is asked."""

import pytest

from tulou.credit.v1 import credit_service_pb2, measure_pb2
from tulou_approval.convert.credit import check_from_proto, check_request, register_request
from tulou_approval.domain.credit import (
    NOT_ASKED,
    UNAVAILABLE,
    CreditCheck,
    Handling,
    Measure,
    Outcome,
    handling_of,
)
from tulou_approval.operations.credit import Question

PERSON = Question(subject_type="PERSON", number="350602199003070036", name="陈小实")
COMPANY = Question(subject_type="ORGANISATION", number="91350600TULTEXT01X", name="土楼公司")
TRADER = Question(subject_type="ORGANISATION", number="92350600TULTEXT011", name="老街面馆")


def found(*codes: tuple[str, str]) -> CreditCheck:
    measures = tuple(Measure(code=code, kind=kind, name="", name_en="", legal_basis="") for code, kind in codes)
    return CreditCheck(outcome=Outcome.APPLIED, standing="GOOD", measures=measures)


FAST = ("FAST_LANE", "INCENTIVE")
ONLY = ("ORDINARY_ONLY", "RESTRICTION")


@pytest.mark.parametrize(
    ("check", "simplified_days", "handling"),
    [
        (found(FAST), 4, "SIMPLIFIED"),
        (found(FAST, ("LOANS", "RESTRICTION")), 1, "SIMPLIFIED"),
        (found(FAST), 0, "ORDINARY"),
        (found(FAST, ONLY), 4, "ORDINARY"),
        (found(ONLY), 4, "ORDINARY"),
        (found(("FAST_LANE", "RESTRICTION")), 4, "ORDINARY"),
        (found(), 4, "ORDINARY"),
        (UNAVAILABLE, 4, "ORDINARY"),
        (NOT_ASKED, 4, "ORDINARY"),
    ],
)
def test_only_the_incentive_alone_and_an_item_that_has_it_simplify(
    check: CreditCheck, simplified_days: int, handling: str
) -> None:
    assert handling_of(check, simplified_days=simplified_days) == Handling(handling)


@pytest.mark.parametrize(("question", "id_type"), [(PERSON, "身份证"), (COMPANY, ""), (TRADER, "")])
def test_a_person_is_asked_about_by_its_document(question: Question, id_type: str) -> None:
    request = check_request(question)
    assert (request.code, request.id_type, request.purpose) == (question.number, id_type, "APPROVAL")


@pytest.mark.parametrize(("question", "kind"), [(COMPANY, 1), (TRADER, 2), (PERSON, 3)])
def test_an_individual_business_is_told_by_its_code(question: Question, kind: int) -> None:
    request = register_request(question, request_id="r")
    assert (request.kind, request.code, request.name) == (kind, question.number, question.name)


def test_an_answer_is_kept_with_its_measures_and_their_legal_basis() -> None:
    measure = measure_pb2.Measure(
        code="FAST_LANE", kind=measure_pb2.MEASURE_KIND_INCENTIVE, name="名", name_en="name", legal_basis="法"
    )
    answer = credit_service_pb2.CheckSubjectResponse(
        standing=measure_pb2.STANDING_GOOD, measures=[measure_pb2.AppliedMeasure(measure=measure)]
    )
    assert check_from_proto(answer, subject_id="s") == CreditCheck(
        outcome=Outcome.APPLIED,
        subject_id="s",
        standing="GOOD",
        measures=(Measure(code="FAST_LANE", kind="INCENTIVE", name="名", name_en="name", legal_basis="法"),),
    )


def test_a_question_does_not_show_whom_it_is_about() -> None:
    assert PERSON.number not in repr(PERSON)
    assert PERSON.name not in repr(PERSON)
