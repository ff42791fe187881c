"""What happened, as it is published."""

from dataclasses import asdict
from typing import Any, Final

from google.protobuf.message import Message

from tulou.credit.v1 import events_pb2
from tulou_chassis.events import Publication
from tulou_credit.domain import happenings

# Where the subject of a record has no division, as natural persons have none, the city's.
_CITY: Final = "3506"
# An event's aggregate, in whose order it is delivered, is the first of these that it tells.
_AGGREGATES: Final = ("objection_id", "repair_id", "authorisation_id", "record_id")


def publication_of(happened: object) -> Publication:
    """The publication of one of `domain.happenings`: the event of its name, with its fields. Raises TypeError for
    anything else."""
    name = type(happened).__name__
    if type(happened).__module__ != happenings.__name__:
        raise TypeError(f"no event for {name}")
    told: dict[str, Any] = asdict(happened)  # type: ignore[call-overload]
    # Events about a subject's standing are in order for the subject, whichever record did it.
    subject = told["subject_id"] if isinstance(happened, happenings.StandingChanged) else _aggregate(told)
    region = told.get("region_code", "")
    # What persons authorise, object to and ask to be repaired is for nobody who watches events: it has no region.
    if isinstance(happened, happenings.RecordHappening):
        region = region or _CITY
    return Publication(subject=subject, region=region, payload=_payload(name, told))


def _aggregate(told: dict[str, Any]) -> str:
    return next(str(told[name]) for name in _AGGREGATES if name in told)


def _payload(name: str, told: dict[str, Any]) -> Message:
    kind = getattr(events_pb2, name)
    payload: Message = kind()
    for field in kind.DESCRIPTOR.fields:
        value = told[field.name]
        if field.enum_type is not None:
            value = field.enum_type.values_by_name[_full_name(field.enum_type, value)].number
        setattr(payload, field.name, value)
    return payload


def _full_name(kind: Any, value: str) -> str:
    return f"{kind.values[0].name.removesuffix('UNSPECIFIED')}{value}"
