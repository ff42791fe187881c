"""A case concerns a place within its item's region; former codes are taken for today's."""

from typing import Any

import pytest

from services.approval.tests.office import (
    CITIZEN,
    CLERK,
    COUNTY,
    FOOD,
    ON_THE_SPOT,
    SUPERVISOR,
    Office,
    Refused,
    elsewhere,
)


@pytest.mark.parametrize("code", ["350602", "350602001", "350602000", "350602000000"])
def test_a_case_may_concern_any_place_within_the_items_region(office: Office, code: str) -> None:
    assert office.draft(item_code=COUNTY, region_code=code).region_code in {"350602", "350602001"}


def test_where_no_place_is_given_it_is_the_items(office: Office) -> None:
    assert office.draft(item_code=COUNTY, region_code="").region_code == "350602"
    assert office.draft(item_code=FOOD, region_code="").region_code == "3506"


@pytest.mark.parametrize("code", ["350603", "3506", "350600"])
def test_a_place_outside_the_items_region_is_refused(office: Office, code: str) -> None:
    with pytest.raises(Refused) as refused:
        office.draft(item_code=COUNTY, region_code=code)
    assert refused.value.fields == {"case.region_code": "within_item"}


@pytest.mark.parametrize("code", ["350699", "350602999", "9999", "3505", "0506"])
def test_a_place_that_is_none_of_the_citys_is_refused(office: Office, code: str) -> None:
    with pytest.raises(Refused) as refused:
        office.draft(region_code=code)
    assert set(refused.value.fields) == {"case.region_code"}


@pytest.mark.parametrize(("former", "today"), [("350681", "350604"), ("350625", "350605")])
def test_a_former_code_is_taken_for_todays(office: Office, former: str, today: str) -> None:
    case = office.submitted(item_code=ON_THE_SPOT, region_code=former)
    assert case.region_code == today
    assert case.number.startswith(today)
    for code in (former, today):
        assert case.id in {one.id for one in office.ask("ListCases", by=CLERK, region_code=code, page_size=100).cases}
        assert office.case(case.id, elsewhere(CLERK, region=code)).id == case.id
        assert office.case(case.id, elsewhere(SUPERVISOR, region=code)).id == case.id


@pytest.mark.parametrize("code", ["0506", "9999", "999999999999"])
def test_a_list_of_a_place_that_is_none_is_empty(office: Office, code: str) -> None:
    office.submitted(item_code=ON_THE_SPOT)
    assert not office.ask("ListCases", by=CLERK, region_code=code).cases
    assert not office.ask("ListItems", region_code=code).items


def items(office: Office, **filters: Any) -> set[str]:
    return {item.code for item in office.ask("ListItems", **filters).items}


def test_items_are_offered_in_their_region_and_below(office: Office) -> None:
    for code in ("350602", "350602001", "350602000000"):
        assert {COUNTY, FOOD} <= items(office, region_code=code)
    for code in ("350603", "3506", "350681"):
        assert COUNTY not in items(office, region_code=code)
        assert FOOD in items(office, region_code=code)


def test_divisions_are_listed_level_by_level(office: Office) -> None:
    counties = office.ask("ListDivisions").divisions
    assert [one.code for one in counties] == sorted(one.code for one in counties)
    assert ("350602", "芗城区", "3506") in {(one.code, one.name, one.parent_code) for one in counties}
    assert len(counties) == 11
    towns = office.ask("ListDivisions", parent_code="350602").divisions
    assert {one.parent_code for one in towns} == {"350602"}
    assert len(towns) > 5
    for code in ("350681", "9999", "0000"):
        with pytest.raises(Refused) as refused:
            office.ask("ListDivisions", parent_code=code)
        assert refused.value.fields == {"parent_code": "known"}
    assert office.draft(region_code=towns[0].code).region_code == towns[0].code
    assert office.ask("ListCases", by=CITIZEN, region_code=towns[0].code).cases
