"""What happens to records (信用记录)."""

from enum import StrEnum


class RecordState(StrEnum):
    """Whether the decision that a record tells of stands."""

    CURRENT = "CURRENT"
    WITHDRAWN = "WITHDRAWN"


class Outcome(StrEnum):
    """What putting a decision did. UNCHANGED: its content is known, also when a correction has replaced it since."""

    CREATED = "CREATED"
    UNCHANGED = "UNCHANGED"
    SUPERSEDED = "SUPERSEDED"


class WithdrawalReason(StrEnum):
    """Why a decision is no longer shown: 被撤销, 被变更, 确认违法, 确认无效 (行政处罚法 art. 48), 报送有误."""

    REVOKED = "REVOKED"
    CHANGED = "CHANGED"
    UNLAWFUL = "UNLAWFUL"
    VOID = "VOID"
    SENT_BY_MISTAKE = "SENT_BY_MISTAKE"
