"""The divisions of Zhangzhou, their codes in every form, and what covers what."""

from collections import Counter

import pytest

from tulou_civics.divisions import (
    Level,
    UnknownDivision,
    children,
    covers,
    current_code,
    division,
    divisions,
    full_name,
    normalise,
)


def test_the_whole_city_is_there() -> None:
    levels = Counter(each.level for each in divisions().values())
    assert levels == {Level.CITY: 1, Level.COUNTY: 11, Level.TOWN: 146, Level.VILLAGE: 2135}


def test_every_division_lies_in_its_parent_and_is_one_of_its_children() -> None:
    for each in divisions().values():
        if each.level is not Level.CITY:
            assert covers(each.parent_code, each.code)
            assert each in children(each.parent_code)


def test_the_eleven_counties_are_those_of_today() -> None:
    names = "芗城区 龙文区 龙海区 长泰区 云霄县 漳浦县 诏安县 东山县 南靖县 平和县 华安县"
    assert " ".join(each.name for each in children("3506")) == names
    assert children("350602001001") == ()


@pytest.mark.parametrize(
    ("code", "short"),
    [
        ("350600", "3506"),
        ("350600000", "3506"),
        ("350600000000", "3506"),
        ("3506", "3506"),
        ("350602", "350602"),
        ("350602000000", "350602"),
        ("350602001", "350602001"),
        ("350602001000", "350602001"),
        ("350602001001", "350602001001"),
        ("350000", "35"),
        ("350100", "3501"),
    ],
)
def test_codes_have_one_short_form(code: str, short: str) -> None:
    assert normalise(code) == short


def test_no_code_of_the_table_is_changed_by_normalising() -> None:
    assert all(normalise(code) == code == current_code(code) for code in divisions())


@pytest.mark.parametrize("code", ["", "3", "350", "35060", "3506020", "0506", "3506 ", "35０6", "350602;", "x" * 300])
def test_what_has_not_the_form_of_a_code_is_unknown(code: str) -> None:
    for function in (normalise, current_code, division, children, full_name):
        with pytest.raises(UnknownDivision) as refused:
            function(code)
        assert refused.value.code == code


@pytest.mark.parametrize("code", ["35", "350100", "350681", "350602999", "350602001999"])
def test_codes_that_are_not_in_the_city_today_are_unknown(code: str) -> None:
    with pytest.raises(UnknownDivision):
        division(code)


@pytest.mark.parametrize(
    ("former", "today"),
    [("350681", "350604"), ("350681000000", "350604"), ("350625", "350605"), ("350681100", "350604100")],
)
def test_former_codes_lead_to_the_divisions_of_today(former: str, today: str) -> None:
    assert current_code(former) == today
    assert division(current_code(former)).code == today


@pytest.mark.parametrize(
    ("ancestor", "code", "expected"),
    [
        ("3506", "350602001001", True),
        ("350600", "350602", True),
        ("350602", "350602005", True),
        ("350602", "350602", True),
        ("350602", "350603001", False),
        ("350602005", "350602", False),
        ("350602", "3506", False),
        ("3506", "3501", False),
        ("35", "3506", True),
        ("350604", "350681100", True),
        ("350681", "350604", True),
        ("350681", "350605", False),
    ],
)
def test_a_division_covers_itself_and_what_lies_within(ancestor: str, code: str, expected: bool) -> None:
    assert covers(ancestor, code) is expected


@pytest.mark.parametrize("broken", ["", "3", "350", "*", "3506%"])
def test_a_malformed_code_covers_nothing_and_is_covered_by_nothing(broken: str) -> None:
    assert not covers(broken, "350602")
    assert not covers("3506", broken)
    assert not covers(broken, broken)


def test_full_names_run_from_the_city_down() -> None:
    assert full_name("350600") == "漳州市"
    assert full_name("350602001001") == "漳州市芗城区东铺头街道金宝社区居委会"
