"""What the API says of the clocks follows from what it says of the history."""

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.approval.tests.integration.test_timers import at
from services.approval.tests.office import (
    APPROVER,
    CITIZEN,
    CLERK,
    FOOD,
    PDF,
    Filed,
    Office,
)
from tulou.approval.v1 import case_pb2
from tulou_approval.domain.clock import PauseGround
from tulou_approval.operations import cases, decisions, handling, materials
from tulou_approval.operations.acts import civil_date

SHANGHAI = ZoneInfo("Asia/Shanghai")
PROMISED, STATUTORY = 8, 20
TODAY = civil_date(datetime.now(UTC))


class Journey:
    """A case of the item with 8 promised and 20 statutory days, played at chosen instants."""

    def __init__(self, office: Office, day: str, hour: int = 9) -> None:
        self.case: Filed = office.case_at(at(day, hour), item_code=FOOD)
        office.database.write(
            lambda session: materials.add_material(
                session,
                desk=office.desk,
                principal=CITIZEN.principal,
                case_id=self.case.id,
                material_code="M01",
                filename="a.pdf",
                media_type="application/pdf",
                size=len(PDF),
                sha256="0" * 64,
                now=at(day, hour),
            )
        )
        self.case.act(cases.submit_case, at(day, hour), CITIZEN)

    def accept(self, day: str, hour: int = 10) -> "Journey":
        self.case.act(handling.accept_case, at(day, hour), CLERK)
        return self

    def review(self, day: str) -> "Journey":
        self.case.act(handling.start_review, at(day), APPROVER, reviewers=["甲", "乙"])
        return self

    def pause(self, day: str, planned: int = 5) -> "Journey":
        arguments = {"ground": PauseGround.TESTING, "notice_number": "漳特1", "planned_days": planned, "reason": "检测"}
        self.case.act(handling.pause_case, at(day), APPROVER, **arguments)
        return self

    def resume(self, day: str) -> "Journey":
        self.case.act(handling.resume_case, at(day), APPROVER, result="合格")
        return self

    def extend(self, day: str, days: int) -> "Journey":
        self.case.act(handling.extend_case, at(day), APPROVER, days=days, reason="复杂", approved_by="局长")
        return self

    def grant(self, day: str) -> "Journey":
        self.case.act(decisions.grant_case, at(day), APPROVER, opinion="同意")
        return self

    def deliver(self, day: str) -> "Journey":
        self.case.act(decisions.certify_case, at(day, 8), CLERK)
        self.case.act(decisions.deliver_case, at(day), CLERK, method="PICKUP", recipient="陈实")
        return self


def told(office: Office, case_id: str) -> dict[str, case_pb2.ClockExplanation]:
    """ExplainClock, by kind."""
    answer = office.ask("ExplainClock", by=CLERK, case_id=case_id)
    assert answer.as_of == TODAY.isoformat()
    return {case_pb2.DeadlineKind.Name(one.kind).removeprefix("DEADLINE_KIND_"): one for one in answer.clocks}


def history(office: Office, case_id: str) -> list[case_pb2.HistoryEntry]:
    """ListCaseHistory, page by page."""
    found: list[case_pb2.HistoryEntry] = []
    token = ""
    while True:
        answer = office.ask("ListCaseHistory", by=CLERK, case_id=case_id, page_size=3, page_token=token)
        found += answer.entries
        token = answer.next_page_token
        if not token:
            return found


def naive_due(office: Office, entries: Sequence[case_pb2.HistoryEntry], allowed: int) -> tuple[date, int]:
    """The decision deadline and the days used until the decision, counted day by day from the told history."""
    day_of = {entry.action: _day(entry) for entry in entries}
    start = day_of["ACCEPT"]
    stop = day_of.get("GRANT", TODAY)
    pauses = [
        (_day(entry), _day(after))
        for entry, after in itertools.pairwise(entries)
        if entry.action == "PAUSE" and after.action == "RESUME"
    ]
    allowed += sum(int(entry.details["extension_days"]) for entry in entries if entry.action == "EXTEND")
    calendar = office.desk.calendar
    used, counted, day, due = 0, 0, start, None
    while due is None or day < stop:
        day += timedelta(days=1)
        if calendar.is_workday(day) and not any(begin < day <= end for begin, end in pauses):
            counted += 1
            used += day <= stop
            if counted == allowed:
                due = day
    return due, used


def _day(entry: case_pb2.HistoryEntry) -> date:
    return entry.time.ToDatetime(UTC).astimezone(SHANGHAI).date()


JOURNEYS: dict[str, Any] = {
    "straight": lambda office: (
        Journey(office, "2026-03-02")
        .accept("2026-03-04")
        .review("2026-03-05")
        .grant("2026-03-10")
        .deliver("2026-03-12")
    ),
    "paused twice over the spring festival": lambda office: (
        Journey(office, "2026-01-19")
        .accept("2026-01-21")
        .review("2026-01-22")
        .pause("2026-01-26")
        .resume("2026-02-03")
        .pause("2026-02-06", 10)
        .resume("2026-02-24")
        .grant("2026-03-03")
        .deliver("2026-03-20")
    ),
    "extended": lambda office: (
        Journey(office, "2026-04-28")
        .accept("2026-04-29")
        .review("2026-04-30")
        .extend("2026-05-08", 10)
        .grant("2026-05-25")
        .deliver("2026-05-26")
    ),
    "paused and extended, and late": lambda office: (
        Journey(office, "2026-08-31")
        .accept("2026-09-01")
        .review("2026-09-02")
        .pause("2026-09-04")
        .resume("2026-09-15")
        .extend("2026-09-17", 3)
        .grant("2026-11-20")
        .deliver("2026-11-20")
    ),
    "accepted late in the evening": lambda office: (
        Journey(office, "2026-06-01", 23)
        .accept("2026-06-02", 23)
        .review("2026-06-03")
        .grant("2026-06-15")
        .deliver("2026-06-16")
    ),
}


@pytest.mark.parametrize("name", JOURNEYS)
def test_the_clocks_are_what_the_history_says(office: Office, name: str) -> None:
    case = JOURNEYS[name](office).case
    entries = history(office, case.id)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    clocks = told(office, case.id)
    assert set(clocks) == {"CORRECTION_NOTICE", "PROMISED_DECISION", "STATUTORY_DECISION", "DELIVERY"}
    extension = sum(int(entry.details["extension_days"]) for entry in entries if entry.action == "EXTEND")
    for kind, allowed in (("PROMISED_DECISION", PROMISED), ("STATUTORY_DECISION", STATUTORY)):
        due, used = naive_due(office, entries, allowed)
        clock = clocks[kind]
        late = date.fromisoformat(clock.stop_date) > due
        assert clock.allowed_days == allowed + extension
        assert date.fromisoformat(clock.deadline.due_date) == due
        assert clock.used_days == used
        assert clock.overdue == late
        assert not clock.deadline.provisional
        assert sum(one.days for one in clock.intervals) == used
        assert [one.reason for one in clock.intervals if not one.counted] == [
            "special procedure: testing" for entry in entries if entry.action == "PAUSE"
        ]
        # The stretches follow one another without gap or overlap.
        ends = [one.end_date for one in clock.intervals]
        assert [one.start_date for one in clock.intervals][1:] == ends[:-1]
        assert clock.unit == case_pb2.DAY_UNIT_WORKING_DAY
        assert clock.rule_set == "licence-law-2019"
        assert "行政许可法" in clock.legal_basis
        assert not clock.paused
    delivery = clocks["DELIVERY"]
    granted = next(_day(entry) for entry in entries if entry.action == "GRANT")
    assert delivery.start_date == granted.isoformat()
    assert delivery.deadline.due_date == office.desk.calendar.add_workdays(granted, 10).date.isoformat()


def test_a_running_clock_is_seen_from_today(office: Office) -> None:
    now = datetime.now(UTC)
    case = office.case_at(now - timedelta(days=2), item_code=FOOD)
    assert told_of_draft(office, case) == []
    journey = office.submitted()
    clock = told(office, journey.id)["CORRECTION_NOTICE"]
    assert (clock.start_date, clock.used_days, clock.allowed_days) == (TODAY.isoformat(), 0, 5)
    assert clock.deadline == journey.deadlines.correction_notice
    assert (clock.stop_date, clock.overdue, clock.paused) == ("", False, False)


def told_of_draft(office: Office, case: Filed) -> list[case_pb2.ClockExplanation]:
    return list(office.ask("ExplainClock", by=CITIZEN, case_id=case.id).clocks)


def test_a_clock_that_stands_still_says_so(office: Office) -> None:
    case = office.in_state("SPECIAL_PROCEDURE")
    clock = told(office, case.id)["STATUTORY_DECISION"]
    assert clock.paused
    assert clock.deadline == case.deadlines.statutory_decision
    running = told(office, office.act("ResumeCase", case).id)["STATUTORY_DECISION"]
    assert not running.paused


def test_what_runs_is_what_the_case_shows(office: Office) -> None:
    for state in ("SUBMITTED", "NEED_SUPPLEMENT", "UNDER_REVIEW", "EXTENDED", "GRANTED", "DELIVERED", "WITHDRAWN"):
        case = office.in_state(state)
        running = {kind: clock.deadline for kind, clock in told(office, case.id).items() if not clock.stop_date}
        shown = {field.name.upper(): value for field, value in case.deadlines.ListFields()}
        assert running == shown, state
        next_due = office.row(case.id).next_due
        assert next_due == min((date.fromisoformat(one.due_date) for one in shown.values()), default=None)
