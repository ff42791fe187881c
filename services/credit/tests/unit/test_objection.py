"""Objections: their states and clocks."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulou_civics.calendar import WorkCalendar
from tulou_civics.rules import NoRuleSet
from tulou_credit.domain.objection import (
    DISPUTED_STATES,
    FINAL_OBJECTION_STATES,
    ObjectionAction,
    ObjectionActionNotAllowed,
    ObjectionState,
    ObjectionStep,
    allowed_objection_actions,
    deletion_due,
    next_objection_state,
    objection_deadlines,
)

STATES = """
          MARK   FORWARD   UPHOLD DISMISS   CLOSE  WITHDRAW
FILED     MARKED -         -      -         -      WITHDRAWN
MARKED    -      FORWARDED UPHELD DISMISSED -      WITHDRAWN
FORWARDED -      -         UPHELD DISMISSED -      WITHDRAWN
UPHELD    -      -         -      -         CLOSED -
DISMISSED -      -         -      -         CLOSED -
CLOSED    -      -         -      -         -      -
WITHDRAWN -      -         -      -         -      -
"""
HEAD, *ROWS = [line.split() for line in STATES.strip().splitlines()]
CELLS = {(row[0], action): cell for row in ROWS for action, cell in zip(HEAD, row[1:], strict=True)}


def test_the_table_speaks_of_every_state_and_every_action() -> None:
    assert set(CELLS) == {(state.value, action.value) for state in ObjectionState for action in ObjectionAction}


@pytest.mark.parametrize(("state", "action"), [pytest.param(*pair, id="-".join(pair)) for pair in CELLS])
def test_an_action_leads_where_the_table_says_or_is_refused(state: str, action: str) -> None:
    target = CELLS[state, action]

    assert (ObjectionAction(action) in allowed_objection_actions(ObjectionState(state))) == (target != "-")
    if target == "-":
        with pytest.raises(ObjectionActionNotAllowed) as refusal:
            next_objection_state(ObjectionState(state), ObjectionAction(action))
        assert (refusal.value.state, refusal.value.action) == (state, action)
    else:
        assert next_objection_state(ObjectionState(state), ObjectionAction(action)) == target


@given(st.lists(st.sampled_from(ObjectionAction), max_size=12))
def test_no_path_leaves_a_final_state_and_none_is_decided_twice(actions: list[ObjectionAction]) -> None:
    state, done = ObjectionState.FILED, []
    for action in actions:
        try:
            target = next_objection_state(state, action)
        except ObjectionActionNotAllowed:
            continue
        assert state not in FINAL_OBJECTION_STATES
        state = target
        done.append(action)

    assert done.count(ObjectionAction.UPHOLD) + done.count(ObjectionAction.DISMISS) <= 1
    assert len(set(done)) == len(done)


def test_an_objection_ends_closed_or_withdrawn() -> None:
    assert set(ObjectionState) - FINAL_OBJECTION_STATES == {"FILED", "MARKED", "FORWARDED", "UPHELD", "DISMISSED"}


def test_the_record_is_marked_until_the_objection_fails_or_the_error_is_put_right() -> None:
    assert set(ObjectionState) - DISPUTED_STATES == {"FILED", "DISMISSED", "CLOSED", "WITHDRAWN"}


# The first week of May 2026 is off from Friday 1 to Tuesday 5; Saturday 9 is worked in their stead.
MAY_2026 = {date(2026, 5, day): day == 9 for day in (1, 4, 5, 9)}
CALENDAR = WorkCalendar(frozenset({2026}), MAY_2026)


def due(filed_on: str, *, platform_error: bool = False, forwarded_on: str | None = None) -> dict[ObjectionStep, str]:
    deadlines = objection_deadlines(
        filed_on=date.fromisoformat(filed_on),
        platform_error=platform_error,
        forwarded_on=date.fromisoformat(forwarded_on) if forwarded_on else None,
        calendar=CALENDAR,
    )
    return {each.step: str(each.due.date) for each in deadlines}


def test_an_objection_is_marked_in_one_working_day_and_forwarded_in_two() -> None:
    assert due("2026-04-30") == {ObjectionStep.MARK: "2026-05-06", ObjectionStep.FORWARD: "2026-05-07"}
    assert due("2026-06-01") == {ObjectionStep.MARK: "2026-06-02", ObjectionStep.FORWARD: "2026-06-03"}


def test_the_provider_decides_within_five_working_days_of_forwarding() -> None:
    assert due("2026-04-29", forwarded_on="2026-04-30")[ObjectionStep.PROVIDER_DECISION] == "2026-05-11"


def test_the_platform_decides_on_its_own_error_within_five_working_days_of_filing_and_forwards_nothing() -> None:
    assert due("2026-04-30", platform_error=True, forwarded_on="2026-05-06") == {
        ObjectionStep.MARK: "2026-05-06",
        ObjectionStep.PLATFORM_DECISION: "2026-05-11",
    }


def test_a_revoked_penalty_is_deleted_within_three_working_days_of_the_notice() -> None:
    assert deletion_due(notified_on=date(2026, 4, 30), calendar=CALENDAR).date == date(2026, 5, 8)


def test_a_deadline_in_a_year_without_calendar_is_provisional_and_names_its_law() -> None:
    first, *_ = objection_deadlines(filed_on=date(2026, 12, 31), platform_error=True, calendar=CALENDAR)

    assert first.due.provisional
    assert "上海市社会信用条例" in first.legal_basis


def test_before_the_rules_there_is_no_objection() -> None:
    with pytest.raises(NoRuleSet):
        due("2017-09-30")
    assert due("2017-10-01")
