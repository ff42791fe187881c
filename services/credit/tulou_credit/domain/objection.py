"""Objections to a record (异议): their states and how long each step may take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tulou_civics.calendar import DueDate, WorkCalendar
from tulou_civics.rules import RuleBook, RuleSet


class ObjectionState(StrEnum):
    """Where an objection stands (异议状态)."""

    FILED = "FILED"  # 已提出
    MARKED = "MARKED"  # 已加异议标注
    FORWARDED = "FORWARDED"  # 已转信息提供单位
    UPHELD = "UPHELD"  # 异议成立，待更正
    DISMISSED = "DISMISSED"  # 异议不成立
    CLOSED = "CLOSED"  # 已办结
    WITHDRAWN = "WITHDRAWN"  # 已撤回


class ObjectionAction(StrEnum):
    """What can happen to an objection. UPHOLD and DISMISS are the platform's in MARKED, the provider's in FORWARDED."""

    MARK = "MARK"
    FORWARD = "FORWARD"
    UPHOLD = "UPHOLD"
    DISMISS = "DISMISS"
    CLOSE = "CLOSE"
    WITHDRAW = "WITHDRAW"


class ObjectionActionNotAllowed(Exception):
    """The objection's state does not allow the action."""

    def __init__(self, state: ObjectionState, action: ObjectionAction) -> None:
        super().__init__(f"{action} is not allowed in {state}")
        self.state = state
        self.action = action


_TRANSITIONS: Mapping[ObjectionState, Mapping[ObjectionAction, ObjectionState]] = {
    # Nothing is decided before readers of the record are warned.
    ObjectionState.FILED: {
        ObjectionAction.MARK: ObjectionState.MARKED,
        ObjectionAction.WITHDRAW: ObjectionState.WITHDRAWN,
    },
    ObjectionState.MARKED: {
        ObjectionAction.FORWARD: ObjectionState.FORWARDED,
        ObjectionAction.UPHOLD: ObjectionState.UPHELD,
        ObjectionAction.DISMISS: ObjectionState.DISMISSED,
        ObjectionAction.WITHDRAW: ObjectionState.WITHDRAWN,
    },
    ObjectionState.FORWARDED: {
        ObjectionAction.UPHOLD: ObjectionState.UPHELD,
        ObjectionAction.DISMISS: ObjectionState.DISMISSED,
        ObjectionAction.WITHDRAW: ObjectionState.WITHDRAWN,
    },
    # Closing tells the objector; after UPHELD the record is corrected or deleted first.
    ObjectionState.UPHELD: {ObjectionAction.CLOSE: ObjectionState.CLOSED},
    ObjectionState.DISMISSED: {ObjectionAction.CLOSE: ObjectionState.CLOSED},
    ObjectionState.CLOSED: {},
    ObjectionState.WITHDRAWN: {},
}

FINAL_OBJECTION_STATES: frozenset[ObjectionState] = frozenset(
    state for state, moves in _TRANSITIONS.items() if not moves
)
"""States in which nothing can happen any more."""

DISPUTED_STATES: frozenset[ObjectionState] = frozenset(
    {ObjectionState.MARKED, ObjectionState.FORWARDED, ObjectionState.UPHELD}
)
"""States in which the record bears the mark (异议标注): an upheld one until what was wrong is put right."""


def next_objection_state(state: ObjectionState, action: ObjectionAction) -> ObjectionState:
    """The state that `action` leads to. Raises ObjectionActionNotAllowed."""
    target = _TRANSITIONS[state].get(action)
    if target is None:
        raise ObjectionActionNotAllowed(state, action)
    return target


def allowed_objection_actions(state: ObjectionState) -> tuple[ObjectionAction, ...]:
    """What can happen next, by the state alone."""
    return tuple(_TRANSITIONS[state])


class ObjectionStep(StrEnum):
    """The steps that have a limit."""

    MARK = "MARK"  # 加注异议标识
    FORWARD = "FORWARD"  # 转交信息提供单位
    PLATFORM_DECISION = "PLATFORM_DECISION"  # 平台核查处理
    PROVIDER_DECISION = "PROVIDER_DECISION"  # 信息提供单位核查处理


@dataclass(frozen=True, kw_only=True)
class ObjectionRules:
    """One edition of the limits, in working days: the first three from filing, the provider's from forwarding."""

    legal_basis: str
    mark_days: int
    forward_days: int
    platform_decision_days: int
    provider_decision_days: int
    # To delete a penalty that was revoked, from the written notice.
    deletion_days: int


OBJECTION_RULES: RuleBook[ObjectionRules] = RuleBook(
    (
        # 上海市社会信用条例 arts 36 to 38: S, L. It does not bind here; taken as the default, for the decree that does
        # could not be read and these are a statute's and the shortest: D. In force since 2017-10-01: M.
        RuleSet(
            "OR-SHANGHAI-2017",
            date(2017, 10, 1),
            None,
            ObjectionRules(
                legal_basis="参照《上海市社会信用条例》第三十六条至第三十八条",
                mark_days=1,
                forward_days=2,
                platform_decision_days=5,
                provider_decision_days=5,
                deletion_days=3,
            ),
        ),
    )
)
"""The editions of the limits. An objection goes by the one in force on the day it is filed."""


@dataclass(frozen=True, kw_only=True)
class ObjectionDeadline:
    """The last day of a step's limit, and the rules it comes from."""

    step: ObjectionStep
    due: DueDate
    legal_basis: str


def objection_deadlines(
    *, filed_on: date, platform_error: bool, forwarded_on: date | None = None, calendar: WorkCalendar
) -> tuple[ObjectionDeadline, ...]:
    """The deadlines that are known by now, those already kept among them, in the order of the steps.

    `platform_error`: the platform looks for the error in its own work and decides itself; otherwise it forwards, and
    the provider's limit is known once it did. Raises NoRuleSet.
    """
    rules = OBJECTION_RULES.on(filed_on).rules
    limits: list[tuple[ObjectionStep, date, int]] = [(ObjectionStep.MARK, filed_on, rules.mark_days)]
    if platform_error:
        limits.append((ObjectionStep.PLATFORM_DECISION, filed_on, rules.platform_decision_days))
    else:
        limits.append((ObjectionStep.FORWARD, filed_on, rules.forward_days))
        if forwarded_on is not None:
            limits.append((ObjectionStep.PROVIDER_DECISION, forwarded_on, rules.provider_decision_days))
    return tuple(
        ObjectionDeadline(step=step, due=calendar.add_workdays(start, days), legal_basis=rules.legal_basis)
        for step, start, days in limits
    )


def deletion_due(*, notified_on: date, calendar: WorkCalendar) -> DueDate:
    """The last day to delete a penalty after the written notice that it was revoked. Raises NoRuleSet."""
    return calendar.add_workdays(notified_on, OBJECTION_RULES.on(notified_on).rules.deletion_days)
