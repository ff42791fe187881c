"""Measures, checks and grades."""

from datetime import date
from functools import lru_cache

from tulou.credit.v1 import credit_service_pb2, measure_pb2
from tulou_chassis.etags import etag_of
from tulou_credit.convert.values import day_to_proto, name_of, value_of
from tulou_credit.domain.grades import Grading
from tulou_credit.domain.measures import Measure, MeasureKind, Standing
from tulou_credit.measure_queries import Applied, Check
from tulou_credit.models import PublishedMeasure


def listed_to_proto(listed: PublishedMeasure) -> measure_pb2.Measure:
    """A measure of the list, to be changed."""
    return measure_pb2.Measure(
        code=listed.code,
        kind=value_of(measure_pb2.MeasureKind, listed.kind),
        standing=value_of(measure_pb2.Standing, listed.standing),
        purposes=listed.purposes,
        name=listed.zh,
        name_en=listed.en,
        legal_basis=listed.legal_basis,
        published_on=day_to_proto(listed.published_on),
        withdrawn_on=day_to_proto(listed.withdrawn_on),
        etag=etag_of(listed.revision),
    )


def measure_from_proto(proto: measure_pb2.Measure) -> Measure:
    """A measure to be published. Raises MeasureNotConfigurable."""
    return Measure(
        code=proto.code,
        kind=MeasureKind(name_of(measure_pb2.MeasureKind, proto.kind)),
        standing=Standing(name_of(measure_pb2.Standing, proto.standing)),
        purposes=frozenset(proto.purposes),
        zh=proto.name,
        en=proto.name_en,
        legal_basis=proto.legal_basis,
        published_on=date.fromisoformat(proto.published_on),
    )


def check_to_proto(check: Check) -> credit_service_pb2.CheckSubjectResponse:
    """Which measures apply, and why."""
    return credit_service_pb2.CheckSubjectResponse(
        subject_id=check.subject_id,
        standing=value_of(measure_pb2.Standing, check.standing),
        measures=[_applied(each) for each in check.applied],
    )


# Each of the few measures once, and not for each of thousands of checks a second.
@lru_cache(maxsize=1000)
def _measure(measure: Measure) -> measure_pb2.Measure:
    return measure_pb2.Measure(
        code=measure.code,
        kind=value_of(measure_pb2.MeasureKind, measure.kind),
        standing=value_of(measure_pb2.Standing, measure.standing),
        purposes=sorted(measure.purposes),
        name=measure.zh,
        name_en=measure.en,
        legal_basis=measure.legal_basis,
        published_on=day_to_proto(measure.published_on),
        withdrawn_on=day_to_proto(measure.withdrawn_on),
    )


def _applied(applied: Applied) -> measure_pb2.AppliedMeasure:
    return measure_pb2.AppliedMeasure(
        measure=_measure(applied.measure),
        records=[
            measure_pb2.RecordRef(
                record_id=each.record_id,
                type_code=each.type_code,
                decided_on=day_to_proto(each.decided_on),
                disputed=each.disputed,
            )
            for each in applied.records
        ],
    )


def grading_to_proto(found: Grading) -> measure_pb2.Grading:
    """A grade with the record behind every point."""
    return measure_pb2.Grading(
        grade=value_of(measure_pb2.Grade, found.grade),
        score=found.score,
        base=found.base,
        model_version=found.model_version,
        on=day_to_proto(found.on),
        contributions=[
            measure_pb2.Contribution(
                record_id=each.record_id,
                kind=each.kind,
                points=each.points,
                percent=each.percent,
                forces_lowest=each.forces_lowest,
            )
            for each in found.contributions
        ],
    )
