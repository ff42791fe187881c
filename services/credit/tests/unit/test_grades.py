"""Grades: what each record brings, how it fades, and what no record can do."""

import io
import json
from datetime import date, timedelta
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulou_civics.calendar import WorkCalendar
from tulou_credit.domain.grades import (
    Grade,
    GradedRecord,
    GradeModel,
    GradeModelError,
    Grading,
    grade,
    read_grade_model,
)

CALENDAR = WorkCalendar(frozenset(), {})
TODAY = date(2026, 6, 1)
DAY = timedelta(days=1)

MODEL: dict[str, Any] = {
    "version": "test",
    "source": "",
    "lowest": 0,
    "highest": 1000,
    "base": 750,
    "thresholds": {"A": 850, "B": 700, "C": 550, "D": 400},
    "additions": {"HONOUR": {"points": 60, "most": 100}, "EXACT": {"points": 1, "most": 1000}},
    "deductions": {
        "PENALTY": {
            "points": 75,
            "decay": [{"after_months": 12, "percent": 50}, {"after_months": 36, "percent": 0}],
        },
        "LASTING": {"points": 200, "decay": []},
        "POINT": {"points": 1, "decay": []},
    },
    "forces_lowest": ["SERIOUS_LIST"],
}


def read(content: object) -> GradeModel:
    return read_grade_model(io.StringIO(json.dumps(content)))


TESTED = read(MODEL)


def published() -> GradeModel:
    with resources.files("tulou_credit.domain").joinpath("grade_model.json").open(encoding="utf-8") as stream:
        return read_grade_model(stream)


PUBLISHED = published()


def graded(*records: GradedRecord, on: date = TODAY, model: GradeModel = TESTED) -> Grading:
    return grade(records, model, on=on, calendar=CALENDAR)


def record(kind: str, happened_on: date = TODAY, *, lifted: bool = False, record_id: str = "r1") -> GradedRecord:
    return GradedRecord(record_id, kind, happened_on, lifted)


def test_a_subject_without_records_has_the_base() -> None:
    result = graded()

    assert (result.grade, result.score, result.contributions) == (Grade.B, 750, ())
    assert (result.base, result.model_version, result.on) == (750, "test", TODAY)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (1000, "A"),
        (850, "A"),
        (849, "B"),
        (700, "B"),
        (699, "C"),
        (550, "C"),
        (549, "D"),
        (400, "D"),
        (399, "E"),
        (0, "E"),
    ],
)
def test_each_threshold_has_two_sides(points: int, expected: str) -> None:
    assert graded(model=read(MODEL | {"base": points})).grade == expected


@pytest.mark.parametrize(
    ("on", "points"),
    [
        (date(2026, 6, 1), -75),
        (date(2027, 6, 1), -75),
        (date(2027, 6, 2), -37),  # half of 75, in favour of the subject
        (date(2029, 6, 1), -37),
    ],
)
def test_a_deduction_fades_on_the_day_after_each_period(on: date, points: int) -> None:
    (contribution,) = graded(record("PENALTY"), on=on).contributions

    assert contribution.points == points
    assert contribution.percent == (100 if points == -75 else 50)


def test_a_deduction_that_time_has_used_up_is_not_told_of() -> None:
    assert graded(record("PENALTY"), on=date(2029, 6, 2)) == graded(on=date(2029, 6, 2))


def test_a_deduction_without_decay_lasts() -> None:
    assert graded(record("LASTING"), on=date(2056, 6, 1)).score == 550


def test_additions_of_a_kind_bring_no_more_than_its_most_and_the_earlier_come_first() -> None:
    result = graded(record("HONOUR", TODAY, record_id="late"), record("HONOUR", TODAY - DAY, record_id="early"))

    assert [(each.record_id, each.points) for each in result.contributions] == [("early", 60), ("late", 40)]
    assert (result.score, result.grade) == (850, Grade.A)


def test_the_serious_list_forces_the_lowest_grade_and_says_so() -> None:
    honours = [record("HONOUR", record_id="h1"), record("HONOUR", record_id="h2")]

    result = graded(*honours, record("SERIOUS_LIST", record_id="list"))

    assert (result.grade, result.score) == (Grade.E, 850)
    assert [each.record_id for each in result.contributions if each.forces_lowest] == ["list"]


def test_a_subject_off_the_serious_list_has_its_own_grade_again() -> None:
    assert graded(record("SERIOUS_LIST", lifted=True)) == graded()


@pytest.mark.parametrize("kind", ["PENALTY", "LASTING", "HONOUR", "SERIOUS_LIST"])
def test_a_record_to_come_brings_nothing_yet(kind: str) -> None:
    assert graded(record(kind, TODAY + DAY)) == graded()
    assert graded(record(kind, TODAY)) != graded()


def test_kinds_the_model_does_not_speak_of_bring_nothing() -> None:
    assert graded(record("REGISTRATION")) == graded()


def test_the_same_record_given_twice_counts_once() -> None:
    assert graded(record("PENALTY"), record("PENALTY")) == graded(record("PENALTY"))


def test_the_score_stays_within_its_bounds() -> None:
    many = [record("LASTING", record_id=str(number)) for number in range(9)]
    some = [record("EXACT", record_id=str(number)) for number in range(300)]

    assert graded(*many).score == 0
    assert graded(*some).score == 1000


@pytest.mark.parametrize("model", [TESTED, PUBLISHED], ids=["tested", "published"])
class TestWhateverTheRecords:
    """Properties that hold for every model."""

    @staticmethod
    def records(model: GradeModel, kinds: list[str] | None = None) -> st.SearchStrategy[GradedRecord]:
        names = sorted({*model.additions, *model.deductions, *model.forces_lowest, "UNKNOWN"})
        return st.builds(
            GradedRecord,
            record_id=st.sampled_from([f"r{number}" for number in range(20)]),
            kind=st.sampled_from(kinds or names),
            happened_on=st.dates(date(2018, 1, 1), TODAY + 30 * DAY),
            lifted=st.booleans(),
        )

    @given(data=st.data())
    def test_one_more_negative_record_never_raises_score_or_grade(self, model: GradeModel, data: st.DataObject) -> None:
        records = data.draw(st.lists(self.records(model), max_size=15))
        worse = data.draw(self.records(model, sorted({*model.deductions, *model.forces_lowest})))

        before, after = graded(*records, model=model), graded(*records, worse, model=model)

        assert after.score <= before.score
        assert after.grade >= before.grade  # later in the alphabet

    @given(data=st.data())
    def test_one_more_positive_record_never_lowers_the_score(self, model: GradeModel, data: st.DataObject) -> None:
        records = data.draw(st.lists(self.records(model), max_size=15))
        better = data.draw(self.records(model, sorted(model.additions)))

        assert graded(*records, better, model=model).score >= graded(*records, model=model).score

    @given(data=st.data())
    def test_lifted_records_bring_nothing(self, model: GradeModel, data: st.DataObject) -> None:
        records = data.draw(st.lists(self.records(model), max_size=15))

        assert graded(*records, model=model) == graded(*(each for each in records if not each.lifted), model=model)

    @given(data=st.data())
    def test_the_order_of_records_does_not_matter(self, model: GradeModel, data: st.DataObject) -> None:
        records = data.draw(st.lists(self.records(model), max_size=15))

        assert graded(*data.draw(st.permutations(records)), model=model) == graded(*records, model=model)

    @given(data=st.data())
    def test_base_and_told_points_make_the_score(self, model: GradeModel, data: st.DataObject) -> None:
        records = data.draw(st.lists(self.records(model), max_size=15))

        result = graded(*records, model=model)

        total = result.base + sum(each.points for each in result.contributions)
        assert result.score == min(max(total, model.lowest), model.highest)
        assert {each.record_id for each in result.contributions} <= {each.record_id for each in records}

    @given(data=st.data())
    def test_waiting_never_makes_a_deduction_greater(self, model: GradeModel, data: st.DataObject) -> None:
        records = data.draw(st.lists(self.records(model, sorted(model.deductions)), max_size=15))
        days = data.draw(st.integers(0, 4000))
        start = TODAY + 30 * DAY

        later = graded(*records, model=model, on=start + days * DAY)

        assert later.score >= graded(*records, model=model, on=start).score


def changed(path: str, value: object) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(MODEL))
    *parents, last = path.split("/")
    place = content
    for parent in parents:
        place = place[parent]
    place[last] = value
    return content


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in MODEL.items() if name != key}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(changed("version", ""), "version", id="no version"),
        pytest.param(changed("thresholds/A", 700), "rise", id="two grades at one score"),
        pytest.param(changed("thresholds/D", 600), "rise", id="thresholds out of order"),
        pytest.param(changed("thresholds/A", 1001), "rise", id="grade out of reach"),
        pytest.param(changed("thresholds/E", 100), "A to D", id="threshold of E"),
        pytest.param(changed("thresholds", {"A": 850}), "A to D", id="thresholds missing"),
        pytest.param(changed("base", 1001), "base", id="base out of bounds"),
        pytest.param(changed("base", 750.5), "whole", id="half points"),
        pytest.param(changed("base", float("nan")), "whole", id="no number"),
        pytest.param(changed("base", "750"), "not a grade model", id="text for a number"),
        pytest.param(changed("additions/HONOUR/points", -1), "HONOUR", id="addition that takes"),
        pytest.param(changed("additions/HONOUR/points", 101), "HONOUR", id="more than the most"),
        pytest.param(changed("deductions/PENALTY/points", -1), "PENALTY", id="deduction that gives"),
        pytest.param(
            changed("deductions/PENALTY/decay", [{"after_months": 12, "percent": 120}]),
            "PENALTY",
            id="deduction that grows",
        ),
        pytest.param(
            changed("deductions/PENALTY/decay", [{"after_months": 12, "percent": -1}]), "PENALTY", id="turns to a gift"
        ),
        pytest.param(
            changed(
                "deductions/PENALTY/decay",
                [{"after_months": 36, "percent": 50}, {"after_months": 12, "percent": 0}],
            ),
            "PENALTY",
            id="steps out of order",
        ),
        pytest.param(changed("deductions/HONOUR", {"points": 1, "decay": []}), "HONOUR", id="kind that counts twice"),
        pytest.param(changed("forces_lowest", ["PENALTY"]), "PENALTY", id="kind that forces and counts"),
        pytest.param(changed("surprise", 1), "surprise", id="unknown key"),
        pytest.param(without("deductions"), "deductions", id="missing key"),
        pytest.param(without("source"), "source", id="nobody says where it is from"),
        pytest.param([], "not a grade model", id="a list"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(content: object, complaint: str) -> None:
    with pytest.raises(GradeModelError, match=complaint):
        read(content)


@pytest.mark.parametrize("points", [0, 100])
def test_an_addition_may_bring_nothing_or_its_most_at_once(points: int) -> None:
    assert graded(record("HONOUR"), model=read(changed("additions/HONOUR/points", points))).score == 750 + points


@pytest.mark.parametrize("points", [0, 1])
def test_a_deduction_may_take_nothing_and_fade_at_once(points: int) -> None:
    model = read(changed("deductions/POINT", {"points": points, "decay": [{"after_months": 0, "percent": 0}]}))

    assert graded(record("POINT"), model=model).score == 750 - points
    assert graded(record("POINT"), model=model, on=TODAY + DAY).score == 750


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(GradeModelError):
        read_grade_model(io.StringIO("{"))


def test_the_published_model_has_the_proposed_thresholds() -> None:
    assert dict(PUBLISHED.thresholds) == {"A": 850, "B": 700, "C": 550, "D": 400}
    assert (PUBLISHED.lowest, PUBLISHED.highest) == (0, 1000)
    assert set(PUBLISHED.forces_lowest) == {"SERIOUS_LIST"}


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], "B"),
        (["HONOUR", "PROMISE_KEPT", "PROMISE_KEPT"], "A"),
        (["PENALTY_MINOR"], "B"),
        (["PENALTY_GENERAL"], "C"),
        (["PENALTY_SERIOUS"], "C"),
        (["PENALTY_SERIOUS", "PENALTY_GENERAL"], "D"),
        (["PENALTY_SERIOUS", "PENALTY_SERIOUS"], "E"),
        (["SERIOUS_LIST"], "E"),
    ],
)
def test_the_published_model_grades_as_expected(kinds: list[str], expected: str) -> None:
    records = [record(kind, record_id=f"r{number}") for number, kind in enumerate(kinds)]

    assert graded(*records, model=PUBLISHED).grade == expected
