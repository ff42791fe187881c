"""From when to when a decision is valid and public, as columns of a record's version."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Final

from tulou_civics.rules import NoRuleSet
from tulou_credit.domain import publicity
from tulou_credit.domain.catalogue import PublicityRule
from tulou_credit.domain.decisions import last_public_day, penalty_field, penalty_kinds
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.publicity import PenaltyKind, Publicity
from tulou_credit.intake.rows import Licence, Penalty
from tulou_credit.models import RecordType, RecordVersion
from tulou_credit.wiring import House

# The standard's way to say without end.
_OPEN_END: Final = date(2099, 12, 31)
# Entries are classed with penalties.
_LISTS: Final = frozenset({PenaltyKind.ABNORMAL_LIST.value, PenaltyKind.SERIOUS_LIST.value})
_NEVER: Final = {"severity": None, "rule_set": "", "minimum_end": None, "public_from": None, "public_until": None}


def valid_to_of(decision: Licence | Penalty | Entry) -> date | None:
    """The first day on which it is not so any more. That a penalty was given stays true for ever."""
    if isinstance(decision, Penalty) or decision.valid_to is None or decision.valid_to >= _OPEN_END:
        return None
    return decision.valid_to + timedelta(days=1)


def publicity_of(decision: Licence | Penalty | Entry, entry: RecordType, house: House) -> dict[str, Any]:
    """The columns that say from when to when it is public; only types open to all have a rule (see `catalogue`)."""
    if entry.publicity == PublicityRule.PENALTY and isinstance(decision, Penalty):
        return _penalty_publicity(decision, house)
    if entry.publicity != PublicityRule.VALIDITY:
        return _NEVER
    valid_to = valid_to_of(decision)
    return {
        **_NEVER,
        "public_from": decision.decided_on,
        "public_until": None if valid_to is None else valid_to - timedelta(days=1),
    }


def rules_of(version: RecordVersion, *, house: House) -> Publicity | None:
    """The rules of publicity for a penalty or an entry of a list, by what the version says; by these it is repaired.

    None for other types, and for what was decided before there were rules.
    """
    if version.type_code == "PENALTY":
        content = version.content
        penalty = _penalty(
            version.decided_on,
            content["categories"],
            content["content"],
            content["legal_basis"],
            publish_minor="public_until" in content,
        )
    elif version.type_code in _LISTS:
        # The list itself is what is published.
        penalty = publicity.Penalty(
            decided_on=version.decided_on, kinds=frozenset({PenaltyKind(version.type_code)}), publish_minor=True
        )
    else:
        return None
    try:
        return publicity.publicity(penalty, calendar=house.calendar)
    except NoRuleSet:
        return None


def _penalty_publicity(decision: Penalty, house: House) -> dict[str, Any]:
    penalty = _penalty(
        decision.decided_on,
        decision.categories,
        decision.content,
        decision.legal_basis,
        # Who sends an end of publicity with a minor one finds that it needs publishing.
        publish_minor=decision.public_until is not None,
    )
    try:
        rules = publicity.publicity(penalty, calendar=house.calendar)
    except NoRuleSet:
        # Decided before there were rules: not published, for nothing would say for how long.
        return _NEVER
    columns: dict[str, Any] = {**_NEVER, "severity": rules.severity.value, "rule_set": rules.rule_set}
    if not rules.published:
        return columns
    return {
        **columns,
        "minimum_end": rules.minimum_end,
        "public_from": decision.decided_on,
        "public_until": last_public_day(rules, told=decision.public_until),
    }


def _penalty(
    decided_on: date, categories: Iterable[str], content: str, legal_basis: str, *, publish_minor: bool
) -> publicity.Penalty:
    return publicity.Penalty(
        decided_on=decided_on,
        kinds=penalty_kinds(categories, content=content),
        field=penalty_field(legal_basis),
        publish_minor=publish_minor,
    )
