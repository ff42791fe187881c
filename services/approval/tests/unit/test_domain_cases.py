"""What actions ask of their arguments."""

from datetime import date

import pytest

from tulou_approval.domain.cases import (
    CompetentOrganMissing,
    CorrectionAlreadyUsed,
    CorrectionEmpty,
    CorrectionEntriesInvalid,
    CorrectionEntry,
    EntryProblem,
    ExtensionTooLate,
    ExtensionTooLong,
    HeadApprovalMissing,
    MaterialRule,
    MaterialsMissing,
    Necessity,
    TooFewReviewers,
    check_correction,
    check_decline,
    check_extension,
    check_materials,
    check_reviewers,
    missing_materials,
)
from tulou_approval.domain.clock import Explanation, Step, explain
from tulou_approval.domain.rules import DeadlineKind
from tulou_approval.domain.states import Action
from tulou_civics.calendar import WorkCalendar

MATERIALS = [
    MaterialRule("M03", Necessity.REQUIRED),
    MaterialRule("M01", Necessity.REQUIRED),
    MaterialRule("M02", Necessity.CONDITIONAL),
    MaterialRule("M04", Necessity.OPTIONAL),
]


class TestMaterials:
    def test_only_required_materials_can_be_missing_and_they_are_named_in_the_items_order(self) -> None:
        assert missing_materials(MATERIALS, set()) == ("M03", "M01")
        assert missing_materials(MATERIALS, {"M02", "M03"}) == ("M01",)

    def test_a_complete_application_passes_whatever_else_was_uploaded(self) -> None:
        assert missing_materials(MATERIALS, {"M01", "M03", "X99"}) == ()
        check_materials(MATERIALS, {"M01", "M03", "X99"})

    def test_an_incomplete_application_is_refused_with_the_missing_codes(self) -> None:
        with pytest.raises(MaterialsMissing) as refusal:
            check_materials(MATERIALS, {"M01"})
        assert refusal.value.material_codes == ("M03",)


class TestCorrection:
    GOOD = CorrectionEntry(material_code="M01", form_field="", requirement="请上传加盖公章的原件扫描件")

    def check(self, *entries: CorrectionEntry, used: bool = False) -> None:
        check_correction(entries, material_codes={"M01", "M02"}, used=used)

    def test_a_notice_names_materials_and_form_fields(self) -> None:
        self.check(self.GOOD, CorrectionEntry("", "business.address", "请填写门牌号"))

    def test_there_is_one_notice_only(self) -> None:
        with pytest.raises(CorrectionAlreadyUsed):
            self.check(self.GOOD, used=True)

    def test_a_notice_names_something(self) -> None:
        with pytest.raises(CorrectionEmpty):
            self.check()

    def test_entries_an_applicant_could_not_act_on_are_all_reported(self) -> None:
        with pytest.raises(CorrectionEntriesInvalid) as refusal:
            self.check(
                self.GOOD,
                CorrectionEntry("", "", "补齐材料"),
                CorrectionEntry("M02", "name", "更正"),
                CorrectionEntry("M09", "", "更正"),
                CorrectionEntry("M02", "", " "),
            )
        assert refusal.value.problems == {
            1: EntryProblem.NO_SUBJECT,
            2: EntryProblem.TWO_SUBJECTS,
            3: EntryProblem.UNKNOWN_MATERIAL,
            4: EntryProblem.NO_REQUIREMENT,
        }


class TestDecline:
    def test_the_competent_organ_is_named_where_a_licence_is_needed(self) -> None:
        check_decline(licence_not_needed=False, competent_organ="漳州市交通运输局")
        with pytest.raises(CompetentOrganMissing):
            check_decline(licence_not_needed=False, competent_organ="  ")

    def test_no_organ_is_named_where_no_licence_is_needed(self) -> None:
        check_decline(licence_not_needed=True, competent_organ="")


class TestReviewers:
    @pytest.mark.parametrize("reviewers", [["林一", "陈二"], ["林一", "陈二", "黄三"]])
    def test_two_or_more_people_may_check_the_facts(self, reviewers: list[str]) -> None:
        check_reviewers(reviewers, substantive_check=True)

    @pytest.mark.parametrize("reviewers", [["林一"], ["林一", "林一"], ["林一", " 林一 "], ["林一", ""]])
    def test_one_person_may_not_check_the_facts_under_two_names(self, reviewers: list[str]) -> None:
        with pytest.raises(TooFewReviewers) as refusal:
            check_reviewers(reviewers, substantive_check=True)
        assert (refusal.value.given, refusal.value.needed) == (1, 2)

    def test_one_reviewer_is_enough_without_a_check_on_the_facts(self) -> None:
        check_reviewers(["林一"], substantive_check=False)

    def test_a_review_has_a_reviewer(self) -> None:
        with pytest.raises(TooFewReviewers) as refusal:
            check_reviewers([" "], substantive_check=False)
        assert (refusal.value.given, refusal.value.needed) == (0, 1)


class TestExtension:
    @staticmethod
    def statutory(today: date) -> Explanation:
        """20 days from Monday 2 March 2026: the last is Monday 30 March."""
        clocks = explain(
            [Step(date(2026, 3, 2), Action.ACCEPT)],
            promised_days=10,
            statutory_days=20,
            calendar=WorkCalendar.load(),
            today=today,
        )
        return clocks[DeadlineKind.STATUTORY_DECISION]

    def check(self, days: int, *, today: date = date(2026, 3, 20), approved_by: str = "吴局长") -> None:
        check_extension(days, statutory=self.statutory(today), approved_by=approved_by, reviewers=["林一", "陈二"])

    @pytest.mark.parametrize("days", [1, 10])
    def test_up_to_ten_days_can_be_added(self, days: int) -> None:
        self.check(days)

    def test_more_than_ten_days_cannot(self) -> None:
        with pytest.raises(ExtensionTooLong) as refusal:
            self.check(11)
        assert (refusal.value.days, refusal.value.maximum) == (11, 10)

    @pytest.mark.parametrize("days", [0, -1])
    def test_an_extension_adds_something(self, days: int) -> None:
        with pytest.raises(ValueError, match="extension"):
            self.check(days)

    def test_the_last_day_is_not_too_late_but_the_next_is(self) -> None:
        self.check(10, today=date(2026, 3, 30))
        with pytest.raises(ExtensionTooLate) as refusal:
            self.check(10, today=date(2026, 3, 31))
        assert refusal.value.due_date == date(2026, 3, 30)

    @pytest.mark.parametrize("approved_by", ["", "  ", "林一", " 陈二 "])
    def test_the_head_approves_not_the_reviewers(self, approved_by: str) -> None:
        with pytest.raises(HeadApprovalMissing):
            self.check(10, approved_by=approved_by)
