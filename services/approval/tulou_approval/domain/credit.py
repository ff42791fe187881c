"""What the applicant's credit means for how a case is handled (简化办理)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PURPOSE: Final = "APPROVAL"
# Published measures of the credit platform that handling goes by.
FAST_LANE: Final = "FAST_LANE"
ORDINARY_ONLY: Final = "ORDINARY_ONLY"


class Handling(StrEnum):
    """How a case is handled (办理方式)."""

    ORDINARY = "ORDINARY"
    SIMPLIFIED = "SIMPLIFIED"


class Outcome(StrEnum):
    """What came of asking the credit service."""

    APPLIED = "APPLIED"
    UNAVAILABLE = "UNAVAILABLE"
    NOT_ASKED = "NOT_ASKED"


class ChangeReason(StrEnum):
    """Why a running case is handled in another way."""

    LISTED = "LISTED"
    RESTORED = "RESTORED"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A published measure that applies to the applicant."""

    code: str
    # INCENTIVE or RESTRICTION.
    kind: str
    name: str
    name_en: str
    legal_basis: str


@dataclass(frozen=True, kw_only=True)
class CreditCheck:
    """What was found of the applicant's credit (信用核查)."""

    outcome: Outcome
    subject_id: str = ""
    # NONE, GOOD, BAD or SERIOUS; empty without an answer.
    standing: str = ""
    measures: tuple[Measure, ...] = ()


NOT_ASKED: Final = CreditCheck(outcome=Outcome.NOT_ASKED)
UNAVAILABLE: Final = CreditCheck(outcome=Outcome.UNAVAILABLE)


def handling_of(check: CreditCheck, *, simplified_days: int) -> Handling:
    """Simplified where the item has it (`simplified_days` not 0), the incentive applies and no restriction forbids."""
    applied = {(measure.code, measure.kind) for measure in check.measures}
    favoured = (FAST_LANE, "INCENTIVE") in applied and (ORDINARY_ONLY, "RESTRICTION") not in applied
    return Handling.SIMPLIFIED if simplified_days and favoured else Handling.ORDINARY
