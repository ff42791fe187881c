"""What the words of a penalty row (行政处罚) mean to the rules of publicity."""

from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from tulou_credit.domain.publicity import Field, PenaltyKind, Publicity

# 罚款: the row does not say whether it is a large one by the department's measure.
_KINDS: Final[Mapping[str, PenaltyKind]] = MappingProxyType(
    {
        "警告": PenaltyKind.WARNING,
        "通报批评": PenaltyKind.CRITICISM,
        "罚款": PenaltyKind.FINE,
        "没收违法所得": PenaltyKind.CONFISCATION,
        "没收非法财物": PenaltyKind.CONFISCATION,
        "没收违法所得、没收非法财物": PenaltyKind.CONFISCATION,
        "暂扣许可证件": PenaltyKind.PERMIT_SUSPENSION,
        "降低资质等级": PenaltyKind.DOWNGRADE,
        "吊销许可证件": PenaltyKind.PERMIT_REVOCATION,
        "限制开展生产经营活动": PenaltyKind.BUSINESS_RESTRICTION,
        "责令停产停业": PenaltyKind.HALT,
        "责令关闭": PenaltyKind.CLOSURE,
        "限制从业": PenaltyKind.TRADE_BAN,
        "行政拘留": PenaltyKind.DETENTION,
    }
)
# The standard of before 行政处罚法 of 2021 has one value for both.
_SUSPENSION_OR_REVOCATION: Final = "暂扣或者吊销许可证、暂扣或者吊销执照"
_FIELDS: Final[tuple[tuple[str, Field], ...]] = (
    ("食品安全法", Field.FOOD),
    ("药品管理法", Field.DRUGS),
    ("疫苗管理法", Field.DRUGS),
    ("特种设备安全", Field.SPECIAL_EQUIPMENT),
    ("安全生产法", Field.WORK_SAFETY),
    ("消防法", Field.FIRE),
    ("环境保护法", Field.ENVIRONMENT),
    ("污染防治法", Field.ENVIRONMENT),
    ("建设工程质量管理条例", Field.CONSTRUCTION_QUALITY),
    ("强制性产品认证", Field.COMPULSORY_CERTIFICATION),
    ("认证认可条例", Field.COMPULSORY_CERTIFICATION),
)


def penalty_kinds(categories: Iterable[str], *, content: str) -> frozenset[PenaltyKind]:
    """The kinds of the categories (处罚类别) of a row; what the list does not name is OTHER.

    Where the category leaves open whether a licence was suspended or revoked, the content (处罚内容) tells.
    """
    return frozenset(_kind(category, content) for category in categories)


def _kind(category: str, content: str) -> PenaltyKind:
    if category == _SUSPENSION_OR_REVOCATION:
        return PenaltyKind.PERMIT_REVOCATION if "吊销" in content else PenaltyKind.PERMIT_SUSPENSION
    return _KINDS.get(category, PenaltyKind.OTHER)


def penalty_field(legal_basis: str) -> Field:
    """The field (领域) by the law that is cited (处罚依据); of several the first of this module's list."""
    return next((field for law, field in _FIELDS if law in legal_basis), Field.OTHER)


def last_public_day(rules: Publicity, *, told: date | None) -> date | None:
    """The last public day of a penalty that is not known to be corrected; None if it has no end yet.

    `told` is the end that the department sent (公示截止期): it may shorten the longest period down to the shortest,
    and ends what the rules leave to the department.
    """
    longest = rules.last_day(corrected_on=None)
    if told is None:
        return longest
    end = told if longest is None else min(told, longest)
    return end if rules.minimum_end is None else max(end, rules.minimum_end)
