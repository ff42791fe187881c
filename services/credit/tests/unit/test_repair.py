"""Requests for repair: their states, conditions and clocks."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulou_civics.calendar import WorkCalendar
from tulou_civics.rules import NoRuleSet
from tulou_credit.domain.publicity import Field, Penalty, PenaltyKind, Publicity, publicity
from tulou_credit.domain.repair import (
    FINAL_REPAIR_STATES,
    REPAIR_RULES,
    RepairAction,
    RepairActionNotAllowed,
    RepairClaim,
    RepairCondition,
    RepairState,
    RepairStep,
    UnmetCondition,
    allowed_repair_actions,
    false_material_consequences,
    next_repair_state,
    repair_deadlines,
    unmet_conditions,
)

# Every Monday to Friday is a working day: holidays are the calendar's own matter.
CALENDAR = WorkCalendar(frozenset(range(2019, 2033)), {})
DAY = timedelta(days=1)

STATES = """
             ACCEPT   DECLINE      EXTEND   GRANT   REFUSE  WITHDRAW  REVOKE
SUBMITTED    ACCEPTED NOT_ACCEPTED -        -       -       WITHDRAWN -
NOT_ACCEPTED -        -            -        -       -       -         -
ACCEPTED     -        -            EXTENDED GRANTED REFUSED WITHDRAWN -
EXTENDED     -        -            -        GRANTED REFUSED WITHDRAWN -
GRANTED      -        -            -        -       -       -         REVOKED
REFUSED      -        -            -        -       -       -         -
WITHDRAWN    -        -            -        -       -       -         -
REVOKED      -        -            -        -       -       -         -
"""
HEAD, *ROWS = [line.split() for line in STATES.strip().splitlines()]
CELLS = {(row[0], action): cell for row in ROWS for action, cell in zip(HEAD, row[1:], strict=True)}


def test_the_table_speaks_of_every_state_and_every_action() -> None:
    assert set(CELLS) == {(state.value, action.value) for state in RepairState for action in RepairAction}


@pytest.mark.parametrize(("state", "action"), [pytest.param(*pair, id="-".join(pair)) for pair in CELLS])
def test_an_action_leads_where_the_table_says_or_is_refused(state: str, action: str) -> None:
    target = CELLS[state, action]

    assert (RepairAction(action) in allowed_repair_actions(RepairState(state))) == (target != "-")
    if target == "-":
        with pytest.raises(RepairActionNotAllowed) as refusal:
            next_repair_state(RepairState(state), RepairAction(action))
        assert (refusal.value.state, refusal.value.action) == (state, action)
    else:
        assert next_repair_state(RepairState(state), RepairAction(action)) == target


@given(st.lists(st.sampled_from(RepairAction), max_size=12))
def test_no_path_leaves_a_final_state_and_none_extends_twice(actions: list[RepairAction]) -> None:
    state, done = RepairState.SUBMITTED, []
    for action in actions:
        try:
            target = next_repair_state(state, action)
        except RepairActionNotAllowed:
            continue
        assert state not in FINAL_REPAIR_STATES
        state = target
        done.append(action)

    assert done.count(RepairAction.EXTEND) <= 1
    assert done.count(RepairAction.GRANT) + done.count(RepairAction.REFUSE) <= 1


def test_a_grant_is_not_final_because_it_can_be_revoked() -> None:
    assert set(RepairState) - FINAL_REPAIR_STATES == {"SUBMITTED", "ACCEPTED", "EXTENDED", "GRANTED"}


def public(decided_on: date, *kinds: PenaltyKind, field: Field = Field.OTHER, publish_minor: bool = False) -> Publicity:
    penalty = Penalty(decided_on=decided_on, kinds=frozenset(kinds), field=field, publish_minor=publish_minor)
    return publicity(penalty, calendar=CALENDAR)


def unmet(claim: RepairClaim, of: Publicity, submitted_on: date) -> dict[RepairCondition, UnmetCondition]:
    shown = of.is_public(submitted_on, corrected_on=claim.corrected_on)
    found = unmet_conditions(claim, of, shown=shown, submitted_on=submitted_on, calendar=CALENDAR)
    assert len({each.condition for each in found}) == len(found)
    return {each.condition: each for each in found}


FINED = public(date(2026, 4, 1), PenaltyKind.LARGE_FINE)
COMPLETE = RepairClaim(corrected_on=date(2026, 4, 20), proof=True, promise=True)


def test_a_complete_request_after_the_minimum_meets_every_condition() -> None:
    assert unmet(COMPLETE, FINED, date(2026, 7, 2)) == {}


@pytest.mark.parametrize(
    ("claim", "condition"),
    [
        (replace(COMPLETE, corrected_on=None), RepairCondition.DUTIES_FULFILLED),
        (replace(COMPLETE, corrected_on=date(2026, 7, 3)), RepairCondition.DUTIES_FULFILLED),
        (replace(COMPLETE, proof=False), RepairCondition.PROOF),
        (replace(COMPLETE, promise=False), RepairCondition.PROMISE),
        (replace(COMPLETE, excluded_by="《食品安全法》第一百三十五条"), RepairCondition.NOT_EXCLUDED),
        (replace(COMPLETE, false_material_on=date(2026, 5, 6)), RepairCondition.NO_FALSE_MATERIAL_BEFORE),
    ],
)
def test_each_lacking_thing_is_named_alone(claim: RepairClaim, condition: RepairCondition) -> None:
    assert set(unmet(claim, FINED, date(2026, 7, 2))) == {condition}


def test_a_correction_on_the_day_of_submission_is_early_enough() -> None:
    assert unmet(replace(COMPLETE, corrected_on=date(2026, 7, 2)), FINED, date(2026, 7, 2)) == {}


def test_everything_that_is_lacking_is_told_at_once() -> None:
    halted = public(date(2022, 3, 10), PenaltyKind.HALT, field=Field.FIRE)
    nothing = RepairClaim(
        corrected_on=None, proof=False, promise=False, excluded_by="《消防法》", false_material_on=date(2022, 4, 1)
    )

    never_together = {RepairCondition.OF_A_BREACH, RepairCondition.PUBLISHED}
    assert set(unmet(nothing, halted, date(2022, 5, 1))) == set(RepairCondition) - never_together


def test_a_record_without_rules_of_publicity_tells_of_no_breach() -> None:
    (only,) = unmet_conditions(COMPLETE, None, shown=True, submitted_on=date(2026, 7, 2), calendar=CALENDAR)
    assert (only.condition, only.possible_from) == (RepairCondition.OF_A_BREACH, None)


def test_what_is_still_shown_after_a_late_correction_can_be_repaired_on_any_day() -> None:
    late = replace(COMPLETE, corrected_on=date(2028, 1, 3))
    assert unmet_conditions(late, FINED, shown=True, submitted_on=date(2028, 5, 1), calendar=CALENDAR) == ()


MINIMA = [
    pytest.param(public(date(2023, 4, 30), PenaltyKind.FINE), date(2023, 7, 30), id="2019-general"),
    pytest.param(public(date(2023, 4, 30), PenaltyKind.HALT), date(2023, 10, 30), id="2019-serious"),
    pytest.param(public(date(2023, 5, 1), PenaltyKind.HALT), date(2023, 8, 1), id="2023"),
    pytest.param(public(date(2026, 3, 31), PenaltyKind.FINE, field=Field.FOOD), date(2027, 3, 31), id="2023-food"),
    pytest.param(FINED, date(2026, 7, 1), id="2026-general"),
    pytest.param(public(date(2026, 4, 1), PenaltyKind.HALT, PenaltyKind.FINE), date(2027, 4, 1), id="2026-serious"),
]


@pytest.mark.parametrize(("of", "last"), MINIMA)
def test_repair_opens_on_the_day_after_the_minimum(of: Publicity, last: date) -> None:
    claim = replace(COMPLETE, corrected_on=of.decided_on)

    too_early = unmet(claim, of, last)

    assert set(too_early) == {RepairCondition.MINIMUM_REACHED}
    assert too_early[RepairCondition.MINIMUM_REACHED].possible_from == last + DAY
    assert unmet(claim, of, last + DAY) == {}


def test_a_minor_matter_is_repaired_as_soon_as_the_duty_is_fulfilled() -> None:
    warned = public(date(2026, 4, 1), PenaltyKind.WARNING, publish_minor=True)

    assert unmet(replace(COMPLETE, corrected_on=date(2026, 4, 1)), warned, date(2026, 4, 1)) == {}


def test_what_is_not_public_needs_no_repair() -> None:
    warned = public(date(2026, 4, 1), PenaltyKind.WARNING)

    assert set(unmet(COMPLETE, warned, date(2026, 5, 1))) == {RepairCondition.PUBLISHED}


def test_after_the_last_public_day_there_is_nothing_to_repair() -> None:
    assert unmet(COMPLETE, FINED, date(2027, 4, 1)) == {}
    assert set(unmet(COMPLETE, FINED, date(2027, 4, 2))) == {RepairCondition.PUBLISHED}


def test_what_stays_public_for_want_of_correction_can_be_repaired_once_corrected() -> None:
    assert unmet(replace(COMPLETE, corrected_on=date(2028, 1, 3)), FINED, date(2028, 1, 3)) == {}


def test_waiting_is_not_promised_to_help_where_repair_is_shut_out() -> None:
    revoked = public(date(2022, 3, 10), PenaltyKind.PERMIT_REVOCATION, field=Field.DRUGS)

    found = unmet(replace(COMPLETE, corrected_on=date(2022, 3, 10)), revoked, date(2025, 3, 10))

    assert set(found) == {RepairCondition.REPAIRABLE, RepairCondition.MINIMUM_REACHED}
    assert found[RepairCondition.MINIMUM_REACHED].possible_from is None


def test_periods_are_told_with_the_law_of_the_penalty_and_the_rest_with_that_of_the_request() -> None:
    old = public(date(2026, 3, 31), PenaltyKind.FINE)

    found = unmet(replace(COMPLETE, promise=False), old, date(2026, 4, 21))

    assert "第58号" in found[RepairCondition.MINIMUM_REACHED].legal_basis
    assert "第36号" in found[RepairCondition.PROMISE].legal_basis


def test_an_exclusion_is_told_with_the_law_that_excludes() -> None:
    found = unmet(replace(COMPLETE, excluded_by="《药品管理法》"), FINED, date(2026, 7, 2))

    assert found[RepairCondition.NOT_EXCLUDED].legal_basis == "《药品管理法》"


def test_after_false_material_no_request_is_taken_for_three_years() -> None:
    halted = public(date(2026, 4, 1), PenaltyKind.HALT)
    claim = replace(COMPLETE, corrected_on=None, false_material_on=date(2026, 5, 6))

    last = unmet(claim, halted, date(2029, 5, 6))
    assert last[RepairCondition.NO_FALSE_MATERIAL_BEFORE].possible_from == date(2029, 5, 7)
    assert RepairCondition.NO_FALSE_MATERIAL_BEFORE not in unmet(claim, halted, date(2029, 5, 7))


@pytest.mark.parametrize("found_on", [date(2023, 5, 1), date(2026, 3, 31), date(2026, 4, 1)])
def test_false_material_is_public_for_three_years(found_on: date) -> None:
    consequences = false_material_consequences(found_on=found_on, calendar=CALENDAR)

    assert consequences.public_until == consequences.no_request_until == found_on.replace(year=found_on.year + 3)
    assert consequences.legal_basis == REPAIR_RULES.on(found_on).rules.legal_basis


def due(
    submitted_on: str, accepted_on: str | None = None, decided_on: str | None = None, *, extended: bool = False
) -> dict[RepairStep, str]:
    deadlines = repair_deadlines(
        submitted_on=date.fromisoformat(submitted_on),
        accepted_on=date.fromisoformat(accepted_on) if accepted_on else None,
        decided_on=date.fromisoformat(decided_on) if decided_on else None,
        extended=extended,
        calendar=CALENDAR,
    )
    return {each.step: str(each.due.date) for each in deadlines}


def test_under_the_rules_of_2023_ten_working_days_run_from_submission() -> None:
    # 2026-03-31 is a Tuesday.
    assert due("2026-03-31") == {RepairStep.DECISION: "2026-04-14"}
    assert due("2026-03-31", "2026-04-02", extended=True) == {RepairStep.DECISION: "2026-04-14"}


def test_under_the_rules_of_2026_three_run_to_acceptance_and_ten_from_it() -> None:
    # 2026-04-01 is a Wednesday.
    assert due("2026-04-01") == {RepairStep.ACCEPTANCE: "2026-04-06"}
    assert due("2026-04-01", "2026-04-03") == {RepairStep.ACCEPTANCE: "2026-04-06", RepairStep.DECISION: "2026-04-17"}


def test_the_decision_is_extended_by_ten_more() -> None:
    assert due("2026-04-01", "2026-04-03", extended=True)[RepairStep.DECISION] == "2026-05-01"


@pytest.mark.parametrize("submitted_on", ["2023-04-28", "2023-05-01", "2026-04-01"])
def test_a_decision_is_passed_on_within_three_working_days(submitted_on: str) -> None:
    # A Friday.
    assert due(submitted_on, None, "2026-05-08")[RepairStep.PASS_ON] == "2026-05-13"


def test_a_deadline_in_a_year_without_calendar_is_provisional_and_names_its_law() -> None:
    (deadline,) = repair_deadlines(submitted_on=date(2040, 1, 10), calendar=CALENDAR)

    assert deadline.due.provisional
    assert "第36号" in deadline.legal_basis


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2023-04-30", "RR-2019"),
        ("2023-05-01", "RR-2023"),
        ("2026-03-31", "RR-2023"),
        ("2026-04-01", "RR-2026"),
    ],
)
def test_each_day_has_its_procedure(day: str, name: str) -> None:
    assert REPAIR_RULES.on(date.fromisoformat(day)).name == name


def test_before_the_rules_there_is_no_request() -> None:
    with pytest.raises(NoRuleSet):
        due("2019-06-30")
