"""Dated rule sets: law changes, and a case is judged by the rules in force on its business date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")


class NoRuleSet(LookupError):
    """No rule set of the book was in force on this day."""

    def __init__(self, day: date) -> None:
        super().__init__(f"no rule set in force on {day}")
        self.day = day


@dataclass(frozen=True)
class RuleSet(Generic[T]):
    """Rules in force from `effective_from` to `effective_to`, both days included; None means until further notice."""

    name: str
    effective_from: date
    effective_to: date | None
    rules: T


class RuleBook(Generic[T]):
    """Rule sets that follow one another day on day.

    `sets` holds them oldest first. Raises ValueError when there are none, or when two overlap or leave a gap.
    """

    def __init__(self, sets: Iterable[RuleSet[T]]) -> None:
        self.sets: tuple[RuleSet[T], ...] = tuple(sorted(sets, key=lambda each: each.effective_from))
        if not self.sets:
            raise ValueError("a rule book needs at least one rule set")
        for each in self.sets:
            if each.effective_to is not None and each.effective_to < each.effective_from:
                raise ValueError(f"{each.name!r} ends on {each.effective_to}, before it starts")
        for old, new in pairwise(self.sets):
            if old.effective_to is None or old.effective_to >= new.effective_from:
                raise ValueError(f"{old.name!r} and {new.name!r} overlap on {new.effective_from}")
            if old.effective_to + timedelta(days=1) < new.effective_from:
                raise ValueError(f"gap between {old.name!r} and {new.name!r} after {old.effective_to}")

    def on(self, day: date) -> RuleSet[T]:
        """The rule set in force on a business date. Raises NoRuleSet."""
        for each in self.sets:
            if each.effective_from <= day and (each.effective_to is None or day <= each.effective_to):
                return each
        raise NoRuleSet(day)
