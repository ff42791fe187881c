"""Worked examples of the legal clock: counted by hand on the State Council's holiday notices."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from tulou_approval.domain.clock import (
    Explanation,
    Interval,
    PauseGround,
    Step,
    deadlines,
    deemed_acceptance_due,
    explain,
)
from tulou_approval.domain.rules import DeadlineKind
from tulou_approval.domain.states import Action
from tulou_civics.calendar import DueDate, WorkCalendar
from tulou_civics.durations import Unit
from tulou_civics.rules import NoRuleSet

CALENDAR = WorkCalendar.load()
NOTICE, PROMISED = DeadlineKind.CORRECTION_NOTICE, DeadlineKind.PROMISED_DECISION
STATUTORY, DELIVERY = DeadlineKind.STATUTORY_DECISION, DeadlineKind.DELIVERY


def step(day: str, action: Action, planned: int = 0, extension: int = 0) -> Step:
    ground = PauseGround.EXPERT_REVIEW if action == Action.PAUSE else None
    return Step(date.fromisoformat(day), action, ground=ground, planned_days=planned, extension_days=extension)


def look(
    *steps: Step, today: str, promised: int = 10, statutory: int = 20, calendar: WorkCalendar = CALENDAR
) -> Mapping[DeadlineKind, Explanation]:
    return explain(
        steps,
        promised_days=promised,
        statutory_days=statutory,
        calendar=calendar,
        today=date.fromisoformat(today),
    )


def due(day: str, *, provisional: bool = False) -> DueDate:
    return DueDate(date.fromisoformat(day), provisional)


@pytest.mark.parametrize(
    ("accepted", "days", "expected"),
    [
        ("2016-02-05", 5, "2016-02-17"),
        ("2016-01-29", 20, "2016-03-02"),
        ("2016-09-30", 20, "2016-11-02"),
        ("2016-12-20", 30, "2017-02-06"),
        ("2025-12-31", 20, "2026-01-29"),
        ("2026-01-15", 45, "2026-03-25"),
        ("2026-02-13", 5, "2026-02-27"),
        ("2026-04-30", 10, "2026-05-18"),
        ("2026-09-18", 45, "2026-11-26"),
        ("2026-09-30", 20, "2026-11-03"),
    ],
)
def test_the_time_to_decide_ends_on_the_known_day(accepted: str, days: int, expected: str) -> None:
    clocks = look(step(accepted, Action.ACCEPT), today=accepted, promised=days, statutory=days)

    assert clocks[STATUTORY].due == clocks[PROMISED].due == due(expected)


@pytest.mark.parametrize(
    ("submitted", "expected"),
    [
        # 2024: off 10–17 February (Spring Festival); worked on Sundays 4 and 18 and on New Year's Eve, Friday 9.
        # Sun 4, Mon 5, Tue 6, Wed 7, Thu 8.
        ("2024-02-02", "2024-02-08"),
        # Tue 6, Wed 7, Thu 8, Fri 9 (Eve), then the festival, Sun 18 (worked).
        ("2024-02-05", "2024-02-18"),
        # Fri 9 (Eve), Sun 18 (worked), Mon 19, Tue 20, Wed 21.
        ("2024-02-08", "2024-02-21"),
        # Handed in on Monday 12, in the festival: Sun 18 (worked), Mon 19, Tue 20, Wed 21, Thu 22.
        ("2024-02-12", "2024-02-22"),
        # 2025: off 28 January (New Year's Eve) – 4 February (Spring Festival); worked on Sunday 26 January and
        # Saturday 8 February.
        # Sun 26 (worked), Mon 27, then the festival, Wed 5, Thu 6, Fri 7.
        ("2025-01-24", "2025-02-07"),
        # Wed 5, Thu 6, Fri 7, Sat 8 (worked), Mon 10.
        ("2025-01-27", "2025-02-10"),
        # Thu 23, Fri 24, Sun 26 (worked), Mon 27, then the festival, Wed 5.
        ("2025-01-22", "2025-02-05"),
        # 2026: off 15–23 February (Spring Festival, New Year's Eve on Monday 16); worked on Saturdays 14 and 28.
        # Thu 12, Fri 13, Sat 14 (worked), then the festival, Tue 24, Wed 25.
        ("2026-02-11", "2026-02-25"),
        # Sat 14 (worked), then the festival, Tue 24, Wed 25, Thu 26, Fri 27.
        ("2026-02-13", "2026-02-27"),
        # Handed in on Saturday 14: Tue 24, Wed 25, Thu 26, Fri 27, Sat 28 (worked).
        ("2026-02-14", "2026-02-28"),
        # Wed 25, Thu 26, Fri 27, Sat 28 (worked), Sunday off, Mon 2 March.
        ("2026-02-24", "2026-03-02"),
    ],
)
def test_the_five_days_to_ask_for_corrections_run_around_spring_festival(submitted: str, expected: str) -> None:
    assert look(step(submitted, Action.SUBMIT), today=submitted)[NOTICE].due == due(expected)


class TestCorrectionNotice:
    SUBMITTED = step("2026-03-02", Action.SUBMIT)  # a Monday; the fifth working day is Monday 9

    def test_a_notice_on_the_fifth_working_day_is_in_time(self) -> None:
        steps = [self.SUBMITTED, step("2026-03-09", Action.REQUEST_CORRECTION)]

        clock = look(*steps, today="2026-03-20")[NOTICE]

        assert (clock.due, clock.stop_date, clock.used_days) == (due("2026-03-09"), date(2026, 3, 9), 5)
        assert not clock.overdue
        assert deemed_acceptance_due(steps, calendar=CALENDAR) is None

    def test_silence_counts_as_acceptance_from_the_day_after_the_fifth_working_day(self) -> None:
        assert deemed_acceptance_due([self.SUBMITTED], calendar=CALENDAR) == due("2026-03-10")
        assert not look(self.SUBMITTED, today="2026-03-09")[NOTICE].overdue
        assert look(self.SUBMITTED, today="2026-03-10")[NOTICE].overdue

    def test_silence_until_friday_counts_as_acceptance_on_saturday(self) -> None:
        assert deemed_acceptance_due([step("2026-03-06", Action.SUBMIT)], calendar=CALENDAR) == due("2026-03-14")

    def test_acceptance_by_silence_starts_the_decision_on_the_day_the_material_came_in(self) -> None:
        clocks = look(self.SUBMITTED, step("2026-03-10", Action.DEEM_ACCEPTED), today="2026-03-10")

        assert clocks[NOTICE].overdue
        assert clocks[NOTICE].stop_date == date(2026, 3, 10)
        assert clocks[PROMISED].start_date == clocks[STATUTORY].start_date == date(2026, 3, 2)
        assert clocks[PROMISED].used_days == 6
        assert (clocks[PROMISED].due, clocks[STATUTORY].due) == (due("2026-03-16"), due("2026-03-30"))

    def test_acceptance_by_silence_after_corrections_reaches_back_to_the_resubmission_only(self) -> None:
        clocks = look(
            self.SUBMITTED,
            step("2026-03-04", Action.REQUEST_CORRECTION),
            step("2026-03-12", Action.RESUBMIT),
            step("2026-03-20", Action.DEEM_ACCEPTED),
            today="2026-03-20",
        )

        assert clocks[STATUTORY].start_date == date(2026, 3, 12)

    def test_a_resubmission_starts_the_five_days_afresh(self) -> None:
        steps = [
            self.SUBMITTED,
            step("2026-03-03", Action.PRE_REVIEW),
            step("2026-03-05", Action.REQUEST_CORRECTION),
            step("2026-04-03", Action.RESUBMIT),  # a Friday before Qingming, off to Monday 6
        ]

        clock = look(*steps, today="2026-04-08")[NOTICE]

        assert (clock.start_date, clock.due, clock.used_days) == (date(2026, 4, 3), due("2026-04-13"), 2)
        assert clock.stop_date is None
        assert deemed_acceptance_due(steps, calendar=CALENDAR) == due("2026-04-14")

    def test_nothing_runs_while_the_applicant_corrects(self) -> None:
        steps = [self.SUBMITTED, step("2026-03-05", Action.REQUEST_CORRECTION), step("2026-03-25", Action.UPDATE)]
        today = date(2026, 4, 30)

        running = deadlines(steps, promised_days=10, statutory_days=20, calendar=CALENDAR, today=today)

        assert running == {}

    @pytest.mark.parametrize("action", [Action.ACCEPT, Action.DECLINE, Action.WITHDRAW, Action.TERMINATE])
    def test_the_notice_clock_ends_when_the_application_is_settled_otherwise(self, action: Action) -> None:
        steps = [self.SUBMITTED, step("2026-03-04", action)]

        assert look(*steps, today="2026-03-31")[NOTICE].stop_date == date(2026, 3, 4)
        assert deemed_acceptance_due(steps, calendar=CALENDAR) is None

    def test_a_draft_has_no_deadlines(self) -> None:
        steps = [step("2026-03-02", Action.UPDATE)]

        assert look(*steps, today="2026-03-31") == {}
        assert deemed_acceptance_due(steps, calendar=CALENDAR) is None


class TestPause:
    # Ten days from Monday 20 January 2025: Tue 21, Wed 22 are used before the pause.
    ACCEPTED = step("2025-01-20", Action.ACCEPT)
    PAUSED = step("2025-01-22", Action.PAUSE, planned=4)
    RESUMED = step("2025-02-06", Action.RESUME)

    def test_the_days_after_the_pause_up_to_the_resumption_are_not_counted(self) -> None:
        # After Thursday 6 February: Fri 7, Sat 8 (worked), Mon 10 – Fri 14, Mon 17 are the eight that were left.
        clock = look(self.ACCEPTED, self.PAUSED, self.RESUMED, today="2025-02-10")[PROMISED]

        assert clock.due == due("2025-02-17")
        assert clock.used_days == 5
        assert not clock.paused
        assert clock.intervals == (
            Interval(date(2025, 1, 20), date(2025, 1, 22), counted=True, days=2, reason=None),
            Interval(date(2025, 1, 22), date(2025, 2, 6), counted=False, days=0, reason=PauseGround.EXPERT_REVIEW),
            Interval(date(2025, 2, 6), None, counted=True, days=3, reason=None),
        )

    def test_while_paused_the_due_day_is_projected_from_the_planned_end(self) -> None:
        # Planned: Thu 23, Fri 24, Sun 26 (worked), Mon 27; then eight days: 5–7, 8 (worked), 10–13 February.
        clock = look(self.ACCEPTED, self.PAUSED, today="2025-01-24")[PROMISED]

        assert clock.paused
        assert clock.due == due("2025-02-13")
        assert clock.used_days == 2
        assert clock.intervals[-1].end is None

    def test_a_pause_longer_than_planned_is_projected_from_today(self) -> None:
        # From Friday 7: Sat 8 (worked), Mon 10 – Fri 14, Mon 17, Tue 18.
        clock = look(self.ACCEPTED, self.PAUSED, today="2025-02-07")[PROMISED]

        assert clock.due == due("2025-02-18")
        assert not clock.overdue

    def test_a_paused_deadline_is_among_those_that_have_not_ended(self) -> None:
        steps = [self.ACCEPTED, self.PAUSED]

        running = deadlines(steps, promised_days=10, statutory_days=20, calendar=CALENDAR, today=date(2025, 1, 24))

        assert running == {PROMISED: due("2025-02-13"), STATUTORY: due("2025-02-27")}

    def test_a_pause_begun_on_the_last_day_moves_it_to_the_day_the_pause_ends(self) -> None:
        # Two days from Monday 20: Wednesday 22 is the last.
        paused = look(self.ACCEPTED, self.PAUSED, today="2025-01-24", promised=2)[PROMISED]
        resumed = look(self.ACCEPTED, self.PAUSED, self.RESUMED, today="2025-02-06", promised=2)[PROMISED]

        assert (paused.due, paused.overdue) == (due("2025-01-27"), False)
        assert (resumed.due, resumed.overdue) == (due("2025-02-06"), False)

    def test_a_pause_begun_after_the_last_day_saves_nothing(self) -> None:
        clock = look(self.ACCEPTED, self.PAUSED, self.RESUMED, today="2025-02-10", promised=1)[PROMISED]

        assert (clock.due, clock.overdue) == (due("2025-01-21"), True)

    def test_a_pause_begun_on_the_weekend_after_the_last_day_saves_nothing(self) -> None:
        steps = [step("2026-03-02", Action.ACCEPT), step("2026-03-07", Action.PAUSE, planned=5)]

        clock = look(*steps, today="2026-03-08", promised=4)[PROMISED]

        assert (clock.due, clock.paused, clock.overdue) == (due("2026-03-06"), True, True)

    def test_a_pause_that_ends_the_same_day_changes_nothing(self) -> None:
        resumed = step("2025-01-22", Action.RESUME)

        with_pause = look(self.ACCEPTED, self.PAUSED, resumed, today="2025-01-24")[STATUTORY]

        assert with_pause.due == look(self.ACCEPTED, today="2025-01-24")[STATUTORY].due
        assert with_pause.used_days == 4

    def test_two_pauses_are_both_left_out(self) -> None:
        # 10 days from Monday 2 March 2026. Pauses of Thu 5, Fri 6 and of Wed 11 – Fri 13.
        clock = look(
            step("2026-03-02", Action.ACCEPT),
            step("2026-03-04", Action.PAUSE, planned=1),
            step("2026-03-06", Action.RESUME),
            step("2026-03-10", Action.PAUSE, planned=1),
            step("2026-03-13", Action.RESUME),
            today="2026-03-23",
        )[PROMISED]

        # Tue 3, Wed 4 | Mon 9, Tue 10 | Mon 16 – Fri 20, Mon 23.
        assert (clock.due, clock.used_days, clock.overdue) == (due("2026-03-23"), 10, False)

    def test_a_case_withdrawn_during_a_pause_is_paused_no_more(self) -> None:
        clock = look(self.ACCEPTED, self.PAUSED, step("2025-02-06", Action.WITHDRAW), today="2025-03-31")[PROMISED]

        assert not clock.paused
        assert not clock.overdue
        assert (clock.stop_date, clock.used_days, clock.due) == (date(2025, 2, 6), 2, due("2025-02-17"))


class TestDecision:
    ACCEPTED = step("2026-03-02", Action.ACCEPT)

    def test_an_explanation_names_rule_article_start_and_days(self) -> None:
        clock = look(self.ACCEPTED, today="2026-03-04")[STATUTORY]

        assert clock == Explanation(
            kind=STATUTORY,
            due=due("2026-03-30"),
            rule_set="licence-law-2019",
            legal_basis="《行政许可法》（2019年修正）第四十二条",
            start_date=date(2026, 3, 2),
            allowed_days=20,
            unit=Unit.WORKING_DAY,
            used_days=2,
            intervals=(Interval(date(2026, 3, 2), None, counted=True, days=2, reason=None),),
            paused=False,
            overdue=False,
            stop_date=None,
        )

    @pytest.mark.parametrize(("decided", "overdue"), [("2026-03-30", False), ("2026-03-31", True)])
    @pytest.mark.parametrize("action", [Action.GRANT, Action.REFUSE])
    def test_a_decision_on_the_last_day_is_in_time_and_a_day_later_is_not(
        self, action: Action, decided: str, overdue: bool
    ) -> None:
        clock = look(self.ACCEPTED, step(decided, action), today="2026-05-29")[STATUTORY]

        assert (clock.due, clock.overdue, clock.stop_date) == (
            due("2026-03-30"),
            overdue,
            date.fromisoformat(decided),
        )

    def test_a_promise_can_be_broken_while_the_statutory_limit_is_kept(self) -> None:
        clocks = look(self.ACCEPTED, step("2026-03-20", Action.GRANT), today="2026-03-20")

        assert clocks[PROMISED].overdue
        assert not clocks[STATUTORY].overdue

    def test_an_instant_item_is_due_on_the_day_of_acceptance(self) -> None:
        granted = step("2026-03-02", Action.GRANT)

        assert look(self.ACCEPTED, today="2026-03-02", promised=0)[PROMISED].due == due("2026-03-02")
        assert not look(self.ACCEPTED, granted, today="2026-04-01", promised=0)[PROMISED].overdue
        assert look(self.ACCEPTED, today="2026-03-03", promised=0)[PROMISED].overdue

    def test_an_extension_adds_its_days_to_both_limits(self) -> None:
        clocks = look(self.ACCEPTED, step("2026-03-16", Action.EXTEND, extension=10), today="2026-03-16")

        # Ten more after Monday 16: Mon 30; after Monday 30: 31 March, 1–3 April, 7–10 (Qingming off on Mon 6), 13, 14.
        assert (clocks[PROMISED].due, clocks[PROMISED].allowed_days) == (due("2026-03-30"), 20)
        assert (clocks[STATUTORY].due, clocks[STATUTORY].allowed_days) == (due("2026-04-14"), 30)

    def test_an_extension_does_not_mend_a_promise_broken_before_it(self) -> None:
        clocks = look(self.ACCEPTED, step("2026-03-17", Action.EXTEND, extension=10), today="2026-03-17")

        assert (clocks[PROMISED].due, clocks[PROMISED].allowed_days) == (due("2026-03-16"), 10)
        assert clocks[PROMISED].overdue
        assert clocks[STATUTORY].due == due("2026-04-14")

    def test_an_extension_after_a_pause_adds_to_what_was_left(self) -> None:
        clock = look(
            self.ACCEPTED,
            step("2026-03-04", Action.PAUSE, planned=3),
            step("2026-03-09", Action.RESUME),
            step("2026-03-10", Action.EXTEND, extension=3),
            today="2026-03-10",
        )[PROMISED]

        # Two were used, 8 + 3 are left after Monday 9: 10–13, 16–20, 23, 24.
        assert (clock.due, clock.allowed_days) == (due("2026-03-24"), 13)


class TestDelivery:
    GRANTED = step("2026-03-02", Action.GRANT)

    def test_the_result_is_to_be_delivered_within_ten_working_days_of_the_grant(self) -> None:
        clock = look(self.GRANTED, step("2026-03-05", Action.CERTIFY), today="2026-03-17")[DELIVERY]

        assert (clock.due, clock.overdue, clock.stop_date) == (due("2026-03-16"), True, None)
        assert clock.legal_basis.endswith("第四十四条")

    def test_delivery_on_the_last_day_is_in_time(self) -> None:
        steps = [self.GRANTED, step("2026-03-05", Action.CERTIFY), step("2026-03-16", Action.DELIVER)]

        clock = look(*steps, step("2026-04-20", Action.CLOSE), today="2026-05-29")[DELIVERY]

        assert (clock.overdue, clock.stop_date, clock.used_days) == (False, date(2026, 3, 16), 10)

    def test_a_refusal_starts_no_delivery_clock(self) -> None:
        accepted, refused = step("2026-03-02", Action.ACCEPT), step("2026-03-05", Action.REFUSE)

        assert DELIVERY not in look(accepted, refused, step("2026-03-06", Action.DELIVER), today="2026-03-06")


class TestRuleSets:
    def test_a_clock_goes_by_the_law_in_force_on_the_day_it_starts(self) -> None:
        clocks = look(
            step("2019-04-22", Action.SUBMIT), step("2019-04-23", Action.ACCEPT), today="2019-04-23", promised=5
        )

        assert {kind: clock.rule_set for kind, clock in clocks.items()} == {
            NOTICE: "licence-law-2004",
            PROMISED: "licence-law-2019",
            STATUTORY: "licence-law-2019",
        }

    def test_there_is_no_clock_before_the_licence_law(self) -> None:
        assert look(step("2004-07-01", Action.SUBMIT), today="2004-07-01")[NOTICE].rule_set == "licence-law-2004"
        with pytest.raises(NoRuleSet):
            look(step("2004-06-30", Action.SUBMIT), today="2004-07-01")


class TestYearWithoutCalendar:
    # Of Tuesday 22 – Thursday 31 December 2026 eight days count; 2027: Fri 1 January off, 4–8, 11–15, 18, 19.
    ACCEPTED = step("2026-12-21", Action.ACCEPT)

    @staticmethod
    def with_2027(*, off: tuple[date, ...] = (), worked: tuple[date, ...] = ()) -> WorkCalendar:
        """An invented calendar for 2027 with few holidays."""
        moved = {**CALENDAR.moved, **dict.fromkeys(off, False), **dict.fromkeys(worked, True)}
        return WorkCalendar(CALENDAR.known_years | {2027}, moved)

    def test_a_deadline_that_reaches_into_it_is_provisional(self) -> None:
        clocks = look(self.ACCEPTED, today="2026-12-21", promised=8)

        assert clocks[PROMISED].due == due("2026-12-31")
        assert clocks[STATUTORY].due == due("2027-01-19", provisional=True)

    def test_loading_the_year_recomputes_it_for_good(self) -> None:
        long_new_year = (date(2027, 1, 1), date(2027, 1, 4))
        moved = self.with_2027(off=long_new_year)
        made_up = self.with_2027(off=long_new_year, worked=(date(2027, 1, 9),))

        # 5–8, 11–15, 18–20 January; or 5–9, 11–15, 18, 19.
        assert look(self.ACCEPTED, today="2026-12-21", calendar=moved)[STATUTORY].due == due("2027-01-20")
        assert look(self.ACCEPTED, today="2026-12-21", calendar=made_up)[STATUTORY].due == due("2027-01-19")

    def test_a_planned_end_in_it_makes_the_projection_provisional(self) -> None:
        paused = step("2026-12-31", Action.PAUSE, planned=3)

        # All eight days are used, so the last day is the planned end.
        clock = look(self.ACCEPTED, paused, today="2026-12-31", promised=8)[PROMISED]

        assert clock.due == due("2027-01-06", provisional=True)

    def test_a_day_that_needs_no_counting_in_it_is_certain(self) -> None:
        paused, resumed = step("2026-12-31", Action.PAUSE, planned=3), step("2027-01-05", Action.RESUME)

        clock = look(self.ACCEPTED, paused, resumed, today="2027-01-05", promised=8)[PROMISED]

        assert clock.due == due("2027-01-05")

    def test_a_last_day_found_by_counting_in_it_stays_provisional_after_a_pause(self) -> None:
        # 8 in 2026 and 2 more, Mon 4 and Tue 5, before the pause: none is left.
        paused, resumed = step("2027-01-05", Action.PAUSE, planned=3), step("2027-01-07", Action.RESUME)

        clock = look(self.ACCEPTED, paused, resumed, today="2027-01-07")[PROMISED]

        assert clock.due == due("2027-01-07", provisional=True)

    def test_silence_over_new_year_is_deemed_acceptance_provisionally(self) -> None:
        found = deemed_acceptance_due([step("2026-12-29", Action.SUBMIT)], calendar=CALENDAR)

        assert found == due("2027-01-07", provisional=True)


def test_the_deadlines_are_those_explained_without_the_ended_ones() -> None:
    steps = [
        step("2026-03-02", Action.SUBMIT),
        step("2026-03-04", Action.ACCEPT),
        step("2026-03-05", Action.START_REVIEW),
        step("2026-03-12", Action.GRANT),
    ]
    today = steps[-1].day + timedelta(days=1)

    running = deadlines(steps, promised_days=10, statutory_days=20, calendar=CALENDAR, today=today)

    assert running == {DELIVERY: due("2026-03-26")}


def test_the_eight_grounds_are_those_of_article_45() -> None:
    assert {ground.name for ground in PauseGround} == {
        "HEARING",
        "TENDER",
        "AUCTION",
        "INSPECTION",
        "TESTING",
        "QUARANTINE",
        "APPRAISAL",
        "EXPERT_REVIEW",
    }
