"""Who may see what is not public of a subject: the subject itself, and whom it authorised (授权). Nobody else."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from tulou_civics.calendar import WorkCalendar
from tulou_civics.durations import Duration, Unit
from tulou_civics.rules import RuleBook, RuleSet

# No authorisation is for ever: D. Counted from its first day.
LONGEST_VALIDITY: Final = Duration(5, Unit.YEAR)


class Basis(StrEnum):
    """By which right a query for what is not public was answered."""

    OWN = "OWN"
    AUTHORISATION = "AUTHORISATION"
    DEPARTMENT = "DEPARTMENT"  # 部门间内部共享


@dataclass(frozen=True, kw_only=True)
class Authorisation:
    """A written authorisation (书面授权).

    Raises ValueError without purpose, scope or proof, or when it can cover nothing.
    `scope` holds codes of record types; valid on both days and between; `uses` of `uses_max` (None: any number) are
    made. It holds no more on the day it is revoked. `proof` is the hash of the signed document.
    """

    authorisation_id: str
    grantor: str
    grantee: str
    purpose: str
    scope: frozenset[str]
    valid_from: date
    valid_to: date
    proof: str
    uses_max: int | None = None
    uses: int = 0
    revoked_on: date | None = None

    def __post_init__(self) -> None:
        if not (self.purpose and self.scope and self.proof):
            raise ValueError("an authorisation names its purpose, its scope and its proof")
        if self.valid_to < self.valid_from:
            raise ValueError(f"valid to {self.valid_to}, before {self.valid_from}")
        if self.uses < 0 or (self.uses_max is not None and self.uses_max < 1):
            raise ValueError("an authorisation is for at least one use, and uses made are not negative")


@dataclass(frozen=True, kw_only=True)
class Query:
    """A question for what is not public: who asks about whom, what for, which record types.

    Raises ValueError without asker, subject or record types: two unknown parties are not one and the same.
    """

    asker: str
    subject: str
    purpose: str
    record_types: frozenset[str]
    on: date

    def __post_init__(self) -> None:
        if not (self.asker and self.subject and self.record_types):
            raise ValueError("a query names its asker, its subject and at least one record type")


class Lack(StrEnum):
    """What an authorisation lacks for a query."""

    NO_AUTHORISATION = "NO_AUTHORISATION"
    OTHER_PURPOSE = "OTHER_PURPOSE"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    USED_UP = "USED_UP"


@dataclass(frozen=True, kw_only=True)
class Access:
    """The answer to a query. Granted when nothing lacks; `authorisation_id` is the one used, None for own data.

    Of a denied one, `lacks` tells what the nearest authorisation lacks and `uncovered` the record types outside it.
    """

    granted: bool
    own: bool = False
    authorisation_id: str | None = None
    lacks: tuple[Lack, ...] = ()
    uncovered: frozenset[str] = frozenset()


def access(query: Query, authorisations: Iterable[Authorisation]) -> Access:
    """Whether a query for what is not public may be answered (沪信用 arts 17, 34).

    One's own data always; else one authorisation must cover the whole query: scopes are not added up. Of several that
    do, the one that ends first is used. No role is asked for: an administrator has no other right. Authorisations
    given to others are not hinted at.
    """
    if query.asker == query.subject:
        return Access(granted=True, own=True)
    judged = [
        (_lacks(query, each), each)
        for each in sorted(authorisations, key=lambda each: (each.valid_to, each.authorisation_id))
        if each.grantor == query.subject and each.grantee == query.asker
    ]
    if not judged:
        return Access(granted=False, lacks=(Lack.NO_AUTHORISATION,))
    lacks, nearest = min(judged, key=lambda each: len(each[0]))
    if lacks:
        return Access(granted=False, lacks=lacks, uncovered=query.record_types - nearest.scope)
    return Access(granted=True, authorisation_id=nearest.authorisation_id)


def ends_in_time(*, valid_from: date, valid_to: date, calendar: WorkCalendar) -> bool:
    """Whether an authorisation's last day is within the longest time for which one may be granted."""
    return valid_to <= LONGEST_VALIDITY.end(valid_from, calendar).date


def _lacks(query: Query, authorisation: Authorisation) -> tuple[Lack, ...]:
    revoked_on, uses_max = authorisation.revoked_on, authorisation.uses_max
    tests = {
        Lack.OTHER_PURPOSE: authorisation.purpose != query.purpose,
        Lack.OUT_OF_SCOPE: not query.record_types <= authorisation.scope,
        Lack.NOT_YET_VALID: query.on < authorisation.valid_from,
        Lack.EXPIRED: query.on > authorisation.valid_to,
        Lack.REVOKED: revoked_on is not None and query.on >= revoked_on,
        Lack.USED_UP: uses_max is not None and authorisation.uses >= uses_max,
    }
    return tuple(lack for lack, holds in tests.items() if holds)


@dataclass(frozen=True, kw_only=True)
class QueryRules:
    """What bounds every query, by the day it is made."""

    legal_basis: str
    # How long a negative record can be queried, from the end of the act or event.
    negative_window: Duration
    # Reports a natural person gets without charge in a calendar year.
    free_reports: int


QUERY_RULES: RuleBook[QueryRules] = RuleBook(
    (
        # 上海市社会信用条例 arts 34 and 35: S, L. The default here: D. That the year of the free reports is the
        # calendar year: D. In force since 2017-10-01: M.
        RuleSet(
            "QR-SHANGHAI-2017",
            date(2017, 10, 1),
            None,
            QueryRules(
                legal_basis="参照《上海市社会信用条例》第三十四条、第三十五条",
                negative_window=Duration(5, Unit.YEAR),
                free_reports=2,
            ),
        ),
    )
)
"""The editions of the rules. A query goes by the one in force on the day it is made."""


def negative_is_visible(*, ended_on: date | None, on: date, calendar: WorkCalendar) -> bool:
    """Whether a negative record may still be shown to anyone who queries on a day.

    `ended_on` is the day the act ended, None while it goes on. The last day of the window counts. Raises NoRuleSet.
    """
    window = QUERY_RULES.on(on).rules.negative_window
    return ended_on is None or on <= window.end(ended_on, calendar).date


def free_reports_left(*, issued_on: Collection[date], on: date) -> int:
    """How many free reports a person can still have in the year of a day. `issued_on`: the days of those it got.

    Raises NoRuleSet.
    """
    issued = sum(day.year == on.year for day in issued_on)
    return max(0, QUERY_RULES.on(on).rules.free_reports - issued)
