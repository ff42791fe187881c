"""Records and the queries for them."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from google.protobuf.struct_pb2 import Struct

from tulou.credit.v1 import credit_service_pb2 as pb
from tulou.credit.v1 import record_pb2
from tulou_credit.convert.subjects import kind_from_proto
from tulou_credit.convert.values import (
    day_from_proto,
    day_to_proto,
    struct_from_proto,
    struct_to_proto,
    time_to_proto,
    value_of,
)
from tulou_credit.domain.entries import Entry
from tulou_credit.models import QueryLog, Record, RecordVersion
from tulou_credit.queries import Timeliness

MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024


def record_to_proto(version: RecordVersion, record: Record) -> record_pb2.Record:
    """What one version says, with the marks that its record bears today."""
    return record_pb2.Record(
        id=record.id,
        subject_id=version.subject_id,
        type_code=version.type_code,
        type_version=version.type_version,
        state=value_of(record_pb2.RecordState, record.state),
        disputed=record.disputed,
        source=version.source,
        content=struct_to_proto(version.content) if version.content else Struct(),
        organ_name=version.organ_name,
        decided_on=day_to_proto(version.decided_on),
        valid_from=day_to_proto(version.valid_from),
        valid_to=day_to_proto(version.valid_to),
        severity=value_of(record_pb2.Severity, version.severity),
        rule_set=version.rule_set,
        minimum_end=day_to_proto(version.minimum_end),
        public_from=day_to_proto(version.public_from),
        public_until=day_to_proto(version.public_until),
        lifted_on=day_to_proto(version.lifted_on),
        version=version.number,
        known_from=time_to_proto(version.known_from),
        known_to=time_to_proto(version.known_to),
        days_late=record.days_late,
    )


def fitting(records: Sequence[record_pb2.Record]) -> Sequence[record_pb2.Record]:
    """As many of the first as an answer holds, one at least: clients refuse messages of more than 4 MiB."""
    size = 0
    for count, record in enumerate(records):
        size += record.ByteSize()
        if count and size > MAX_ANSWER_BYTES:
            return records[:count]
    return records


def query_to_proto(log: QueryLog) -> record_pb2.QueryLog:
    """What was kept of a query."""
    return record_pb2.QueryLog(
        id=log.id,
        subject_id=log.subject_id,
        asker=log.asker,
        actor=log.actor,
        purpose=log.purpose,
        type_codes=log.record_types,
        authorisation_id=log.authorisation_id or "",
        basis=value_of(record_pb2.QueryBasis, log.basis),
        time=time_to_proto(log.asked_at),
    )


def timeliness_to_proto(found: Timeliness) -> record_pb2.Timeliness:
    """How timely a department sent."""
    return record_pb2.Timeliness(
        records=found.records, in_time=found.in_time, share=found.share, latest_days_late=found.latest
    )


def entry_from_proto(request: pb.PutRecordRequest) -> Entry:
    """A record as its sender tells it."""
    return Entry(
        type_code=request.type_code,
        subject_kind=kind_from_proto(request.subject_kind),
        subject_code=request.subject_code,
        id_type=request.id_type,
        subject_name=request.subject_name,
        source_key=request.source_key,
        valid_from=date.fromisoformat(request.valid_from),
        valid_to=day_from_proto(request.valid_to),
        content=struct_from_proto(request.content),
        organ=request.organ_name,
        consent_proof=request.consent_proof,
    )
