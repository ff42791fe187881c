"""What a rule raises about a request's fields. Apart from the answers, so that a worker need not load gRPC."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One field that breaks a rule; `field` is its path, for example "case.applicant.phone"."""

    field: str
    rule: str
    zh: str
    en: str


class InvalidFields(Exception):
    """Fields of a request break their rules."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(", ".join(violation.field for violation in violations))
        self.violations = tuple(violations)


class StaleEtag(Exception):
    """The row changed since the caller read it."""

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag
