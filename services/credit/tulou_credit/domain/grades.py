"""The grade of a subject (信用等级), A to E: a published model adds and takes points, and every point is explained."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import IO, Any

from tulou_civics.calendar import WorkCalendar
from tulou_civics.durations import Duration, Unit


class Grade(StrEnum):
    """The grades, best first. No text gives a national scale of five: the scale is this system's own."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"


class GradeModelError(ValueError):
    """A model that would not grade as it says it does."""


@dataclass(frozen=True, slots=True)
class Addition:
    """Points for each record of a kind, and the most that all of the kind bring together."""

    points: int
    most: int


@dataclass(frozen=True, slots=True)
class DecayStep:
    """From the day after so many months, only this percentage of the points is still taken off."""

    after_months: int
    percent: int


@dataclass(frozen=True, slots=True)
class Deduction:
    """Points taken off for each record of a kind, less as time goes by."""

    points: int
    decay: tuple[DecayStep, ...]


@dataclass(frozen=True, kw_only=True)
class GradeModel:
    """One published version of the model. Raises GradeModelError when it contradicts itself.

    `thresholds` holds the least score of the grades A to D; below is E. A record of a kind in `forces_lowest` makes the
    grade E whatever the score (严重失信主体名单).
    """

    version: str
    lowest: int
    highest: int
    base: int
    thresholds: Mapping[Grade, int]
    additions: Mapping[str, Addition]
    deductions: Mapping[str, Deduction]
    forces_lowest: frozenset[str]

    def __post_init__(self) -> None:
        if not self.version:
            raise GradeModelError("a model has a version")
        if set(self.thresholds) != set(Grade) - {Grade.E}:
            raise GradeModelError("thresholds are those of A to D")
        bounds = [self.lowest, *(self.thresholds[each] for each in (Grade.D, Grade.C, Grade.B, Grade.A)), self.highest]
        if bounds != sorted(set(bounds)):
            raise GradeModelError("thresholds rise from D to A, between lowest and highest")
        if not self.lowest <= self.base <= self.highest:
            raise GradeModelError(f"base {self.base} lies outside {self.lowest} to {self.highest}")
        if twice := (set(self.additions) & set(self.deductions)) | (
            self.forces_lowest & (set(self.additions) | set(self.deductions))
        ):
            raise GradeModelError(f"kinds that count in two ways: {', '.join(sorted(twice))}")
        for kind, addition in self.additions.items():
            if not 0 <= addition.points <= addition.most:
                raise GradeModelError(f"{kind}: points must be 0 to the most of the kind")
        for kind, deduction in self.deductions.items():
            months = [step.after_months for step in deduction.decay]
            percents = [100, *(step.percent for step in deduction.decay)]
            if deduction.points < 0 or min(percents) < 0 or min(months, default=0) < 0:
                raise GradeModelError(f"{kind}: points, months and percentages are not negative")
            if months != sorted(set(months)) or percents != sorted(percents, reverse=True):
                raise GradeModelError(f"{kind}: a deduction only gets less with time")


def read_grade_model(stream: IO[str]) -> GradeModel:
    """The model of a JSON file. Raises GradeModelError, also for keys that are missing or unknown."""
    try:
        content: dict[str, Any] = json.load(stream, parse_float=_refuse_fraction, parse_constant=_refuse_fraction)
        content.pop("source")
        return GradeModel(
            thresholds={Grade(grade): least for grade, least in content.pop("thresholds").items()},
            additions={kind: Addition(**each) for kind, each in content.pop("additions").items()},
            deductions={
                kind: Deduction(each["points"], tuple(DecayStep(**step) for step in each["decay"]))
                for kind, each in content.pop("deductions").items()
            },
            forces_lowest=frozenset(content.pop("forces_lowest")),
            **content,
        )
    except GradeModelError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GradeModelError(f"not a grade model: {error}") from error


def _refuse_fraction(number: str) -> None:
    raise GradeModelError(f"{number} is not a whole number")


@dataclass(frozen=True, slots=True)
class GradedRecord:
    """A record of the subject as the model sees it. `lifted`: repaired, withdrawn or struck out: it counts no more."""

    record_id: str
    kind: str
    happened_on: date
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one record brings. `percent` tells how much of a deduction is left; `points` is 0 for one that forces E."""

    record_id: str
    kind: str
    points: int
    percent: int
    forces_lowest: bool


@dataclass(frozen=True, kw_only=True)
class Grading:
    """A grade and all that made it: the base and the points of `contributions` give the score, kept within bounds."""

    grade: Grade
    score: int
    base: int
    model_version: str
    on: date
    contributions: tuple[Contribution, ...]


def grade(records: Iterable[GradedRecord], model: GradeModel, *, on: date, calendar: WorkCalendar) -> Grading:
    """The grade on a day.

    Records to come, lifted ones, deductions that time has used up and kinds unknown to the model are left out.

    The same records give the same grading in whatever order they come; a record given twice counts once.
    """
    known = set(model.additions) | set(model.deductions) | model.forces_lowest
    counted = sorted(
        {each for each in records if not each.lifted and each.happened_on <= on and each.kind in known},
        key=lambda each: (each.happened_on, each.record_id, each.kind),
    )
    given: dict[str, int] = {}
    contributions = []
    for record in counted:
        points, percent = 0, 100
        if record.kind in model.additions:
            addition, before = model.additions[record.kind], given.get(record.kind, 0)
            points = min(addition.points, addition.most - before)
            given[record.kind] = before + points
        elif record.kind in model.deductions:
            deduction = model.deductions[record.kind]
            percent = _percent_left(deduction, record.happened_on, on, calendar)
            if percent == 0:
                continue
            # Rounded down to whole points, in favour of the subject.
            points = -(deduction.points * percent // 100)
        contributions.append(
            Contribution(record.record_id, record.kind, points, percent, record.kind in model.forces_lowest)
        )
    total = model.base + sum(each.points for each in contributions)
    score = min(max(total, model.lowest), model.highest)
    return Grading(
        grade=_grade_of(score, contributions, model),
        score=score,
        base=model.base,
        model_version=model.version,
        on=on,
        contributions=tuple(contributions),
    )


def _percent_left(deduction: Deduction, happened_on: date, on: date, calendar: WorkCalendar) -> int:
    return min(
        (
            step.percent
            for step in deduction.decay
            if on > Duration(step.after_months, Unit.MONTH).end(happened_on, calendar).date
        ),
        default=100,
    )


def _grade_of(score: int, contributions: Collection[Contribution], model: GradeModel) -> Grade:
    if any(each.forces_lowest for each in contributions):
        return Grade.E
    return next((each for each in Grade if each in model.thresholds and score >= model.thresholds[each]), Grade.E)
