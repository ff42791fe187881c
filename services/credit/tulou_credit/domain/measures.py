"""Incentives and restrictions (联合奖惩): which published ones apply to a subject, what for and why."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class MeasureKind(StrEnum):
    """What a measure does."""

    INCENTIVE = "INCENTIVE"  # 守信激励
    RESTRICTION = "RESTRICTION"  # 失信惩戒


class Standing(StrEnum):
    """What a record says of its subject."""

    GOOD = "GOOD"  # 守信
    BAD = "BAD"  # 失信
    SERIOUS = "SERIOUS"  # 严重失信, on the serious-default list


class Purpose(StrEnum):
    """What a subject is checked for."""

    APPROVAL = "APPROVAL"  # 行政审批
    FISCAL_FUNDS = "FISCAL_FUNDS"  # 财政性资金安排
    PROCUREMENT = "PROCUREMENT"  # 政府采购和公共资源交易
    INSPECTION = "INSPECTION"  # 监督检查
    HONOURS = "HONOURS"  # 表彰奖励


class MeasureFault(StrEnum):
    """Why a measure cannot be configured."""

    NO_CODE = "NO_CODE"
    NO_PURPOSE = "NO_PURPOSE"
    NO_LEGAL_BASIS = "NO_LEGAL_BASIS"
    NOT_PUBLISHED = "NOT_PUBLISHED"
    WRONG_STANDING = "WRONG_STANDING"


class MeasureNotConfigurable(ValueError):
    """A measure that must not be applied: every fault it has."""

    def __init__(self, code: str, faults: tuple[MeasureFault, ...]) -> None:
        super().__init__(f"measure {code!r} cannot be configured: {', '.join(faults)}")
        self.code = code
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure of the published list. Raises MeasureNotConfigurable.

    One without a legal basis, or unpublished, must not be applied (沪信用 arts 30 to 32). Incentives are for GOOD
    standing; restrictions for BAD, then for SERIOUS too, or for SERIOUS alone. It applies from `published_on` through
    `withdrawn_on`.
    """

    code: str
    kind: MeasureKind
    standing: Standing
    purposes: frozenset[str]
    zh: str
    en: str
    legal_basis: str
    published_on: date | None
    withdrawn_on: date | None = None

    def __post_init__(self) -> None:
        tests = {
            MeasureFault.NO_CODE: not self.code.strip(),
            MeasureFault.NO_PURPOSE: not self.purposes,
            MeasureFault.NO_LEGAL_BASIS: not self.legal_basis.strip(),
            MeasureFault.NOT_PUBLISHED: self.published_on is None,
            MeasureFault.WRONG_STANDING: (self.kind == MeasureKind.INCENTIVE) != (self.standing == Standing.GOOD),
        }
        if faults := tuple(fault for fault, holds in tests.items() if holds):
            raise MeasureNotConfigurable(self.code, faults)

    def in_force(self, on: date) -> bool:
        """Whether it is on the published list on a day."""
        published = self.published_on is not None and self.published_on <= on
        return published and (self.withdrawn_on is None or on <= self.withdrawn_on)


@dataclass(frozen=True, slots=True)
class StandingRecord:
    """A record that moves its subject's standing; lifted (repaired, withdrawn), it does not from that day on."""

    record_id: str
    standing: Standing
    counts_from: date
    lifted_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class AppliedMeasure:
    """A measure that applies, and the records that make it apply, in the order of their ids."""

    measure: Measure
    record_ids: tuple[str, ...]


def check(
    records: Iterable[StandingRecord], *, purpose: str, measures: Collection[Measure], on: date
) -> tuple[AppliedMeasure, ...]:
    """The measures that apply to a subject for a purpose on a day, by code, each with the records behind it.

    While one BAD or SERIOUS record counts there are no incentives: the same subject is not favoured and restricted.
    """
    counting = [each for each in records if each.counts_from <= on and (each.lifted_on is None or on < each.lifted_on)]
    in_default = any(each.standing != Standing.GOOD for each in counting)
    applied = []
    for measure in sorted(measures, key=lambda each: each.code):
        if purpose not in measure.purposes or not measure.in_force(on):
            continue
        if measure.kind == MeasureKind.INCENTIVE and in_default:
            continue
        behind = sorted({each.record_id for each in counting if _moves(each.standing, measure.standing)})
        if behind:
            applied.append(AppliedMeasure(measure=measure, record_ids=tuple(behind)))
    return tuple(applied)


def _moves(of_record: Standing, of_measure: Standing) -> bool:
    return of_record == of_measure or (of_record == Standing.SERIOUS and of_measure == Standing.BAD)
