"""The values of domain and protos are the same, and what has none is left unset."""

from enum import StrEnum
from typing import Any

import pytest

from tulou.credit.v1 import (
    credit_service_pb2,
    import_pb2,
    measure_pb2,
    objection_pb2,
    record_pb2,
    record_type_pb2,
    repair_pb2,
    report_pb2,
    subject_pb2,
)
from tulou_credit.convert.values import name_of, struct_from_proto, struct_to_proto, time_to_proto, value_of
from tulou_credit.domain.catalogue import Category, Openness, PublicityRule, TypeState
from tulou_credit.domain.consent import Basis
from tulou_credit.domain.grades import Grade
from tulou_credit.domain.imports import ImportState, QuarantineState
from tulou_credit.domain.measures import MeasureKind
from tulou_credit.domain.objection import ObjectionAction, ObjectionState
from tulou_credit.domain.publicity import Severity
from tulou_credit.domain.records import Outcome, RecordState, WithdrawalReason
from tulou_credit.domain.repair import RepairAction, RepairState
from tulou_credit.domain.reports import ReportKind
from tulou_credit.domain.subjects import SubjectKind, SubjectStatus

PAIRS: list[tuple[type[StrEnum], Any]] = [
    (Basis, record_pb2.QueryBasis),
    (Category, record_type_pb2.RecordCategory),
    (Grade, measure_pb2.Grade),
    (ImportState, import_pb2.ImportState),
    (MeasureKind, measure_pb2.MeasureKind),
    (ObjectionAction, objection_pb2.ObjectionAction),
    (ObjectionState, objection_pb2.ObjectionState),
    (Openness, record_type_pb2.Openness),
    (Outcome, credit_service_pb2.PutOutcome),
    (PublicityRule, record_type_pb2.PublicityRule),
    (QuarantineState, import_pb2.QuarantineState),
    (RecordState, record_pb2.RecordState),
    (RepairAction, repair_pb2.RepairAction),
    (RepairState, repair_pb2.RepairState),
    (ReportKind, report_pb2.ReportKind),
    (Severity, record_pb2.Severity),
    (SubjectKind, subject_pb2.SubjectKind),
    (SubjectStatus, subject_pb2.SubjectStatus),
    (TypeState, record_type_pb2.RecordTypeState),
    (WithdrawalReason, record_pb2.WithdrawalReason),
]


@pytest.mark.parametrize(("domain", "proto"), PAIRS, ids=lambda each: getattr(each, "__name__", ""))
def test_each_value_has_its_like(domain: type[StrEnum], proto: Any) -> None:
    assert {name_of(proto, number) for number in proto.values()} - {""} == set(domain)
    for value in domain:
        assert name_of(proto, value_of(proto, value)) == value


def test_what_is_not_told_is_unset() -> None:
    assert (value_of(record_pb2.Severity, ""), value_of(record_pb2.Severity, None)) == (0, 0)
    assert name_of(record_pb2.Severity, 0) == ""
    assert time_to_proto(None) is None


def test_json_comes_back_as_it_went() -> None:
    content = {"fine_fen": 200_000, "share": 0.5, "kept": True, "list": [1, {"none": None}], "text": "1"}
    back = struct_from_proto(struct_to_proto(content))
    assert back == content
    assert [type(back[name]) for name in ("fine_fen", "share", "kept")] == [int, float, bool]
