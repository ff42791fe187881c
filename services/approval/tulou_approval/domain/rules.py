"""The limits of the licence law (行政许可法), by the day they apply on. All days are working days (art. 82)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tulou_civics.rules import RuleBook, RuleSet


class DeadlineKind(StrEnum):
    """The deadlines a case can have (期限种类)."""

    CORRECTION_NOTICE = "CORRECTION_NOTICE"
    PROMISED_DECISION = "PROMISED_DECISION"
    STATUTORY_DECISION = "STATUTORY_DECISION"
    DELIVERY = "DELIVERY"


@dataclass(frozen=True, kw_only=True)
class ClockRules:
    """The limits of one edition of the law, in working days."""

    # To ask for corrections, art. 32(4).
    notice_days: int
    # To decide, unless another law says otherwise, and what may be added once, art. 42.
    general_days: int
    extension_max_days: int
    # The same where several departments decide together, art. 42(2) with art. 26.
    joint_days: int
    joint_extension_max_days: int
    # To issue and deliver after a grant, art. 44.
    delivery_days: int
    # Statute and article of each deadline.
    legal_basis: Mapping[DeadlineKind, str]


def _edition(law: str) -> ClockRules:
    # The amendment of 2019 left every limit as it was; what changes is the edition that is cited.
    return ClockRules(
        notice_days=5,
        general_days=20,
        extension_max_days=10,
        joint_days=45,
        joint_extension_max_days=15,
        delivery_days=10,
        legal_basis={
            DeadlineKind.CORRECTION_NOTICE: f"{law}第三十二条第一款第四项",
            # The promise lies within the statutory limit and binds by being published.
            DeadlineKind.PROMISED_DECISION: f"{law}第三十条、第四十二条",
            DeadlineKind.STATUTORY_DECISION: f"{law}第四十二条",
            DeadlineKind.DELIVERY: f"{law}第四十四条",
        },
    )


LICENCE_LAW: RuleBook[ClockRules] = RuleBook(
    (
        RuleSet("licence-law-2004", date(2004, 7, 1), date(2019, 4, 22), _edition("《行政许可法》（2003年公布）")),
        RuleSet("licence-law-2019", date(2019, 4, 23), None, _edition("《行政许可法》（2019年修正）")),
    )
)
"""The editions of the law. A clock goes by the edition in force on the day it starts."""
