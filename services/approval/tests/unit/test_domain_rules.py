"""The dated limits of the licence law."""

from datetime import date

import pytest

from tulou_approval.domain.rules import LICENCE_LAW, DeadlineKind
from tulou_civics.rules import NoRuleSet


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2004, 7, 1), "licence-law-2004"),
        (date(2019, 4, 22), "licence-law-2004"),
        (date(2019, 4, 23), "licence-law-2019"),
        (date(2026, 11, 21), "licence-law-2019"),
    ],
)
def test_each_day_has_its_edition_of_the_law(day: date, name: str) -> None:
    assert LICENCE_LAW.on(day).name == name


def test_before_the_law_there_are_no_rules() -> None:
    with pytest.raises(NoRuleSet):
        LICENCE_LAW.on(date(2004, 6, 30))


@pytest.mark.parametrize("day", [date(2010, 1, 1), date(2026, 1, 1)])
def test_both_editions_have_the_same_limits(day: date) -> None:
    rules = LICENCE_LAW.on(day).rules

    assert (rules.notice_days, rules.delivery_days) == (5, 10)
    assert (rules.general_days, rules.extension_max_days) == (20, 10)
    assert (rules.joint_days, rules.joint_extension_max_days) == (45, 15)


def test_every_deadline_names_edition_and_article() -> None:
    old, new = LICENCE_LAW.on(date(2010, 1, 1)).rules, LICENCE_LAW.on(date(2026, 1, 1)).rules

    assert set(old.legal_basis) == set(new.legal_basis) == set(DeadlineKind)
    assert old.legal_basis[DeadlineKind.CORRECTION_NOTICE] == "《行政许可法》（2003年公布）第三十二条第一款第四项"
    assert new.legal_basis[DeadlineKind.DELIVERY] == "《行政许可法》（2019年修正）第四十四条"
