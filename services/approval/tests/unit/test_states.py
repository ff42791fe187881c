"""Every pair of state and action, written out by hand."""

import pytest

from tulou_approval.domain.states import TERMINAL, Action, ActionNotAllowed, State, allowed_actions, next_state

# How the table's head names the actions.
ACTIONS = {
    "UPD": "UPDATE",
    "SUB": "SUBMIT",
    "PRE": "PRE_REVIEW",
    "COR": "REQUEST_CORRECTION",
    "RES": "RESUBMIT",
    "ACC": "ACCEPT",
    "DEE": "DEEM_ACCEPTED",
    "DEC": "DECLINE",
    "STA": "START_REVIEW",
    "PAU": "PAUSE",
    "RSM": "RESUME",
    "EXT": "EXTEND",
    "GRA": "GRANT",
    "REF": "REFUSE",
    "CER": "CERTIFY",
    "DEL": "DELIVER",
    "CLO": "CLOSE",
    "WIT": "WITHDRAW",
    "TER": "TERMINATE",
}

# How its rows name the states, and its cells the state that the action leads to.
STATES = {
    "DRA": "DRAFT",
    "SUB": "SUBMITTED",
    "PRE": "PRE_REVIEW",
    "SUP": "NEED_SUPPLEMENT",
    "NOT": "NOT_ACCEPTED",
    "ACC": "ACCEPTED",
    "REV": "UNDER_REVIEW",
    "SPE": "SPECIAL_PROCEDURE",
    "EXT": "EXTENDED",
    "GRA": "GRANTED",
    "REF": "REFUSED",
    "CER": "CERTIFIED",
    "DEL": "DELIVERED",
    "CLO": "CLOSED",
    "WIT": "WITHDRAWN",
    "TER": "TERMINATED",
}

# "-": refused. "i/": for an instant item only. "n/": if not extended before only. "REV|EXT": EXT if extended before.
TABLE = """
     UPD SUB PRE COR RES ACC DEE DEC STA PAU RSM     EXT   GRA   REF   CER DEL CLO WIT TER
DRA  DRA SUB -   -   -   -   -   -   -   -   -       -     -     -     -   -   -   WIT -
SUB  -   -   PRE SUP -   ACC ACC NOT -   -   -       -     -     -     -   -   -   WIT TER
PRE  -   -   -   SUP -   ACC ACC NOT -   -   -       -     -     -     -   -   -   WIT TER
SUP  SUP -   -   -   SUB -   -   -   -   -   -       -     -     -     -   -   -   WIT TER
NOT  -   -   -   -   -   -   -   -   -   -   -       -     -     -     -   -   -   -   -
ACC  -   -   -   -   -   -   -   -   REV -   -       -     i/GRA i/REF -   -   -   WIT TER
REV  -   -   -   -   -   -   -   -   -   SPE -       n/EXT GRA   REF   -   -   -   WIT TER
SPE  -   -   -   -   -   -   -   -   -   -   REV|EXT -     -     -     -   -   -   WIT TER
EXT  -   -   -   -   -   -   -   -   -   SPE -       -     GRA   REF   -   -   -   WIT TER
GRA  -   -   -   -   -   -   -   -   -   -   -       -     -     -     CER -   -   -   -
REF  -   -   -   -   -   -   -   -   -   -   -       -     -     -     -   DEL -   -   -
CER  -   -   -   -   -   -   -   -   -   -   -       -     -     -     -   DEL -   -   -
DEL  -   -   -   -   -   -   -   -   -   -   -       -     -     -     -   -   CLO -   -
CLO  -   -   -   -   -   -   -   -   -   -   -       -     -     -     -   -   -   -   -
WIT  -   -   -   -   -   -   -   -   -   -   -       -     -     -     -   -   -   -   -
TER  -   -   -   -   -   -   -   -   -   -   -       -     -     -     -   -   -   -   -
"""

HEAD, *ROWS = [line.split() for line in TABLE.strip().splitlines()]

CELLS = {(STATES[row[0]], ACTIONS[column]): cell for row in ROWS for column, cell in zip(HEAD, row[1:], strict=True)}

CONDITIONS = [
    pytest.param(instant, extended, id=f"{'instant' if instant else 'promised'}-{'extended' if extended else 'plain'}")
    for instant in (False, True)
    for extended in (False, True)
]


def expected_target(cell: str, *, instant: bool, extended: bool) -> str | None:
    if cell == "-" or (cell.startswith("i/") and not instant) or (cell.startswith("n/") and extended):
        return None
    plain, _, if_extended = cell.removeprefix("i/").removeprefix("n/").partition("|")
    return STATES[if_extended if extended and if_extended else plain]


def test_the_table_speaks_of_every_state_and_every_action() -> None:
    assert set(CELLS) == {(state.name, action.name) for state in State for action in Action}


@pytest.mark.parametrize(("instant", "extended"), CONDITIONS)
@pytest.mark.parametrize(("state", "action"), [pytest.param(*pair, id="-".join(pair)) for pair in CELLS])
def test_an_action_leads_where_the_table_says_or_is_refused(
    state: str, action: str, instant: bool, extended: bool
) -> None:
    target = expected_target(CELLS[state, action], instant=instant, extended=extended)

    if target is None:
        with pytest.raises(ActionNotAllowed) as refusal:
            next_state(State[state], Action[action], instant=instant, extended=extended)
        assert (refusal.value.state, refusal.value.action) == (State[state], Action[action])
    else:
        assert next_state(State[state], Action[action], instant=instant, extended=extended) is State[target]


@pytest.mark.parametrize(("instant", "extended"), CONDITIONS)
@pytest.mark.parametrize("state", STATES.values())
def test_the_allowed_actions_are_those_the_table_has_a_target_for(state: str, instant: bool, extended: bool) -> None:
    allowed = allowed_actions(State[state], instant=instant, extended=extended)

    expected = {
        action
        for (of_state, action), cell in CELLS.items()
        if of_state == state and expected_target(cell, instant=instant, extended=extended)
    }

    assert sorted(action.name for action in allowed) == sorted(expected)


def test_nothing_happens_any_more_in_exactly_four_states() -> None:
    assert {state.name for state in TERMINAL} == {"NOT_ACCEPTED", "WITHDRAWN", "TERMINATED", "CLOSED"}


def test_names_and_stored_values_are_the_same() -> None:
    assert all(member.value == member.name for member in [*State, *Action])


def test_a_state_read_as_plain_text_is_judged_alike() -> None:
    stored: State = "ACCEPTED"  # type: ignore[assignment]  # what a database column gives back

    with pytest.raises(ActionNotAllowed):
        next_state(stored, Action.GRANT, instant=False, extended=False)
