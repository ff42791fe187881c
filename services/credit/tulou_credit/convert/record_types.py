"""The catalogue."""

from typing import Any

from tulou.credit.v1 import record_type_pb2 as pb
from tulou.credit.v1 import subject_pb2
from tulou_chassis.etags import etag_of
from tulou_civics.durations import Duration, Unit
from tulou_credit.convert.subjects import kind_from_proto
from tulou_credit.convert.values import name_of, struct_from_proto, struct_to_proto, time_to_proto, value_of
from tulou_credit.domain.catalogue import Category, Openness, PublicityRule
from tulou_credit.models import RecordType
from tulou_credit.operations.catalogue import Entry


def type_to_proto(found: RecordType) -> pb.RecordType:
    """One version of an entry."""
    return pb.RecordType(
        code=found.code,
        version=found.version,
        state=value_of(pb.RecordTypeState, found.state),
        name=found.name,
        category=value_of(pb.RecordCategory, found.category),
        openness=value_of(pb.Openness, found.openness),
        sources=found.sources,
        subject_kinds=[value_of(subject_pb2.SubjectKind, kind) for kind in found.subject_kinds],
        by_consent=found.by_consent,
        content_schema=struct_to_proto(found.content_schema),
        retention_amount=found.retention_amount,
        retention_unit=value_of(pb.RetentionUnit, found.retention_unit),
        publicity=value_of(pb.PublicityRule, found.publicity),
        publish_time=time_to_proto(found.published_at),
        retire_time=time_to_proto(found.retired_at),
        etag=etag_of(found.revision),
    )


def entry_from_proto(proto: pb.RecordType) -> Entry:
    """What a version of an entry says."""
    schema: dict[str, Any] = struct_from_proto(proto.content_schema)
    return Entry(
        code=proto.code,
        name=proto.name,
        category=Category(name_of(pb.RecordCategory, proto.category)),
        openness=Openness(name_of(pb.Openness, proto.openness)),
        sources=tuple(proto.sources),
        subject_kinds=tuple(kind_from_proto(kind) for kind in proto.subject_kinds),
        by_consent=proto.by_consent,
        content_schema=schema,
        retention=Duration(proto.retention_amount, Unit(name_of(pb.RetentionUnit, proto.retention_unit))),
        publicity=PublicityRule(name_of(pb.PublicityRule, proto.publicity)),
    )
