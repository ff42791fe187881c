"""How long a penalty is public (公示期): the rules in force on the day it was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tulou_civics.calendar import WorkCalendar
from tulou_civics.durations import Duration, Unit
from tulou_civics.rules import RuleBook, RuleSet


class Severity(StrEnum):
    """How grave a breach of trust is (失信程度): 轻微, 一般, 严重, 特定严重; the last is a class of 2019 only."""

    MINOR = "MINOR"
    GENERAL = "GENERAL"
    SERIOUS = "SERIOUS"
    SPECIALLY_SERIOUS = "SPECIALLY_SERIOUS"


class PenaltyKind(StrEnum):
    """What a penalty consists of (处罚种类), and the two lists whose entries are classed with penalties."""

    WARNING = "WARNING"  # 警告
    CRITICISM = "CRITICISM"  # 通报批评
    SMALL_FINE = "SMALL_FINE"  # 小额罚款, as the department drew the line
    LARGE_FINE = "LARGE_FINE"  # 较大数额罚款
    HUGE_FINE = "HUGE_FINE"  # 巨额罚款
    FINE = "FINE"  # 罚款, size class not told
    CONFISCATION = "CONFISCATION"  # 没收违法所得、没收非法财物
    PERMIT_SUSPENSION = "PERMIT_SUSPENSION"  # 暂扣许可证件
    DOWNGRADE = "DOWNGRADE"  # 降低资质等级
    PERMIT_REVOCATION = "PERMIT_REVOCATION"  # 吊销许可证件
    BUSINESS_RESTRICTION = "BUSINESS_RESTRICTION"  # 限制开展生产经营活动
    HALT = "HALT"  # 责令停产停业
    CLOSURE = "CLOSURE"  # 责令关闭
    TRADE_BAN = "TRADE_BAN"  # 限制从业
    DETENTION = "DETENTION"  # 行政拘留
    OTHER = "OTHER"  # 其他
    ABNORMAL_LIST = "ABNORMAL_LIST"  # 列入经营异常名录
    SERIOUS_LIST = "SERIOUS_LIST"  # 列入严重失信主体名单


class Field(StrEnum):
    """The field of a penalty (领域), as far as a rule set treats it apart."""

    FOOD = "FOOD"  # 食品
    DRUGS = "DRUGS"  # 药品
    SPECIAL_EQUIPMENT = "SPECIAL_EQUIPMENT"  # 特种设备
    WORK_SAFETY = "WORK_SAFETY"  # 安全生产
    FIRE = "FIRE"  # 消防
    ENVIRONMENT = "ENVIRONMENT"  # 生态环境
    CONSTRUCTION_QUALITY = "CONSTRUCTION_QUALITY"  # 工程质量
    COMPULSORY_CERTIFICATION = "COMPULSORY_CERTIFICATION"  # 强制性产品认证
    OTHER = "OTHER"


_ON_THE_SPOT = frozenset({PenaltyKind.WARNING, PenaltyKind.SMALL_FINE, PenaltyKind.FINE})


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """What the periods depend on.

    `designated` is the class that the deciding department gave (部门认定); it may raise the class of any penalty and
    settles that of kinds the rules do not name, but cannot lower what they do name. A class unknown to the rule set is
    not looked at. `publish_minor`: the department finds that a minor one needs publishing (确需公示).

    Raises ValueError without kinds, and when a penalty is said to be of the simple procedure that cannot be: on the
    spot there are only warnings and small fines (行政处罚法 art. 51).
    """

    decided_on: date
    kinds: frozenset[PenaltyKind]
    field: Field = Field.OTHER
    simple_procedure: bool = False
    designated: Severity | None = None
    publish_minor: bool = False

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("a penalty has at least one kind")
        if self.simple_procedure and not self.kinds <= _ON_THE_SPOT:
            raise ValueError(f"not of the simple procedure: {', '.join(sorted(self.kinds - _ON_THE_SPOT))}")


@dataclass(frozen=True, kw_only=True)
class ClassRule:
    """One line of a rule set: which kinds in which fields it is about, and how long these are public.

    `kinds` None takes every kind that no earlier line names; `fields` None is every field. `minimum` None: repair needs
    no waiting. `published` False: not public, but `if_needed` True lets the department have it published.
    """

    severity: Severity
    kinds: frozenset[PenaltyKind] | None = None
    fields: frozenset[Field] | None = None
    minimum: Duration | None
    maximum: Duration
    published: bool = True
    if_needed: bool = False
    repairable: bool = True


@dataclass(frozen=True, kw_only=True)
class PublicityRules:
    """One edition of the rules. Of the lines, the first that fits a kind holds for it."""

    legal_basis: str
    simple_procedure: ClassRule
    lines: tuple[ClassRule, ...]
    # Whether publicity stops at the maximum though nothing was corrected.
    stops_uncorrected: bool


def _months(amount: int) -> Duration:
    return Duration(amount, Unit.MONTH)


def _years(amount: int) -> Duration:
    return Duration(amount, Unit.YEAR)


# 发改办财金〔2019〕527号. Periods and the specially serious class: S (0797cx.cn, crsrw.com). Which kinds are serious
# by themselves: M?, the text leaves it mostly to the departments. First day within 2019-07: D.
_CR_2019 = PublicityRules(
    legal_basis="《关于进一步完善“信用中国”网站及地方信用门户网站行政处罚信息信用修复机制的通知》（发改办财金〔2019〕527号）",
    simple_procedure=ClassRule(severity=Severity.GENERAL, minimum=_months(3), maximum=_years(1), published=False),
    lines=(
        ClassRule(
            severity=Severity.SPECIALLY_SERIOUS,
            kinds=frozenset({PenaltyKind.HALT, PenaltyKind.PERMIT_REVOCATION}),
            fields=frozenset(
                {
                    Field.FOOD,
                    Field.DRUGS,
                    Field.ENVIRONMENT,
                    Field.CONSTRUCTION_QUALITY,
                    Field.WORK_SAFETY,
                    Field.FIRE,
                    Field.COMPULSORY_CERTIFICATION,
                }
            ),
            minimum=_years(3),
            maximum=_years(3),
            repairable=False,
        ),
        ClassRule(
            severity=Severity.SERIOUS,
            kinds=frozenset(
                {
                    PenaltyKind.PERMIT_REVOCATION,
                    PenaltyKind.BUSINESS_RESTRICTION,
                    PenaltyKind.HALT,
                    PenaltyKind.CLOSURE,
                    PenaltyKind.TRADE_BAN,
                    PenaltyKind.SERIOUS_LIST,
                }
            ),
            minimum=_months(6),
            maximum=_years(3),
        ),
        ClassRule(severity=Severity.GENERAL, minimum=_months(3), maximum=_years(1)),
    ),
    stops_uncorrected=True,
)

# 58号令. Periods and fields: S (senqisrq.com). It knows no classes, so all are general: D. That penalties of the simple
# procedure stay unpublished, as before it: M?.
_CR_2023 = PublicityRules(
    legal_basis="《失信行为纠正后的信用信息修复管理办法（试行）》（国家发展改革委令2023年第58号）",
    simple_procedure=ClassRule(severity=Severity.GENERAL, minimum=_months(3), maximum=_years(3), published=False),
    lines=(
        ClassRule(
            severity=Severity.GENERAL,
            fields=frozenset({Field.FOOD, Field.DRUGS, Field.SPECIAL_EQUIPMENT, Field.WORK_SAFETY, Field.FIRE}),
            minimum=_years(1),
            maximum=_years(3),
        ),
        ClassRule(severity=Severity.GENERAL, minimum=_months(3), maximum=_years(3)),
    ),
    stops_uncorrected=True,
)

_MINOR_2026 = ClassRule(
    severity=Severity.MINOR,
    kinds=frozenset({PenaltyKind.WARNING, PenaltyKind.CRITICISM, PenaltyKind.SMALL_FINE, PenaltyKind.ABNORMAL_LIST}),
    minimum=None,
    maximum=_months(3),
    published=False,
    if_needed=True,
)

# 36号令. Periods: S. Classes: S for the published draft of 2025-09-01 and summaries of the final text. A fine of untold
# size, detention and the rest are general until the department says otherwise: D.
_CR_2026 = PublicityRules(
    legal_basis="《信用修复管理办法》（国家发展改革委令2025年第36号）",
    simple_procedure=_MINOR_2026,
    lines=(
        ClassRule(
            severity=Severity.SERIOUS,
            kinds=frozenset(
                {
                    PenaltyKind.PERMIT_REVOCATION,
                    PenaltyKind.BUSINESS_RESTRICTION,
                    PenaltyKind.HALT,
                    PenaltyKind.CLOSURE,
                    PenaltyKind.TRADE_BAN,
                    PenaltyKind.SERIOUS_LIST,
                    PenaltyKind.HUGE_FINE,
                }
            ),
            minimum=_years(1),
            maximum=_years(3),
        ),
        _MINOR_2026,
        ClassRule(
            severity=Severity.GENERAL,
            kinds=frozenset(
                {
                    PenaltyKind.PERMIT_SUSPENSION,
                    PenaltyKind.DOWNGRADE,
                    PenaltyKind.CONFISCATION,
                    PenaltyKind.LARGE_FINE,
                }
            ),
            minimum=_months(3),
            maximum=_years(1),
        ),
        ClassRule(severity=Severity.GENERAL, minimum=_months(3), maximum=_years(1)),
    ),
    stops_uncorrected=False,
)

PUBLICITY_RULES: RuleBook[PublicityRules] = RuleBook(
    (
        RuleSet("CR-2019", date(2019, 7, 1), date(2023, 4, 30), _CR_2019),
        RuleSet("CR-2023", date(2023, 5, 1), date(2026, 3, 31), _CR_2023),
        RuleSet("CR-2026", date(2026, 4, 1), None, _CR_2026),
    )
)
"""The editions of the rules. A penalty goes by the one in force on the day it was decided."""


@dataclass(frozen=True, kw_only=True)
class Publicity:
    """How long a penalty is public. Both ends are last days: the day after `minimum_end` is the first to be repaired.

    Both are None when nothing is published; `minimum_end` also when repair needs no waiting.
    """

    decided_on: date
    rule_set: str
    legal_basis: str
    severity: Severity
    published: bool
    minimum_end: date | None
    maximum_end: date | None
    repairable: bool
    stops_uncorrected: bool

    def last_day(self, *, corrected_on: date | None) -> date | None:
        """The last public day if nothing is lifted before; None while it has no end.

        Without correction there may be none (CR-2026: then the department's own rules say when); once corrected after
        the maximum, the day of the correction is the last. None too when nothing is published: look there first.
        """
        if self.maximum_end is None or self.stops_uncorrected:
            return self.maximum_end
        return None if corrected_on is None else max(self.maximum_end, corrected_on)

    def is_public(self, on: date, *, corrected_on: date | None, lifted_on: date | None = None) -> bool:
        """Whether the penalty may be shown on a day. `lifted_on` (repair, withdrawal) is the first day it may not."""
        if not self.published or on < self.decided_on or (lifted_on is not None and on >= lifted_on):
            return False
        last = self.last_day(corrected_on=corrected_on)
        return last is None or on <= last


def publicity(penalty: Penalty, *, calendar: WorkCalendar) -> Publicity:
    """The class of a penalty and its periods, counted from the day it was decided.

    Of several kinds the gravest gives the class and the longest the periods. Raises NoRuleSet for one decided before
    there were rules.
    """
    rule_set = PUBLICITY_RULES.on(penalty.decided_on)
    lines = _lines(rule_set.rules, penalty)
    shown = [line for line in lines if line.published or (line.if_needed and penalty.publish_minor)]

    def longest(durations: Sequence[Duration]) -> date | None:
        return max((each.end(penalty.decided_on, calendar).date for each in durations), default=None)

    return Publicity(
        decided_on=penalty.decided_on,
        rule_set=rule_set.name,
        legal_basis=rule_set.rules.legal_basis,
        severity=max((line.severity for line in lines), key=list(Severity).index),
        published=bool(shown),
        minimum_end=longest([line.minimum for line in shown if line.minimum is not None]),
        maximum_end=longest([line.maximum for line in shown]),
        repairable=all(line.repairable for line in lines),
        stops_uncorrected=rule_set.rules.stops_uncorrected,
    )


def _lines(rules: PublicityRules, penalty: Penalty) -> list[ClassRule]:
    if penalty.simple_procedure:
        return [rules.simple_procedure]
    in_field = [line for line in rules.lines if line.fields is None or penalty.field in line.fields]
    of_kinds = [
        next(line for line in in_field if line.kinds is None or kind in line.kinds) for kind in sorted(penalty.kinds)
    ]
    designated = next((line for line in in_field if line.severity == penalty.designated), None)
    if designated is None:
        return of_kinds
    return [designated, *(line for line in of_kinds if line.kinds is not None)]
