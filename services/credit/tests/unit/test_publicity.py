"""How long penalties are public, by the rules in force on the day they were decided."""

from datetime import date, timedelta

import pytest

from tulou_civics.calendar import WorkCalendar
from tulou_civics.rules import NoRuleSet
from tulou_credit.domain.publicity import (
    PUBLICITY_RULES,
    Field,
    Penalty,
    PenaltyKind,
    Publicity,
    Severity,
    publicity,
)

CALENDAR = WorkCalendar(frozenset(), {})
DAY = timedelta(days=1)


def penalty_of(text: str, decided_on: str, *, simple_procedure: bool = False, publish_minor: bool = False) -> Penalty:
    """From `HALT+FINE@FOOD`; the field may be left out."""
    kinds, _, field = text.partition("@")
    return Penalty(
        decided_on=date.fromisoformat(decided_on),
        kinds=frozenset(PenaltyKind(kind) for kind in kinds.split("+")),
        field=Field(field or "OTHER"),
        simple_procedure=simple_procedure,
        publish_minor=publish_minor,
    )


def judged(text: str, decided_on: str, **more: bool) -> Publicity:
    return publicity(penalty_of(text, decided_on, **more), calendar=CALENDAR)


# Decided on, penalty, class, last day of the minimum, last day of the maximum.
TABLE = """
2019-07-01 FINE                          GENERAL           2019-10-01 2020-07-01
2022-03-10 WARNING                       GENERAL           2022-06-10 2023-03-10
2022-03-10 DETENTION                     GENERAL           2022-06-10 2023-03-10
2022-03-10 HALT                          SERIOUS           2022-09-10 2025-03-10
2022-03-10 PERMIT_REVOCATION             SERIOUS           2022-09-10 2025-03-10
2022-03-10 PERMIT_REVOCATION@FOOD        SPECIALLY_SERIOUS 2025-03-10 2025-03-10
2022-03-10 HALT@ENVIRONMENT              SPECIALLY_SERIOUS 2025-03-10 2025-03-10
2022-03-10 HALT@COMPULSORY_CERTIFICATION SPECIALLY_SERIOUS 2025-03-10 2025-03-10
2022-03-10 HALT@SPECIAL_EQUIPMENT        SERIOUS           2022-09-10 2025-03-10
2022-03-10 FINE@FOOD                     GENERAL           2022-06-10 2023-03-10
2022-03-10 FINE+HALT                     SERIOUS           2022-09-10 2025-03-10
2022-03-10 FINE+TRADE_BAN+HALT@FIRE      SPECIALLY_SERIOUS 2025-03-10 2025-03-10
2023-04-30 FINE                          GENERAL           2023-07-30 2024-04-30
2023-05-01 FINE                          GENERAL           2023-08-01 2026-05-01
2023-04-30 FINE@DRUGS                    GENERAL           2023-07-30 2024-04-30
2023-05-01 FINE@DRUGS                    GENERAL           2024-05-01 2026-05-01
2024-02-29 FINE@FOOD                     GENERAL           2025-02-28 2027-02-28
2024-02-29 WARNING@SPECIAL_EQUIPMENT     GENERAL           2025-02-28 2027-02-28
2024-02-29 FINE@WORK_SAFETY              GENERAL           2025-02-28 2027-02-28
2024-02-29 FINE@FIRE                     GENERAL           2025-02-28 2027-02-28
2024-02-29 FINE@ENVIRONMENT              GENERAL           2024-05-29 2027-02-28
2025-11-30 WARNING+PERMIT_REVOCATION     GENERAL           2026-02-28 2028-11-30
2026-03-31 WARNING                       GENERAL           2026-06-30 2029-03-31
2026-04-01 WARNING                       MINOR             -          -
2026-04-01 CRITICISM                     MINOR             -          -
2026-04-01 SMALL_FINE                    MINOR             -          -
2026-04-01 ABNORMAL_LIST                 MINOR             -          -
2026-04-01 WARNING+SMALL_FINE            MINOR             -          -
2026-03-31 HALT                          GENERAL           2026-06-30 2029-03-31
2026-04-01 HALT                          SERIOUS           2027-04-01 2029-04-01
2026-04-01 PERMIT_REVOCATION             SERIOUS           2027-04-01 2029-04-01
2026-04-01 BUSINESS_RESTRICTION          SERIOUS           2027-04-01 2029-04-01
2026-04-01 CLOSURE                       SERIOUS           2027-04-01 2029-04-01
2026-04-01 TRADE_BAN                     SERIOUS           2027-04-01 2029-04-01
2026-04-01 HUGE_FINE                     SERIOUS           2027-04-01 2029-04-01
2026-04-01 SERIOUS_LIST                  SERIOUS           2027-04-01 2029-04-01
2026-04-01 LARGE_FINE                    GENERAL           2026-07-01 2027-04-01
2026-04-01 CONFISCATION                  GENERAL           2026-07-01 2027-04-01
2026-04-01 PERMIT_SUSPENSION             GENERAL           2026-07-01 2027-04-01
2026-04-01 DOWNGRADE@FOOD                GENERAL           2026-07-01 2027-04-01
2026-04-01 FINE                          GENERAL           2026-07-01 2027-04-01
2026-04-01 DETENTION                     GENERAL           2026-07-01 2027-04-01
2026-04-01 OTHER                         GENERAL           2026-07-01 2027-04-01
2026-11-30 LARGE_FINE                    GENERAL           2027-02-28 2027-11-30
2026-04-01 WARNING+LARGE_FINE            GENERAL           2026-07-01 2027-04-01
2026-04-01 WARNING+LARGE_FINE+CLOSURE    SERIOUS           2027-04-01 2029-04-01
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(
    ("decided_on", "text", "severity", "minimum", "maximum"), [pytest.param(*row, id="-".join(row[:2])) for row in ROWS]
)
def test_class_and_periods_are_those_of_the_table(
    decided_on: str, text: str, severity: str, minimum: str, maximum: str
) -> None:
    result = judged(text, decided_on)

    assert result.severity == severity
    assert (str(result.minimum_end or "-"), str(result.maximum_end or "-")) == (minimum, maximum)
    assert result.published == (maximum != "-")


@pytest.mark.parametrize(
    ("decided_on", "rule_set"),
    [
        ("2019-07-01", "CR-2019"),
        ("2023-04-30", "CR-2019"),
        ("2023-05-01", "CR-2023"),
        ("2026-03-31", "CR-2023"),
        ("2026-04-01", "CR-2026"),
        ("2031-01-01", "CR-2026"),
    ],
)
def test_the_day_of_the_decision_chooses_the_rule_set(decided_on: str, rule_set: str) -> None:
    assert judged("FINE", decided_on).rule_set == rule_set


def test_a_penalty_from_before_the_rules_is_not_judged() -> None:
    with pytest.raises(NoRuleSet):
        judged("FINE", "2019-06-30")


@pytest.mark.parametrize(
    ("decided_on", "law"),
    [("2023-04-30", "〔2019〕527号"), ("2023-05-01", "2023年第58号"), ("2026-04-01", "2025年第36号")],
)
def test_the_answer_names_the_law(decided_on: str, law: str) -> None:
    assert law in judged("FINE", decided_on).legal_basis


@pytest.mark.parametrize("decided_on", ["2023-04-30", "2023-05-01", "2026-04-01"])
@pytest.mark.parametrize("text", ["WARNING", "FINE@FOOD", "FINE+SMALL_FINE+WARNING"])
def test_the_simple_procedure_is_not_published(decided_on: str, text: str) -> None:
    result = judged(text, decided_on, simple_procedure=True)

    assert not result.published
    assert not result.is_public(result.decided_on, corrected_on=None)


@pytest.mark.parametrize(("decided_on", "severity"), [("2026-03-31", Severity.GENERAL), ("2026-04-01", Severity.MINOR)])
def test_the_simple_procedure_is_a_minor_matter_since_2026(decided_on: str, severity: Severity) -> None:
    assert judged("FINE", decided_on, simple_procedure=True).severity == severity


@pytest.mark.parametrize("kind", ["HALT", "LARGE_FINE", "CONFISCATION", "CRITICISM"])
def test_the_simple_procedure_cannot_hide_what_it_cannot_impose(kind: str) -> None:
    with pytest.raises(ValueError, match=kind):
        penalty_of(f"WARNING+{kind}", "2026-04-01", simple_procedure=True)


def test_a_penalty_without_kinds_is_none() -> None:
    with pytest.raises(ValueError, match="at least one kind"):
        Penalty(decided_on=date(2026, 4, 1), kinds=frozenset())


@pytest.mark.parametrize("simple_procedure", [False, True])
def test_a_minor_one_is_published_for_three_months_if_needed(simple_procedure: bool) -> None:
    result = judged("WARNING", "2026-04-01", simple_procedure=simple_procedure, publish_minor=True)

    assert result.published
    assert (result.minimum_end, result.maximum_end) == (None, date(2026, 7, 1))


@pytest.mark.parametrize("decided_on", ["2023-04-30", "2023-05-01"])
def test_before_2026_no_need_lets_the_simple_procedure_be_published(decided_on: str) -> None:
    assert not judged("WARNING", decided_on, simple_procedure=True, publish_minor=True).published


def test_the_need_to_publish_changes_nothing_for_graver_ones() -> None:
    assert judged("HALT", "2026-04-01", publish_minor=True) == judged("HALT", "2026-04-01")


# Decided on, kind, what the department designated, the class that holds.
DESIGNATIONS = """
2022-03-10 FINE        SERIOUS           SERIOUS
2022-03-10 FINE        MINOR             GENERAL
2022-03-10 FINE        SPECIALLY_SERIOUS GENERAL
2024-03-10 FINE        SERIOUS           GENERAL
2024-03-10 HALT        MINOR             GENERAL
2026-04-01 FINE        MINOR             MINOR
2026-04-01 FINE        SERIOUS           SERIOUS
2026-04-01 OTHER       MINOR             MINOR
2026-04-01 WARNING     SERIOUS           SERIOUS
2026-04-01 WARNING     GENERAL           GENERAL
2026-04-01 LARGE_FINE  MINOR             GENERAL
2026-04-01 HALT        MINOR             SERIOUS
2026-04-01 FINE        SPECIALLY_SERIOUS GENERAL
"""


@pytest.mark.parametrize(
    ("decided_on", "kind", "designated", "severity"), [line.split() for line in DESIGNATIONS.strip().splitlines()]
)
def test_a_department_may_raise_the_class_and_settle_what_the_rules_leave_open(
    decided_on: str, kind: str, designated: str, severity: str
) -> None:
    penalty = Penalty(
        decided_on=date.fromisoformat(decided_on),
        kinds=frozenset({PenaltyKind(kind)}),
        designated=Severity(designated),
    )

    assert publicity(penalty, calendar=CALENDAR).severity == severity


def test_only_the_specially_serious_of_2019_cannot_be_repaired() -> None:
    not_repairable = [(decided_on, text) for decided_on, text, *_ in ROWS if not judged(text, decided_on).repairable]

    assert not_repairable == [(row[0], row[1]) for row in ROWS if row[2] == "SPECIALLY_SERIOUS"]


@pytest.mark.parametrize("decided_on", ["2023-04-30", "2023-05-01", "2026-04-01"])
def test_a_corrected_penalty_is_public_from_its_day_through_the_last_day_of_the_maximum(decided_on: str) -> None:
    result = judged("LARGE_FINE", decided_on)
    first, last = result.decided_on, result.maximum_end
    assert last is not None

    shown = [result.is_public(day, corrected_on=first) for day in (first - DAY, first, last - DAY, last, last + DAY)]

    assert shown == [False, True, True, True, False]
    assert result.last_day(corrected_on=first) == last


@pytest.mark.parametrize(
    ("decided_on", "goes_on"),
    [("2023-04-30", False), ("2023-05-01", False), ("2026-03-31", False), ("2026-04-01", True)],
)
def test_an_uncorrected_penalty_stops_by_itself_at_the_maximum_until_2026_only(decided_on: str, goes_on: bool) -> None:
    result = judged("LARGE_FINE", decided_on)
    assert result.maximum_end is not None

    assert result.is_public(result.maximum_end, corrected_on=None)
    assert result.is_public(result.maximum_end + DAY, corrected_on=None) is goes_on
    assert result.last_day(corrected_on=None) == (None if goes_on else result.maximum_end)


def test_a_correction_after_the_maximum_ends_publicity_that_day() -> None:
    result = judged("LARGE_FINE", "2026-04-01")
    corrected_on = date(2028, 2, 29)

    assert result.last_day(corrected_on=corrected_on) == corrected_on
    assert result.is_public(corrected_on, corrected_on=corrected_on)
    assert not result.is_public(corrected_on + DAY, corrected_on=corrected_on)


@pytest.mark.parametrize("decided_on", ["2023-04-30", "2023-05-01", "2026-04-01"])
def test_what_is_lifted_is_not_public_from_that_day_on(decided_on: str) -> None:
    result = judged("LARGE_FINE", decided_on)
    lifted_on = result.decided_on + 100 * DAY

    assert result.is_public(lifted_on - DAY, corrected_on=None, lifted_on=lifted_on)
    assert not result.is_public(lifted_on, corrected_on=None, lifted_on=lifted_on)


@pytest.mark.parametrize("decided_on", [str(each.effective_from) for each in PUBLICITY_RULES.sets])
@pytest.mark.parametrize("field", Field)
def test_another_kind_never_makes_publicity_shorter_or_milder(decided_on: str, field: Field) -> None:
    gravity = list(Severity).index
    for kind in PenaltyKind:
        alone = judged(f"{kind}@{field}", decided_on)
        for other in PenaltyKind:
            both = judged(f"{kind}+{other}@{field}", decided_on)
            assert gravity(both.severity) >= gravity(alone.severity)
            assert (both.minimum_end or date.min) >= (alone.minimum_end or date.min)
            assert (both.maximum_end or date.min) >= (alone.maximum_end or date.min)
            assert both.repairable <= alone.repairable
