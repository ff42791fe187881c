"""What a record says of its subject: which standing it gives, and by which kind of the grade model it counts."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from tulou_credit.domain.measures import Standing
from tulou_credit.domain.publicity import Severity

MOVING: Final = ("ABNORMAL_LIST", "COMPLIANCE", "HONOUR", "JUDGMENT", "PENALTY", "PROMISE", "SERIOUS_LIST")
"""Record types of which some move the standing."""
GRADED: Final = (*MOVING, "CONTRACT", "VOLUNTARY")
"""Record types of which some count in the grade."""
NONE: Final = "NONE"
"""The standing of a subject of which nothing counts."""

# Words of 履行情况, which is free text. What they leave open does not count against the subject.
_UNPERFORMED: Final = ("未履行", "未全部履行", "未完全履行", "部分履行", "不履行", "未执行")
_PERFORMED: Final = ("履行", "完成", "验收合格")
_PENALTY_KINDS: Final = {
    Severity.MINOR: "PENALTY_MINOR",
    Severity.GENERAL: "PENALTY_GENERAL",
    Severity.SERIOUS: "PENALTY_SERIOUS",
    Severity.SPECIALLY_SERIOUS: "PENALTY_SERIOUS",
}


def standing_of(type_code: str, *, severity: str | None, content: Mapping[str, Any]) -> Standing | None:
    """The standing that a record gives, None for one that moves nothing.

    What is 失信: 信用修复管理办法（国家发展改革委令2025年第36号）art. 4 names the lists and penalties, 沪信用 art. 9
    unpaid duties, unperformed judgments and broken promises; it leaves minor penalties out.
    """
    match type_code:
        case "HONOUR":
            return Standing.GOOD
        case "SERIOUS_LIST":
            return Standing.SERIOUS
        case "ABNORMAL_LIST" | "COMPLIANCE":
            return Standing.BAD
        case "PENALTY":
            # One decided before there were rules has no class, and is not published.
            return Standing.BAD if severity not in (None, Severity.MINOR) else None
        case "PROMISE":
            return Standing.BAD if content.get("kept") is False else None
        case "JUDGMENT":
            return Standing.BAD if _is_unperformed(content) else None
    return None


def graded_kind(type_code: str, *, severity: str | None, content: Mapping[str, Any]) -> str | None:
    """The kind of the grade model by which a record counts, None for one that does not."""
    match type_code:
        case "HONOUR" | "ABNORMAL_LIST" | "SERIOUS_LIST":
            return type_code
        case "PENALTY":
            return _PENALTY_KINDS[Severity(severity)] if severity else None
        case "PROMISE":
            return {True: "PROMISE_KEPT", False: "PROMISE_BROKEN"}.get(content.get("kept"))  # type: ignore[arg-type]
        case "JUDGMENT":
            return "JUDGMENT_UNEXECUTED" if _is_unperformed(content) else None
        case "CONTRACT":
            said = str(content.get("performance", ""))
            performed = any(word in said for word in _PERFORMED) and not _is_unperformed(content)
            return "CONTRACT_FULFILLED" if performed else None
        case "VOLUNTARY":
            return "VOLUNTEERED"
    return None


def ended_on(content: Mapping[str, Any]) -> date | None:
    """The day on which what a record tells of came to an end: removed from the list (移出), settled (缴清)."""
    told = content.get("removed_on") or content.get("settled_on")
    return date.fromisoformat(told) if told else None


def gravest(standings: Iterable[Standing]) -> str:
    """The standing of a subject that has these: the gravest of them, NONE without any."""
    order = (Standing.SERIOUS, Standing.BAD, Standing.GOOD)
    return min(standings, key=order.index, default=NONE)


def _is_unperformed(content: Mapping[str, Any]) -> bool:
    return any(word in str(content.get("performance", "")) for word in _UNPERFORMED)
