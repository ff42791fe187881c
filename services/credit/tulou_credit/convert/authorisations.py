"""Authorisations."""

from datetime import date

from tulou.credit.v1 import authorisation_pb2
from tulou_chassis.etags import etag_of
from tulou_credit.convert.values import day_to_proto, time_to_proto, value_of
from tulou_credit.domain.records import civil_date
from tulou_credit.models import Authorisation


def authorisation_to_proto(found: Authorisation) -> authorisation_pb2.Authorisation:
    """An authorisation with its use."""
    return authorisation_pb2.Authorisation(
        id=found.id,
        subject_id=found.grantor_id,
        grantee=found.grantee,
        purpose=found.purpose,
        type_codes=found.scope,
        valid_from=day_to_proto(found.valid_from),
        valid_to=day_to_proto(found.valid_to),
        uses_max=found.uses_max or 0,
        uses=found.uses,
        proof=found.proof,
        channel=value_of(authorisation_pb2.ConsentChannel, found.channel),
        revoked_on=day_to_proto(found.revoked_at and civil_date(found.revoked_at)),
        create_time=time_to_proto(found.created_at),
        etag=etag_of(found.version),
    )


def days_of(proto: authorisation_pb2.Authorisation) -> tuple[date, date]:
    """Its first and last day."""
    return date.fromisoformat(proto.valid_from), date.fromisoformat(proto.valid_to)
