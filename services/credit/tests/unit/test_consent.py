"""Who may see what is not public, for how long, and what an authorisation lacks."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulou_civics.calendar import WorkCalendar
from tulou_credit.domain.consent import (
    Access,
    Authorisation,
    Lack,
    Query,
    access,
    free_reports_left,
    negative_is_visible,
)

CALENDAR = WorkCalendar(frozenset(), {})
DAY = timedelta(days=1)

GIVEN = Authorisation(
    authorisation_id="a1",
    grantor="person",
    grantee="bank",
    purpose="LOAN",
    scope=frozenset({"PENALTY", "HONOUR"}),
    valid_from=date(2026, 5, 1),
    valid_to=date(2026, 5, 31),
    proof="sha256:00",
    uses_max=2,
    uses=1,
)
ASKED = Query(asker="bank", subject="person", purpose="LOAN", record_types=frozenset({"PENALTY"}), on=date(2026, 5, 15))


def test_an_authorisation_that_covers_the_query_is_named() -> None:
    assert access(ASKED, [GIVEN]) == Access(granted=True, authorisation_id="a1")


@pytest.mark.parametrize(
    ("change", "lack"),
    [
        ({"purpose": "HIRING"}, Lack.OTHER_PURPOSE),
        ({"scope": frozenset({"HONOUR"})}, Lack.OUT_OF_SCOPE),
        ({"valid_from": date(2026, 5, 16)}, Lack.NOT_YET_VALID),
        ({"valid_to": date(2026, 5, 14)}, Lack.EXPIRED),
        ({"revoked_on": date(2026, 5, 15)}, Lack.REVOKED),
        ({"uses": 2}, Lack.USED_UP),
        ({"uses": 3}, Lack.USED_UP),
        ({"grantor": "other"}, Lack.NO_AUTHORISATION),
        ({"grantee": "other"}, Lack.NO_AUTHORISATION),
    ],
)
def test_what_lacks_is_named(change: dict[str, object], lack: Lack) -> None:
    answer = access(ASKED, [replace(GIVEN, **change)])  # type: ignore[arg-type]

    assert (answer.granted, answer.own, answer.authorisation_id, answer.lacks) == (False, False, None, (lack,))


def test_everything_that_lacks_is_named_at_once_with_the_types_outside() -> None:
    query = replace(ASKED, purpose="HIRING", record_types=frozenset({"PENALTY", "TAX"}), on=date(2026, 6, 1))

    answer = access(query, [replace(GIVEN, uses=2, revoked_on=date(2026, 5, 2))])

    assert set(answer.lacks) == {Lack.OTHER_PURPOSE, Lack.OUT_OF_SCOPE, Lack.EXPIRED, Lack.REVOKED, Lack.USED_UP}
    assert answer.uncovered == {"TAX"}


@pytest.mark.parametrize(
    ("on", "granted"),
    [
        (date(2026, 4, 30), False),
        (date(2026, 5, 1), True),
        (date(2026, 5, 31), True),
        (date(2026, 6, 1), False),
    ],
)
def test_first_and_last_day_are_valid_and_their_neighbours_not(on: date, granted: bool) -> None:
    assert access(replace(ASKED, on=on), [GIVEN]).granted is granted


def test_what_was_asked_on_the_day_before_a_revocation_was_covered() -> None:
    assert access(ASKED, [replace(GIVEN, revoked_on=date(2026, 5, 16))]).granted


def test_without_a_bound_there_is_always_a_use_left() -> None:
    assert access(ASKED, [replace(GIVEN, uses_max=None, uses=10_000)]).granted


def test_scopes_of_two_authorisations_are_not_added_up() -> None:
    query = replace(ASKED, record_types=frozenset({"PENALTY", "HONOUR"}))
    halves = [replace(GIVEN, authorisation_id=kind, scope=frozenset({kind})) for kind in ("PENALTY", "HONOUR")]

    assert access(query, halves).lacks == (Lack.OUT_OF_SCOPE,)
    assert access(query, [*halves, GIVEN]).authorisation_id == "a1"


def test_of_several_the_one_that_ends_first_is_used() -> None:
    later = replace(GIVEN, authorisation_id="a0", valid_to=date(2026, 6, 30))

    assert access(ASKED, [later, GIVEN]).authorisation_id == "a1"


def test_a_denial_tells_of_the_nearest_authorisation() -> None:
    far = replace(GIVEN, purpose="HIRING", uses=2)

    assert access(ASKED, [far, replace(GIVEN, uses=2)]).lacks == (Lack.USED_UP,)


def test_own_data_needs_no_authorisation() -> None:
    assert access(replace(ASKED, asker="person"), []) == Access(granted=True, own=True)


@given(
    asker=st.sampled_from(["admin", "root", "auditor", "bank", "office"]),
    authorisations=st.lists(
        st.builds(
            replace,
            st.just(GIVEN),
            grantor=st.sampled_from(["person", "other"]),
            grantee=st.sampled_from(["bank", "office"]),
            uses=st.integers(0, 3),
        )
    ),
)
def test_nobody_sees_what_no_authorisation_given_to_them_covers(
    asker: str, authorisations: list[Authorisation]
) -> None:
    expected = any((each.grantor, each.grantee) == ("person", asker) and each.uses < 2 for each in authorisations)

    assert access(replace(ASKED, asker=asker), authorisations).granted is expected


def test_a_denial_does_not_hint_at_what_others_were_given() -> None:
    assert access(replace(ASKED, asker="office"), [GIVEN]) == access(replace(ASKED, asker="office"), [])


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": ""},
        {"scope": frozenset()},
        {"proof": ""},
        {"valid_to": date(2026, 4, 30)},
        {"uses_max": 0},
        {"uses": -1},
    ],
)
def test_an_authorisation_that_could_cover_nothing_or_is_not_proved_is_none(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"authorisation|valid to"):
        replace(GIVEN, **change)  # type: ignore[arg-type]


def test_an_authorisation_may_be_for_one_day_and_one_use() -> None:
    once = replace(GIVEN, valid_from=ASKED.on, valid_to=ASKED.on, uses_max=1, uses=0)

    assert access(ASKED, [once]).granted


@pytest.mark.parametrize("change", [{"record_types": frozenset()}, {"asker": ""}, {"subject": ""}])
def test_a_query_for_nothing_or_by_nobody_or_about_nobody_is_none(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a query names"):
        replace(ASKED, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ended_on", "last"),
    [(date(2021, 5, 15), date(2026, 5, 15)), (date(2024, 2, 29), date(2029, 2, 28))],
)
def test_a_negative_record_can_be_queried_through_the_last_day_of_five_years(ended_on: date, last: date) -> None:
    assert negative_is_visible(ended_on=ended_on, on=last, calendar=CALENDAR)
    assert not negative_is_visible(ended_on=ended_on, on=last + DAY, calendar=CALENDAR)


def test_an_act_that_goes_on_can_be_queried() -> None:
    assert negative_is_visible(ended_on=None, on=date(2046, 1, 1), calendar=CALENDAR)


@pytest.mark.parametrize(
    ("issued_on", "left"),
    [
        ([], 2),
        ([date(2026, 1, 1)], 1),
        ([date(2026, 1, 1), date(2026, 1, 1)], 0),
        ([date(2026, 1, 1)] * 3, 0),
        ([date(2025, 12, 31), date(2026, 1, 1)], 1),
    ],
)
def test_two_reports_a_calendar_year_are_free(issued_on: list[date], left: int) -> None:
    assert free_reports_left(issued_on=issued_on, on=date(2026, 12, 31)) == left
