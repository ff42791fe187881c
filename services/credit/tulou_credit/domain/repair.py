"""Repair of credit (信用修复): the states of a request, what it must show, and how long each step may take."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from tulou_civics.calendar import DueDate, WorkCalendar
from tulou_civics.durations import Duration, Unit
from tulou_civics.rules import RuleBook, RuleSet
from tulou_credit.domain.publicity import Publicity


class RepairState(StrEnum):
    """Where a request stands (修复申请状态)."""

    SUBMITTED = "SUBMITTED"  # 已提交
    NOT_ACCEPTED = "NOT_ACCEPTED"  # 不予受理
    ACCEPTED = "ACCEPTED"  # 已受理
    EXTENDED = "EXTENDED"  # 已延长办理期限
    GRANTED = "GRANTED"  # 准予修复
    REFUSED = "REFUSED"  # 不予修复
    WITHDRAWN = "WITHDRAWN"  # 已撤回
    REVOKED = "REVOKED"  # 修复决定被撤销


class RepairAction(StrEnum):
    """What can happen to a request."""

    ACCEPT = "ACCEPT"
    DECLINE = "DECLINE"
    EXTEND = "EXTEND"
    GRANT = "GRANT"
    REFUSE = "REFUSE"
    WITHDRAW = "WITHDRAW"
    REVOKE = "REVOKE"


class RepairActionNotAllowed(Exception):
    """The request's state does not allow the action."""

    def __init__(self, state: RepairState, action: RepairAction) -> None:
        super().__init__(f"{action} is not allowed in {state}")
        self.state = state
        self.action = action


_TRANSITIONS: Mapping[RepairState, Mapping[RepairAction, RepairState]] = {
    RepairState.SUBMITTED: {
        RepairAction.ACCEPT: RepairState.ACCEPTED,
        RepairAction.DECLINE: RepairState.NOT_ACCEPTED,
        RepairAction.WITHDRAW: RepairState.WITHDRAWN,
    },
    RepairState.ACCEPTED: {
        RepairAction.EXTEND: RepairState.EXTENDED,  # once only
        RepairAction.GRANT: RepairState.GRANTED,
        RepairAction.REFUSE: RepairState.REFUSED,
        RepairAction.WITHDRAW: RepairState.WITHDRAWN,
    },
    RepairState.EXTENDED: {
        RepairAction.GRANT: RepairState.GRANTED,
        RepairAction.REFUSE: RepairState.REFUSED,
        RepairAction.WITHDRAW: RepairState.WITHDRAWN,
    },
    # Not the end: material may turn out to be false.
    RepairState.GRANTED: {RepairAction.REVOKE: RepairState.REVOKED},
    RepairState.NOT_ACCEPTED: {},
    RepairState.REFUSED: {},
    RepairState.WITHDRAWN: {},
    RepairState.REVOKED: {},
}

FINAL_REPAIR_STATES: frozenset[RepairState] = frozenset(state for state, moves in _TRANSITIONS.items() if not moves)
"""States in which nothing can happen any more. GRANTED is none of them: it can be revoked."""


def next_repair_state(state: RepairState, action: RepairAction) -> RepairState:
    """The state that `action` leads to. Raises RepairActionNotAllowed.

    GRANT is judged by the state alone here; ask `unmet_conditions` too.
    """
    target = _TRANSITIONS[state].get(action)
    if target is None:
        raise RepairActionNotAllowed(state, action)
    return target


def allowed_repair_actions(state: RepairState) -> tuple[RepairAction, ...]:
    """What can happen next, by the state alone."""
    return tuple(_TRANSITIONS[state])


@dataclass(frozen=True, kw_only=True)
class RepairRules:
    """One edition of the rules. Days are working days."""

    legal_basis: str
    # To say whether the request is taken up, from submission; None: no limit of its own.
    acceptance_days: int | None
    # To decide; from acceptance, or from submission if `decision_from_submission`.
    decision_days: int
    decision_from_submission: bool
    # What may be added once to decide in complex cases.
    extension_days: int
    # To tell the determining department and all systems that use the record, from the decision.
    pass_on_days: int
    # After false material or a grossly untrue promise: how long that is public, without early end, and how long no new
    # request is taken.
    false_material_publicity: Duration
    false_material_ban: Duration


# No text of the older procedure was seen: the numbers of 2023 are taken for it (D).
_LAW_2019 = (
    "《关于进一步完善“信用中国”网站及地方信用门户网站行政处罚信息信用修复机制的通知》（发改办财金〔2019〕527号）"
)

# 10 days from submission and 3 to pass on: S (qingcheng.gov.cn 2024). 3 years after false material: M?. An extension is
# not told of, so there is none.
_RR_2023 = RepairRules(
    legal_basis="《失信行为纠正后的信用信息修复管理办法（试行）》（国家发展改革委令2023年第58号）",
    acceptance_days=None,
    decision_days=10,
    decision_from_submission=True,
    extension_days=0,
    pass_on_days=3,
    false_material_publicity=Duration(3, Unit.YEAR),
    false_material_ban=Duration(3, Unit.YEAR),
)

# 3 to accept: M?. 7 to 10 to decide: M?, the longer taken so that nobody is called late who may not be. Length of the
# one extension: D. 3 to pass on: S for the years before, kept. 3 years public: M?. The years without a new request are
# unreadable in every copy seen: D, as in 2023.
_RR_2026 = RepairRules(
    legal_basis="《信用修复管理办法》（国家发展改革委令2025年第36号）",
    acceptance_days=3,
    decision_days=10,
    decision_from_submission=False,
    extension_days=10,
    pass_on_days=3,
    false_material_publicity=Duration(3, Unit.YEAR),
    false_material_ban=Duration(3, Unit.YEAR),
)

REPAIR_RULES: RuleBook[RepairRules] = RuleBook(
    (
        RuleSet("RR-2019", date(2019, 7, 1), date(2023, 4, 30), replace(_RR_2023, legal_basis=_LAW_2019)),
        RuleSet("RR-2023", date(2023, 5, 1), date(2026, 3, 31), _RR_2023),
        RuleSet("RR-2026", date(2026, 4, 1), None, _RR_2026),
    )
)
"""The editions of the procedure, which goes by the one in force on the day of submission; periods of publicity go by
the day of the penalty."""


class RepairStep(StrEnum):
    """The steps that have a limit."""

    ACCEPTANCE = "ACCEPTANCE"  # 受理审查
    DECISION = "DECISION"  # 作出修复决定
    PASS_ON = "PASS_ON"  # 共享修复结果


@dataclass(frozen=True, kw_only=True)
class RepairDeadline:
    """The last day of a step's limit, and the rules it comes from."""

    step: RepairStep
    due: DueDate
    legal_basis: str


def repair_deadlines(
    *,
    submitted_on: date,
    accepted_on: date | None = None,
    decided_on: date | None = None,
    extended: bool = False,
    calendar: WorkCalendar,
) -> tuple[RepairDeadline, ...]:
    """The deadlines that are known by now, those already kept among them, in the order of the steps.

    Raises NoRuleSet for a request submitted before 2019-07-01.
    """
    rules = REPAIR_RULES.on(submitted_on).rules
    limits: list[tuple[RepairStep, date | None, int | None]] = [
        (RepairStep.ACCEPTANCE, submitted_on, rules.acceptance_days),
        (
            RepairStep.DECISION,
            submitted_on if rules.decision_from_submission else accepted_on,
            rules.decision_days + (rules.extension_days if extended else 0),
        ),
        (RepairStep.PASS_ON, decided_on, rules.pass_on_days),
    ]
    return tuple(
        RepairDeadline(step=step, due=calendar.add_workdays(start, days), legal_basis=rules.legal_basis)
        for step, start, days in limits
        if start is not None and days is not None
    )


class RepairCondition(StrEnum):
    """What a request must show (修复条件)."""

    OF_A_BREACH = "OF_A_BREACH"
    PUBLISHED = "PUBLISHED"
    REPAIRABLE = "REPAIRABLE"
    NOT_EXCLUDED = "NOT_EXCLUDED"
    MINIMUM_REACHED = "MINIMUM_REACHED"
    DUTIES_FULFILLED = "DUTIES_FULFILLED"
    PROOF = "PROOF"
    PROMISE = "PROMISE"
    NO_FALSE_MATERIAL_BEFORE = "NO_FALSE_MATERIAL_BEFORE"


_SENTENCES: Mapping[RepairCondition, tuple[str, str]] = {
    RepairCondition.OF_A_BREACH: (
        "该信息不属于可以修复的失信信息",
        "The record tells of no breach that is repaired",
    ),
    RepairCondition.PUBLISHED: (
        "该信息未公示或公示已结束，无需修复",
        "The record is not public; nothing is to be repaired",
    ),
    RepairCondition.REPAIRABLE: (
        "属于特定严重失信行为，公示期内不予修复",
        "The breach is specially serious: no repair while it is public",
    ),
    RepairCondition.NOT_EXCLUDED: (
        "法律、法规规定不可修复",
        "Another law excludes repair",
    ),
    RepairCondition.MINIMUM_REACHED: ("未达到最短公示期限", "The minimum publicity period is not over"),
    RepairCondition.DUTIES_FULFILLED: (
        "失信行为未纠正或处罚决定的义务未履行完毕",
        "The breach is not corrected, or duties of the decision are open",
    ),
    RepairCondition.PROOF: ("未提交履行义务的证明材料", "Proof that the duties are fulfilled is missing"),
    RepairCondition.PROMISE: ("未作出公开信用承诺", "The public credit promise is missing"),
    RepairCondition.NO_FALSE_MATERIAL_BEFORE: (
        "曾提供虚假材料或者严重违背承诺，在限制申请期内",
        "False material or an untrue promise was given before; no new request yet",
    ),
}


@dataclass(frozen=True, kw_only=True)
class UnmetCondition:
    """A condition that is not met, in both languages; `possible_from` is the first day on which time alone meets it."""

    condition: RepairCondition
    zh: str
    en: str
    legal_basis: str
    possible_from: date | None = None


@dataclass(frozen=True, kw_only=True)
class RepairClaim:
    """What a request shows.

    `corrected_on`: the day the breach was corrected and the last duty fulfilled, None while they are not.
    `excluded_by` names the law that forbids repair, empty for none. `false_material_on` is the day on which the
    requester was last found to have given false material.
    """

    corrected_on: date | None
    proof: bool
    promise: bool
    excluded_by: str = ""
    false_material_on: date | None = None


def unmet_conditions(
    claim: RepairClaim, publicity: Publicity | None, *, shown: bool, submitted_on: date, calendar: WorkCalendar
) -> tuple[UnmetCondition, ...]:
    """Every condition that a request does not meet on the day it is submitted; none: it may be granted.

    `publicity` None: no rules of publicity are for such a record. `shown`: it is public in fact on that day; what
    is corrected after the longest period is shown until that is found. The first day after the minimum is the first
    on which a request meets it. Raises NoRuleSet for a request submitted before 2019-07-01.
    """
    procedure = REPAIR_RULES.on(submitted_on).rules
    if publicity is None:
        return (_unmet(RepairCondition.OF_A_BREACH, procedure.legal_basis, None),)
    ban_ends = None
    if claim.false_material_on is not None:
        # The rules of the day it was found out, not of today, made the ban.
        ban_ends = false_material_consequences(found_on=claim.false_material_on, calendar=calendar).no_request_until
    minimum_end = publicity.minimum_end

    unmet: list[tuple[RepairCondition, str, date | None]] = []
    if not shown:
        unmet.append((RepairCondition.PUBLISHED, publicity.legal_basis, None))
    if not publicity.repairable:
        unmet.append((RepairCondition.REPAIRABLE, publicity.legal_basis, None))
    if claim.excluded_by:
        unmet.append((RepairCondition.NOT_EXCLUDED, claim.excluded_by, None))
    if minimum_end is not None and submitted_on <= minimum_end:
        # Where repair is shut out waiting does not help, so no day is promised.
        first_day = _day_after(minimum_end) if publicity.repairable and not claim.excluded_by else None
        unmet.append((RepairCondition.MINIMUM_REACHED, publicity.legal_basis, first_day))
    if claim.corrected_on is None or claim.corrected_on > submitted_on:
        unmet.append((RepairCondition.DUTIES_FULFILLED, procedure.legal_basis, None))
    if not claim.proof:
        unmet.append((RepairCondition.PROOF, procedure.legal_basis, None))
    if not claim.promise:
        unmet.append((RepairCondition.PROMISE, procedure.legal_basis, None))
    if ban_ends is not None and submitted_on <= ban_ends:
        unmet.append((RepairCondition.NO_FALSE_MATERIAL_BEFORE, procedure.legal_basis, _day_after(ban_ends)))
    return tuple(_unmet(*each) for each in unmet)


def _unmet(condition: RepairCondition, legal_basis: str, possible_from: date | None) -> UnmetCondition:
    zh, en = _SENTENCES[condition]
    return UnmetCondition(condition=condition, zh=zh, en=en, legal_basis=legal_basis, possible_from=possible_from)


@dataclass(frozen=True, kw_only=True)
class FalseMaterialConsequences:
    """What follows from false material: both are last days. The publicity cannot be ended early by repair."""

    public_until: date
    no_request_until: date
    legal_basis: str


def false_material_consequences(*, found_on: date, calendar: WorkCalendar) -> FalseMaterialConsequences:
    """What follows from false material or a grossly untrue promise, by the day it is found.

    Raises NoRuleSet before 2019-07-01.
    """
    rules = REPAIR_RULES.on(found_on).rules
    return FalseMaterialConsequences(
        public_until=rules.false_material_publicity.end(found_on, calendar).date,
        no_request_until=rules.false_material_ban.end(found_on, calendar).date,
        legal_basis=rules.legal_basis,
    )


def _day_after(day: date) -> date:
    return day + timedelta(days=1)
