"""What an action on a case asks of its arguments."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tulou_approval.domain.clock import Explanation
from tulou_approval.domain.rules import LICENCE_LAW


class Necessity(StrEnum):
    """Whether a material must be handed in (必要性)."""

    REQUIRED = "REQUIRED"
    CONDITIONAL = "CONDITIONAL"
    OPTIONAL = "OPTIONAL"


@dataclass(frozen=True, slots=True)
class MaterialRule:
    """What completeness needs to know of one material of an item."""

    code: str
    necessity: Necessity


@dataclass(frozen=True, slots=True)
class CorrectionEntry:
    """One thing to correct: a material by its code or a form field by its path, never both."""

    material_code: str
    form_field: str
    requirement: str


class EntryProblem(StrEnum):
    """What is wrong with an entry of a correction notice."""

    NO_REQUIREMENT = "NO_REQUIREMENT"
    NO_SUBJECT = "NO_SUBJECT"
    TWO_SUBJECTS = "TWO_SUBJECTS"
    UNKNOWN_MATERIAL = "UNKNOWN_MATERIAL"


class MaterialsMissing(Exception):
    """Required materials are missing."""

    def __init__(self, material_codes: tuple[str, ...]) -> None:
        super().__init__(f"missing materials: {', '.join(material_codes)}")
        self.material_codes = material_codes


class CorrectionAlreadyUsed(Exception):
    """The one-time correction notice was given before."""


class CorrectionEmpty(Exception):
    """A correction notice that names nothing."""


class CorrectionEntriesInvalid(Exception):
    """Entries an applicant could not act on, by their index."""

    def __init__(self, problems: dict[int, EntryProblem]) -> None:
        super().__init__(f"invalid correction entries: {problems}")
        self.problems = problems


class CompetentOrganMissing(Exception):
    """A case is declined for want of competence, but the right organ is not named."""


class TooFewReviewers(Exception):
    """Fewer people review than the law wants."""

    def __init__(self, given: int, needed: int) -> None:
        super().__init__(f"{given} reviewers, {needed} needed")
        self.given = given
        self.needed = needed


class ExtensionTooLong(Exception):
    """More days than the law lets an organ add."""

    def __init__(self, days: int, maximum: int) -> None:
        super().__init__(f"{days} days exceed {maximum}")
        self.days = days
        self.maximum = maximum


class ExtensionTooLate(Exception):
    """The statutory time to decide is over."""

    def __init__(self, due_date: date) -> None:
        super().__init__(f"was due on {due_date}")
        self.due_date = due_date


class HeadApprovalMissing(Exception):
    """No head of the organ approved the extension, only those who review."""


def missing_materials(rules: Iterable[MaterialRule], uploaded_codes: Collection[str]) -> tuple[str, ...]:
    """Codes of the materials an application cannot do without and has not, in the item's order.

    Whether the condition of a conditional material holds is for staff to see, so it is never missing here.
    """
    return tuple(
        rule.code for rule in rules if rule.necessity == Necessity.REQUIRED and rule.code not in uploaded_codes
    )


def check_materials(rules: Iterable[MaterialRule], uploaded_codes: Collection[str]) -> None:
    """Raises MaterialsMissing."""
    if missing := missing_materials(rules, uploaded_codes):
        raise MaterialsMissing(missing)


def check_correction(entries: Sequence[CorrectionEntry], *, material_codes: Collection[str], used: bool) -> None:
    """The one-time notice of everything to correct (行政许可法 art. 32(4)); `used`: one was given before.

    Raises CorrectionAlreadyUsed, CorrectionEmpty, CorrectionEntriesInvalid.
    """
    if used:
        raise CorrectionAlreadyUsed
    if not entries:
        raise CorrectionEmpty
    problems = {
        index: problem
        for index, entry in enumerate(entries)
        if (problem := _entry_problem(entry, material_codes)) is not None
    }
    if problems:
        raise CorrectionEntriesInvalid(problems)


def _entry_problem(entry: CorrectionEntry, material_codes: Collection[str]) -> EntryProblem | None:
    if not entry.requirement.strip():
        return EntryProblem.NO_REQUIREMENT
    if entry.material_code and entry.form_field:
        return EntryProblem.TWO_SUBJECTS
    if not entry.material_code and not entry.form_field:
        return EntryProblem.NO_SUBJECT
    if entry.material_code and entry.material_code not in material_codes:
        return EntryProblem.UNKNOWN_MATERIAL
    return None


def check_decline(*, licence_not_needed: bool, competent_organ: str) -> None:
    """Where a licence is needed, who declines names the organ that gives it (行政许可法 art. 32(1), (2)).

    Raises CompetentOrganMissing.
    """
    if not licence_not_needed and not competent_organ.strip():
        raise CompetentOrganMissing


def check_reviewers(reviewers: Iterable[str], *, substantive_check: bool) -> None:
    """A check on the facts takes two people or more, any other review one (行政许可法 art. 34).

    Counted are different names or ids that are not blank. Raises TooFewReviewers.
    """
    given = len({reviewer.strip() for reviewer in reviewers} - {""})
    needed = 2 if substantive_check else 1
    if given < needed:
        raise TooFewReviewers(given, needed)


def check_extension(days: int, *, statutory: Explanation, approved_by: str, reviewers: Collection[str]) -> None:
    """An extension of the time to decide, before it is over, approved by the organ's head (行政许可法 art. 42).

    `days` are working days, 1 at least; `statutory` explains the statutory decision clock as of today. The state
    machine sees to it that there is one only. Raises ExtensionTooLong, ExtensionTooLate, HeadApprovalMissing, and
    ValueError for fewer than 1 day.
    """
    if days < 1:
        raise ValueError(f"an extension of {days} days")
    maximum = LICENCE_LAW.on(statutory.start_date).rules.extension_max_days
    if days > maximum:
        raise ExtensionTooLong(days, maximum)
    if statutory.overdue:
        raise ExtensionTooLate(statutory.due.date)
    head = approved_by.strip()
    if not head or head in {reviewer.strip() for reviewer in reviewers}:
        raise HeadApprovalMissing
