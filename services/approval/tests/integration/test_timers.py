"""What the passing of time does: acceptance by silence on the right day, deadlines afresh when a calendar is loaded."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from services.approval.tests.integration.test_writes import at_once
from services.approval.tests.office import (
    CITIZEN,
    CLERK,
    FOOD,
    ON_THE_SPOT,
    PDF,
    Filed,
    Office,
)
from tulou.approval.v1 import events_pb2
from tulou_approval.domain.cases import CorrectionEntry
from tulou_approval.models import CaseDocument
from tulou_approval.operations import cases, handling, materials, timers
from tulou_approval.operations.acts import TIMER, Desk, civil_date
from tulou_chassis.events import envelope
from tulou_chassis.tables import HistoryRecord, OutboxEvent
from tulou_civics.calendar import WorkCalendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
# A made-up year, for the real one is not published: the day after the New Year's weekend is off.
CALENDAR_2027 = {
    "years": {
        "2027": {
            "source": "MADE UP FOR TESTS",
            "holidays": ["2027-01-01", "2027-01-04", "2027-02-08", "2027-02-09", "2027-10-01"],
            "workdays": [],
        }
    }
}


def at(day: str, hour: int = 10, minute: int = 0, second: int = 0) -> datetime:
    """An instant by the clocks of Shanghai."""
    return datetime.fromisoformat(day).replace(hour=hour, minute=minute, second=second, tzinfo=SHANGHAI).astimezone(UTC)


def submitted(office: Office, day: str, **changes: str) -> Filed:
    """A case handed in on that day."""
    case = office.case_at(at(day), item_code=ON_THE_SPOT, **changes)
    return case.act(cases.submit_case, at(day), CITIZEN)


def run(office: Office, case: Filed, now: datetime, desk: Desk | None = None) -> bool:
    """Runs the timer's act on one case."""
    return office.database.write(
        lambda session: timers.deem_accepted(session, desk=desk or office.desk, case_id=case.id, now=now)
    )


def overdue(office: Office, now: datetime) -> set[str]:
    return set(office.database.read(lambda session: timers.cases_overdue_for_notice(session, now=now)))


def steps(office: Office, case: Filed) -> list[HistoryRecord]:
    return list(
        office.database.read(
            lambda session: session.exec(
                select(HistoryRecord).where(HistoryRecord.aggregate == case.id).order_by(HistoryRecord.sequence)  # type: ignore[arg-type]
            ).all()
        )
    )


def events(office: Office, case: Filed) -> list[OutboxEvent]:
    return list(
        office.database.read(
            lambda session: session.exec(
                select(OutboxEvent).where(OutboxEvent.subject == case.id).order_by(OutboxEvent.id)  # type: ignore[arg-type]
            ).all()
        )
    )


# Handed in on Friday the 13th of February 2026. The Spring Festival is off from Sunday the 15th to the 23rd, Saturday
# the 14th and the 28th are worked: the fifth working day is Friday the 27th.
HANDED_IN, LAST_DAY, NEXT_DAY = "2026-02-13", "2026-02-27", "2026-02-28"


@pytest.mark.parametrize("pre_review", [False, True])
def test_silence_accepts_after_the_end_of_the_fifth_day(office: Office, pre_review: bool) -> None:
    case = submitted(office, HANDED_IN)
    if pre_review:
        case.act(handling.start_pre_review, at(HANDED_IN, 11), CLERK)
    assert case.row.next_due == date(2026, 2, 27)
    last = at(LAST_DAY, 23, 59, 59)
    assert case.id not in overdue(office, last)
    assert not run(office, case, last)
    assert case.row.state == ("PRE_REVIEW" if pre_review else "SUBMITTED")
    next_instant = at(NEXT_DAY, 0, 0, 0)
    assert case.id in overdue(office, next_instant)
    assert run(office, case, next_instant)
    row = case.row
    assert row.state == "ACCEPTED"
    assert row.acceptance is not None
    assert (row.acceptance["deemed"], row.acceptance["accept_date"]) == (True, HANDED_IN)
    assert not run(office, case, next_instant + timedelta(minutes=1))


def test_the_time_to_decide_runs_from_the_day_the_material_came(office: Office) -> None:
    case = submitted(office, HANDED_IN, title="视为受理")
    run(office, case, at("2026-03-02"))
    shown = office.case(case.id)
    assert shown.acceptance.deemed
    assert shown.acceptance.accept_date == HANDED_IN
    # Twenty working days after 13 February, and nothing else of it on the day the timer came by.
    calendar = office.desk.calendar
    assert shown.deadlines.statutory_decision.due_date == calendar.add_workdays(date(2026, 2, 13), 20).date.isoformat()
    clocks = office.ask("ExplainClock", by=CLERK, case_id=case.id).clocks
    assert {clock.start_date for clock in clocks} == {HANDED_IN}


def test_it_is_written_down_told_and_documented(office: Office) -> None:
    case = submitted(office, HANDED_IN)
    run(office, case, at(NEXT_DAY, 0, 1))
    last = steps(office, case)[-1]
    assert (last.action, last.actor, last.organisation) == ("DEEM_ACCEPTED", TIMER.subject, "")
    assert json.loads(last.details)["accept_date"] == HANDED_IN
    assert office.breaks(case.id) == []
    payload = events_pb2.CaseAccepted()
    told = events(office, case)[-1]
    assert envelope(told, source="approval").data.Unpack(payload)
    assert (payload.deemed, payload.accept_date) == (True, HANDED_IN)
    documents = office.database.read(
        lambda session: session.exec(select(CaseDocument).where(CaseDocument.case_id == case.id)).all()
    )
    [notice] = [one for one in documents if one.kind == "ACCEPTANCE"]
    assert "逾期未告知补正，依法自收到申请材料之日起即为受理" in notice.text
    assert f"自{HANDED_IN}起" in notice.text
    assert notice.issue_date == date(2026, 2, 28)


def test_after_a_correction_the_five_days_begin_afresh(office: Office) -> None:
    case = submitted(office, "2026-03-02")
    entries = [CorrectionEntry("", "shop", "与营业执照一致")]
    case.act(handling.request_correction, at("2026-03-09", 23, 59, 59), CLERK, entries=entries)
    # The organ has spoken; now it waits, and no silence accepts.
    assert case.id not in overdue(office, at("2026-04-30"))
    assert not run(office, case, at("2026-04-30"))
    case.act(cases.resubmit_case, at("2026-05-06"), CITIZEN)
    # Saturday the 9th is worked: 7, 8, 9, 11, 12 May.
    assert case.row.next_due == date(2026, 5, 12)
    assert not run(office, case, at("2026-05-12", 23, 59, 59))
    assert run(office, case, at("2026-05-13", 0, 0, 0))
    assert case.row.acceptance is not None
    assert case.row.acceptance["accept_date"] == "2026-05-06"


def test_who_has_answered_in_time_is_left_alone(office: Office) -> None:
    accepted = submitted(office, HANDED_IN).act(handling.accept_case, at(LAST_DAY, 23, 59, 59), CLERK)
    withdrawn = submitted(office, HANDED_IN).act(cases.withdraw_case, at(LAST_DAY), CITIZEN, reason="")
    late = at("2026-04-01")
    for case in (accepted, withdrawn):
        assert case.id not in overdue(office, late)
        assert not run(office, case, late)
    assert accepted.row.acceptance is not None
    assert not accepted.row.acceptance["deemed"]


# A notice whose fifth day lies beyond the year that is known.
BEFORE_NEW_YEAR = "2026-12-29"


def test_what_is_provisional_is_not_accepted_by_silence(office: Office, desk_2027: Desk) -> None:
    case = submitted(office, BEFORE_NEW_YEAR)
    row = case.row
    assert row.next_due == date(2027, 1, 6)
    assert row.deadlines["CORRECTION_NOTICE"] == ["2027-01-06", True]
    assert office.case(case.id).deadlines.correction_notice.provisional
    for day in ("2027-01-07", "2027-03-01"):
        assert not run(office, case, at(day))
    # With the calendar it is known: 4 January turned out to be off, so the fifth day is the 7th.
    assert not run(office, case, at("2027-01-07", 23, 59, 59), desk_2027)
    assert run(office, case, at("2027-01-08", 0, 0, 0), desk_2027)


@pytest.fixture
def desk_2027(office: Office, tmp_path: Path) -> Desk:
    """The desk after the made-up calendar of 2027 was loaded."""
    path = tmp_path / "calendar-2027.json"
    path.write_text(json.dumps(CALENDAR_2027))
    return replace(office.desk, calendar=WorkCalendar.load([path]))


def of_other_calendars(office: Office, desk: Desk) -> set[str]:
    return set(office.database.read(lambda session: timers.cases_of_other_calendars(session, desk=desk)))


def recompute(office: Office, case: Filed, desk: Desk, now: datetime) -> bool:
    return office.database.write(
        lambda session: timers.recompute_deadlines(session, desk=desk, case_id=case.id, now=now)
    )


def accepted(office: Office, day: str) -> Filed:
    """A case of the item with 8 promised and 20 statutory days, accepted on that day."""
    case = office.case_at(at(day, 9), item_code=FOOD)

    def upload(session: object, **_: object) -> None:
        materials.add_material(
            session,  # type: ignore[arg-type]
            desk=office.desk,
            principal=CITIZEN.principal,
            case_id=case.id,
            material_code="M01",
            filename="a.pdf",
            media_type="application/pdf",
            size=len(PDF),
            sha256="0" * 64,
            now=at(day, 9),
        )

    office.database.write(upload)
    case.act(cases.submit_case, at(day, 9), CITIZEN)
    return case.act(handling.accept_case, at(day, 10), CLERK)


def test_a_new_calendar_moves_what_reaches_into_its_year(office: Office, desk_2027: Desk) -> None:
    case = accepted(office, "2026-12-21")
    before = case.row.deadlines
    assert before["PROMISED_DECISION"] == ["2026-12-31", False]
    assert before["STATUTORY_DECISION"] == ["2027-01-19", True]
    assert of_other_calendars(office, office.desk).isdisjoint({case.id})
    assert case.id in of_other_calendars(office, desk_2027)
    now = at("2026-12-22")
    assert recompute(office, case, desk_2027, now)
    row = case.row
    assert row.deadlines == {"PROMISED_DECISION": ["2026-12-31", False], "STATUTORY_DECISION": ["2027-01-20", False]}
    assert row.calendar_version == desk_2027.calendar.version
    assert row.updated_at == now
    last = steps(office, case)[-1]
    assert (last.action, last.actor) == ("RECOMPUTE", "timer")
    details = json.loads(last.details)
    assert details["deadlines_before"] == before
    assert details["deadlines"] == row.deadlines
    assert office.breaks(case.id) == []
    told = events(office, case)[-1]
    assert told.type == "CaseDeadlinesRecomputed"
    # And it is done once.
    assert case.id not in of_other_calendars(office, desk_2027)


def test_a_new_calendar_leaves_what_it_does_not_touch(office: Office, desk_2027: Desk) -> None:
    case = accepted(office, "2026-03-02")
    before, history, published = case.row, len(steps(office, case)), len(events(office, case))
    assert case.id in of_other_calendars(office, desk_2027)
    assert not recompute(office, case, desk_2027, at("2026-03-03"))
    assert case.row.deadlines == before.deadlines
    assert case.row.updated_at == before.updated_at
    assert (len(steps(office, case)), len(events(office, case))) == (history, published)
    assert case.id not in of_other_calendars(office, desk_2027)


def test_a_provisional_day_that_turns_out_right_is_provisional_no_more(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "calendar.json"
    plain = {
        "years": {"2027": {"source": "MADE UP FOR TESTS", "holidays": ["2027-01-01", "2027-10-01"], "workdays": []}}
    }
    path.write_text(json.dumps(plain))
    desk = replace(office.desk, calendar=WorkCalendar.load([path]))
    case = accepted(office, "2026-12-21")
    assert recompute(office, case, desk, at("2026-12-22"))
    assert case.row.deadlines["STATUTORY_DECISION"] == ["2027-01-19", False]
    assert steps(office, case)[-1].action == "RECOMPUTE"


def test_what_has_ended_is_not_computed_again(office: Office, desk_2027: Desk) -> None:
    draft = office.case_at(at("2026-12-21"))
    withdrawn = submitted(office, "2026-12-21").act(cases.withdraw_case, at("2026-12-22"), CITIZEN, reason="")
    declined = submitted(office, "2026-12-21").act(
        handling.decline_case, at("2026-12-22"), CLERK, reason="不属于", licence_not_needed=True, competent_organ=""
    )
    assert of_other_calendars(office, desk_2027).isdisjoint({draft.id, withdrawn.id, declined.id})


def test_a_local_closure_moves_the_cases_of_its_region_only(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "typhoon.json"
    closure = {"overrides": {"2026-03-04": {"working": False, "region": "350602", "reason": "MADE UP FOR TESTS"}}}
    path.write_text(json.dumps(closure))
    desk = replace(office.desk, calendar=WorkCalendar.load([path]))
    here = submitted(office, "2026-03-02", region_code="350602001")
    there = submitted(office, "2026-03-02", region_code="350603")
    assert recompute(office, here, desk, at("2026-03-03"))
    assert not recompute(office, there, desk, at("2026-03-03"))
    assert (here.row.next_due, there.row.next_due) == (date(2026, 3, 10), date(2026, 3, 9))


def test_acts_of_people_and_of_the_timer_meet_without_loss(office: Office) -> None:
    case = submitted(office, HANDED_IN)
    etag = office.case(case.id).etag

    def act(number: int) -> str:
        if number % 2:
            return str(run(office, case, at(NEXT_DAY)))
        office.ask("AcceptCase", by=CLERK, case_id=case.id, etag=etag)
        return "accepted"

    at_once(6, act)
    acceptances = [one.action for one in steps(office, case) if one.action in {"ACCEPT", "DEEM_ACCEPTED"}]
    assert len(acceptances) == 1
    assert office.breaks(case.id) == []


def test_the_civil_day_is_shanghais() -> None:
    assert civil_date(datetime(2026, 2, 27, 15, 59, 59, tzinfo=UTC)) == date(2026, 2, 27)
    assert civil_date(datetime(2026, 2, 27, 16, 0, 0, tzinfo=UTC)) == date(2026, 2, 28)
