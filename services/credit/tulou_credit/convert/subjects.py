"""Subjects, and what follows from their records."""

from collections.abc import Sequence

from tulou.credit.v1 import credit_service_pb2 as pb
from tulou.credit.v1 import subject_pb2
from tulou_civics.identifiers import mask_name
from tulou_credit.convert.values import day_to_proto, name_of, time_to_proto, value_of
from tulou_credit.domain.subjects import SubjectKind, SubjectStatus
from tulou_credit.models import FormerName, Subject
from tulou_credit.queries import SubjectFilter


def subject_to_proto(subject: Subject, *, own: bool = False, former: Sequence[FormerName] = ()) -> subject_pb2.Subject:
    """The subject; a natural person's name is masked for all but that person."""
    masked = subject.kind == SubjectKind.PERSON and not own
    return subject_pb2.Subject(
        id=subject.id,
        kind=value_of(subject_pb2.SubjectKind, subject.kind),
        code=subject.code or "",
        id_type=subject.id_type,
        number_masked=subject.number_masked,
        name=mask_name(subject.name) if masked else subject.name,
        representative=subject.representative,
        status=value_of(subject_pb2.SubjectStatus, subject.status),
        region_code=subject.region_code,
        former_names=[
            subject_pb2.FormerName(
                name=mask_name(each.name) if masked else each.name,
                valid_from=day_to_proto(each.valid_from),
                valid_to=day_to_proto(each.valid_to),
            )
            for each in former
        ],
        update_time=time_to_proto(subject.updated_at),
    )


def kind_from_proto(kind: subject_pb2.SubjectKind.ValueType) -> SubjectKind:
    """The guards have refused UNSPECIFIED."""
    return SubjectKind(name_of(subject_pb2.SubjectKind, kind))


def filter_from_proto(request: pb.SearchSubjectsRequest) -> SubjectFilter:
    """Which subjects to list."""
    return SubjectFilter(
        code=request.code,
        name=request.name,
        anywhere=request.match == subject_pb2.NAME_MATCH_ANYWHERE,
        region_code=request.region_code,
        status=SubjectStatus(name_of(subject_pb2.SubjectStatus, request.status)) if request.status else None,
    )
