"""Every happening can be published: an event of its name, with its fields, to those of its region."""

from dataclasses import fields
from enum import StrEnum
from typing import Any, get_type_hints

import pytest

from tulou.credit.v1 import events_pb2
from tulou_credit.convert.events import publication_of
from tulou_credit.domain import happenings
from tulou_credit.domain.measures import Standing

CLASSES = [each for each in vars(happenings).values() if getattr(each, "__module__", "") == happenings.__name__]
# What can happen; the others are what these have in common.
EVENTS = [each for each in CLASSES if not each.__subclasses__()]


def values(kind: type[Any], name: str, hint: Any) -> list[Any]:
    """All that a field can be."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return list(hint)
    if kind is happenings.StandingChanged and name == "standing":
        return [*Standing, "NONE"]
    return [f"the {name}", ""] if name == "region_code" else [f"the {name}"]


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_a_happening_has_an_event_with_the_same_fields(kind: type[Any]) -> None:
    message = getattr(events_pb2, kind.__name__)
    assert {field.name for field in fields(kind)} == set(message.DESCRIPTOR.fields_by_name)


def test_there_is_no_event_that_cannot_happen() -> None:
    assert set(events_pb2.DESCRIPTOR.message_types_by_name) == {kind.__name__ for kind in EVENTS}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_whatever_a_happening_says_is_published(kind: type[Any]) -> None:
    hints = get_type_hints(kind)
    usual = {field.name: values(kind, field.name, hints[field.name])[0] for field in fields(kind)}
    for field in fields(kind):
        for value in values(kind, field.name, hints[field.name]):
            told = publication_of(kind(**usual | {field.name: value}))
            assert type(told.payload).__name__ == kind.__name__
            shown = getattr(told.payload, field.name)
            if told.payload.DESCRIPTOR.fields_by_name[field.name].enum_type is None:
                assert shown == value
            else:
                # No value becomes UNSPECIFIED.
                assert shown > 0


def test_records_of_persons_are_the_citys_and_what_persons_do_is_for_nobody_who_watches() -> None:
    granted = happenings.AuthorisationGranted(authorisation_id="a", subject_id="s")
    assert (publication_of(granted).region, publication_of(granted).subject) == ("", "a")
    ids = {"record_id": "r", "subject_id": "s", "type_code": "PENALTY"}
    assert publication_of(happenings.RecordPublished(**ids, region_code="")).region == "3506"
    assert publication_of(happenings.RecordPublished(**ids, region_code="350602")).region == "350602"


def test_a_subjects_standing_is_told_in_order_for_the_subject() -> None:
    ids = {"record_id": "r", "subject_id": "s", "type_code": "SERIOUS_LIST", "region_code": ""}
    assert publication_of(happenings.StandingChanged(**ids, standing="BAD")).subject == "s"
    assert publication_of(happenings.RecordArchived(**ids)).subject == "r"


def test_what_is_no_happening_is_not_published() -> None:
    with pytest.raises(TypeError, match="no event for str"):
        publication_of("something")
