"""Partners follow a service's events: from a cursor, of some types, of their region."""

import itertools
from typing import Any

import pytest

from services.approval.tests.office import (
    CITIZEN,
    ON_THE_SPOT,
    OPERATOR,
    PARTNER,
    SUPERVISOR,
    Office,
    Refused,
    Who,
    elsewhere,
)
from tulou.approval.v1 import approval_service_pb2 as pb
from tulou.approval.v1 import events_pb2
from tulou_chassis import outbox


@pytest.fixture(scope="module")
def cases(office: Office) -> dict[str, Any]:
    """A case in each of three places, with their events in the order of the relay."""
    made = {
        region: office.act("AcceptCase", office.submitted(item_code=ON_THE_SPOT, region_code=region))
        for region in ("350602", "350602001", "350603")
    }
    office.database.write(lambda session: outbox.place(session, limit=1000))
    return made


def take(office: Office, count: int, by: Who = PARTNER, **fields: Any) -> list[pb.WatchEventsResponse]:
    """The first so many events of a stream."""
    call = office.stream("WatchEvents", by=by, **fields)
    return list(itertools.islice(call, count))


def test_all_that_is_kept_comes_in_order(office: Office, cases: dict[str, Any]) -> None:
    events = [answer.event for answer in take(office, 6)]
    assert [event.position for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.type for event in events] == ["CaseSubmitted", "CaseAccepted"] * 3
    assert [event.subject for event in events[::2]] == [case.id for case in cases.values()]
    accepted = events_pb2.CaseAccepted()
    assert events[1].data.Unpack(accepted)
    assert accepted.case.case_number == cases["350602"].number
    assert events[1].source == "approval"


def test_a_cursor_goes_on_behind_what_was_seen(office: Office, cases: dict[str, Any]) -> None:
    assert [answer.event.position for answer in take(office, 2, after=4)] == [5, 6]


def test_types_may_be_chosen(office: Office, cases: dict[str, Any]) -> None:
    assert [answer.event.position for answer in take(office, 3, types=["CaseAccepted", "CaseGranted"])] == [2, 4, 6]
    with pytest.raises(Refused) as refused:
        take(office, 1, types=["x"] * 31)
    assert refused.value.fields == {"types": "max_items"}


@pytest.mark.parametrize("who", [PARTNER, OPERATOR, SUPERVISOR], ids=lambda who: who.roles[0])
def test_everyone_sees_the_events_of_their_region(office: Office, cases: dict[str, Any], who: Who) -> None:
    def subjects(region: str, count: int) -> list[str]:
        return [answer.event.subject for answer in take(office, count, elsewhere(who, region=region))][::2]

    county, town, other = (case.id for case in cases.values())
    for region in ("3506", "350600", "350600000000"):
        assert subjects(region, 6) == [county, town, other]
    for region in ("350602", "350602000"):
        assert subjects(region, 4) == [county, town]
    assert subjects("350602001", 2) == [town]
    assert subjects("350603", 2) == [other]


@pytest.mark.parametrize("region", ["", "x", "%", "35060"])
def test_who_has_no_region_watches_nothing(office: Office, cases: dict[str, Any], region: str) -> None:
    assert take(office, 1, elsewhere(PARTNER, region=region)) == []


def test_what_happens_later_comes_while_one_watches(office: Office, cases: dict[str, Any]) -> None:
    stream = office.stream("WatchEvents", by=PARTNER, after=6)
    case = office.submitted(item_code=ON_THE_SPOT)
    office.database.write(lambda session: outbox.place(session, limit=1000))
    answer = next(iter(stream))
    assert (answer.event.type, answer.event.subject) == ("CaseSubmitted", case.id)
    with pytest.raises(Refused, match="ROLE_NOT_ALLOWED"):
        take(office, 1, CITIZEN)
