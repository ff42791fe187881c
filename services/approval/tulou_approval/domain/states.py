"""The state machine of a case (办件)."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a case stands (办件状态)."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    PRE_REVIEW = "PRE_REVIEW"
    NEED_SUPPLEMENT = "NEED_SUPPLEMENT"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    ACCEPTED = "ACCEPTED"
    UNDER_REVIEW = "UNDER_REVIEW"
    SPECIAL_PROCEDURE = "SPECIAL_PROCEDURE"
    EXTENDED = "EXTENDED"
    GRANTED = "GRANTED"
    REFUSED = "REFUSED"
    CERTIFIED = "CERTIFIED"
    DELIVERED = "DELIVERED"
    CLOSED = "CLOSED"
    WITHDRAWN = "WITHDRAWN"
    TERMINATED = "TERMINATED"


class Action(StrEnum):
    """What can happen to a case (办理动作)."""

    UPDATE = "UPDATE"
    SUBMIT = "SUBMIT"
    PRE_REVIEW = "PRE_REVIEW"
    REQUEST_CORRECTION = "REQUEST_CORRECTION"
    RESUBMIT = "RESUBMIT"
    ACCEPT = "ACCEPT"
    DECLINE = "DECLINE"
    START_REVIEW = "START_REVIEW"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    EXTEND = "EXTEND"
    GRANT = "GRANT"
    REFUSE = "REFUSE"
    CERTIFY = "CERTIFY"
    DELIVER = "DELIVER"
    CLOSE = "CLOSE"
    WITHDRAW = "WITHDRAW"
    TERMINATE = "TERMINATE"
    DEEM_ACCEPTED = "DEEM_ACCEPTED"


class ActionNotAllowed(Exception):
    """The case's state does not allow the action."""

    def __init__(self, state: State, action: Action) -> None:
        super().__init__(f"{action} is not allowed in {state}")
        self.state = state
        self.action = action


_TRANSITIONS: Mapping[State, Mapping[Action, State]] = {
    State.DRAFT: {
        Action.UPDATE: State.DRAFT,
        Action.SUBMIT: State.SUBMITTED,
        Action.WITHDRAW: State.WITHDRAWN,
    },
    State.SUBMITTED: {
        Action.PRE_REVIEW: State.PRE_REVIEW,
        Action.REQUEST_CORRECTION: State.NEED_SUPPLEMENT,
        Action.ACCEPT: State.ACCEPTED,
        Action.DEEM_ACCEPTED: State.ACCEPTED,
        Action.DECLINE: State.NOT_ACCEPTED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.TERMINATE: State.TERMINATED,
    },
    State.PRE_REVIEW: {
        Action.REQUEST_CORRECTION: State.NEED_SUPPLEMENT,
        Action.ACCEPT: State.ACCEPTED,
        Action.DEEM_ACCEPTED: State.ACCEPTED,
        Action.DECLINE: State.NOT_ACCEPTED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.TERMINATE: State.TERMINATED,
    },
    # No ACCEPT here: the organ asked for material and decides on it when it has it.
    State.NEED_SUPPLEMENT: {
        Action.UPDATE: State.NEED_SUPPLEMENT,
        Action.RESUBMIT: State.SUBMITTED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.TERMINATE: State.TERMINATED,
    },
    State.ACCEPTED: {
        Action.START_REVIEW: State.UNDER_REVIEW,
        Action.GRANT: State.GRANTED,  # on the spot only
        Action.REFUSE: State.REFUSED,  # on the spot only
        Action.WITHDRAW: State.WITHDRAWN,
        Action.TERMINATE: State.TERMINATED,
    },
    State.UNDER_REVIEW: {
        Action.PAUSE: State.SPECIAL_PROCEDURE,
        Action.EXTEND: State.EXTENDED,  # once only
        Action.GRANT: State.GRANTED,
        Action.REFUSE: State.REFUSED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.TERMINATE: State.TERMINATED,
    },
    State.SPECIAL_PROCEDURE: {
        Action.RESUME: State.UNDER_REVIEW,  # or EXTENDED, whence it came
        Action.WITHDRAW: State.WITHDRAWN,
        Action.TERMINATE: State.TERMINATED,
    },
    State.EXTENDED: {
        Action.PAUSE: State.SPECIAL_PROCEDURE,
        Action.GRANT: State.GRANTED,
        Action.REFUSE: State.REFUSED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.TERMINATE: State.TERMINATED,
    },
    State.GRANTED: {Action.CERTIFY: State.CERTIFIED},
    State.REFUSED: {Action.DELIVER: State.DELIVERED},
    State.CERTIFIED: {Action.DELIVER: State.DELIVERED},
    State.DELIVERED: {Action.CLOSE: State.CLOSED},
    State.NOT_ACCEPTED: {},
    State.CLOSED: {},
    State.WITHDRAWN: {},
    State.TERMINATED: {},
}

TERMINAL: frozenset[State] = frozenset(state for state, moves in _TRANSITIONS.items() if not moves)
"""States in which nothing can happen any more."""


def _target(state: State, action: Action, *, instant: bool, extended: bool) -> State | None:
    if state == State.ACCEPTED and action in (Action.GRANT, Action.REFUSE) and not instant:
        return None
    if action == Action.EXTEND and extended:
        return None
    if state == State.SPECIAL_PROCEDURE and action == Action.RESUME and extended:
        return State.EXTENDED
    return _TRANSITIONS[state].get(action)


def next_state(state: State, action: Action, *, instant: bool, extended: bool) -> State:
    """The state that `action` leads to.

    `instant`: the item is decided on the spot, without a review (行政许可法 art. 34). Pass False for an item that needs
    a check on the facts, because that takes two reviewers. `extended`: the time to decide was extended before; the law
    allows it once (art. 42). Raises ActionNotAllowed.
    """
    target = _target(state, action, instant=instant, extended=extended)
    if target is None:
        raise ActionNotAllowed(state, action)
    return target


def allowed_actions(state: State, *, instant: bool, extended: bool) -> tuple[Action, ...]:
    """What can happen next, by the state alone, arguments as of `next_state`.

    Not looked at: who may do it, that only the timer may DEEM_ACCEPTED, whether a correction notice was given before.
    """
    return tuple(
        action
        for action in _TRANSITIONS[state]
        if _target(state, action, instant=instant, extended=extended) is not None
    )
