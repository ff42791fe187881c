"""Dated rule sets: the one in force on a day, and books that cannot be right."""

from datetime import date

import pytest

from tulou_civics.rules import NoRuleSet, RuleBook, RuleSet

TRIAL = RuleSet("trial measures", date(2023, 5, 1), date(2026, 3, 31), {"accept_days": 3})
ORDER = RuleSet("order 36", date(2026, 4, 1), None, {"accept_days": 5})


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2023, 5, 1), "trial measures"),
        (date(2026, 3, 31), "trial measures"),
        (date(2026, 4, 1), "order 36"),
        (date(2099, 1, 1), "order 36"),
    ],
)
def test_the_rule_set_in_force_on_the_day_is_found(day: date, name: str) -> None:
    assert RuleBook([ORDER, TRIAL]).on(day).name == name


def test_days_outside_every_rule_set_are_refused() -> None:
    with pytest.raises(NoRuleSet, match="2023-04-30") as refused:
        RuleBook([TRIAL, ORDER]).on(date(2023, 4, 30))
    assert refused.value.day == date(2023, 4, 30)
    with pytest.raises(NoRuleSet):
        RuleBook([TRIAL]).on(date(2026, 4, 1))


def rule_set(start: date, end: date | None) -> RuleSet[None]:
    return RuleSet("other", start, end, None)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "at least one"),
        ([rule_set(date(2026, 2, 1), date(2026, 1, 31))], "before it starts"),
        ([rule_set(date(2026, 1, 1), date(2026, 3, 1)), rule_set(date(2026, 3, 1), None)], "overlap on 2026-03-01"),
        ([rule_set(date(2026, 1, 1), None), rule_set(date(2026, 3, 1), None)], "overlap on 2026-03-01"),
        ([rule_set(date(2026, 1, 1), None), rule_set(date(2026, 1, 1), None)], "overlap on 2026-01-01"),
        ([rule_set(date(2026, 1, 1), date(2026, 2, 27)), rule_set(date(2026, 3, 1), None)], "gap .* 2026-02-27"),
    ],
)
def test_overlaps_gaps_and_empty_books_are_refused(sets: list[RuleSet[None]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RuleBook(sets)
