"""Anyone who knows number and last four characters sees how a case stands, and nobody finds them out by trying."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from sqlmodel import select

from services.approval.tests.integration.test_writes import at_once
from services.approval.tests.office import (
    COMPANY,
    COMPANY_NUMBER,
    ON_THE_SPOT,
    PERSON_NUMBER,
    Office,
    Refused,
)
from tulou.approval.v1 import case_pb2
from tulou_approval.models import Case, TrackingLock
from tulou_approval.operations import tracking
from tulou_approval.operations.acts import civil_date

TAIL = PERSON_NUMBER[-4:]
UNKNOWN = "35060220261122999995"
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def track(office: Office, number: str, tail: str, now: datetime) -> str:
    """What a try at that instant ends in: "found", or the name of the refusal."""

    def operation(session: object) -> str:
        found = tracking.track_case(session, desk=office.desk, number=number, identity_tail=tail, now=now)  # type: ignore[arg-type]
        return "found" if isinstance(found, Case) else type(found).__name__

    return office.database.write(operation)


def test_a_case_is_found_by_number_and_tail(office: Office) -> None:
    case = office.in_state("PRE_REVIEW", item_code=ON_THE_SPOT)
    told = office.ask("TrackCase", number=case.number, identity_tail=TAIL)
    today = civil_date(datetime.now(UTC)).isoformat()
    assert told.number == case.number
    assert told.item_name == case.item_name
    assert told.state == case_pb2.CASE_STATE_PRE_REVIEW
    assert told.submit_date == today
    assert told.next_deadline == case.deadlines.correction_notice
    assert [(step.state, step.date) for step in told.steps] == [
        (case_pb2.CASE_STATE_SUBMITTED, today),
        (case_pb2.CASE_STATE_PRE_REVIEW, today),
    ]


def test_nothing_about_the_person_is_told(office: Office) -> None:
    case = office.submitted(item_code=ON_THE_SPOT)
    told = str(office.ask("TrackCase", number=case.number, identity_tail=TAIL))
    for secret in ("陈", "138", "350602199", "citizen-1", "老街"):
        assert secret not in told


def test_a_closed_case_has_no_next_deadline(office: Office) -> None:
    case = office.act("WithdrawCase", office.submitted(item_code=ON_THE_SPOT))
    told = office.ask("TrackCase", number=case.number, identity_tail=TAIL)
    assert not told.HasField("next_deadline")


def test_a_letter_may_be_written_small(office: Office) -> None:
    applicant = {"subject_type": "SUBJECT_TYPE_ORGANISATION", "identity_number": COMPANY_NUMBER}
    case = office.submitted(COMPANY, item_code=ON_THE_SPOT, applicant=applicant)
    for tail in (COMPANY_NUMBER[-4:], COMPANY_NUMBER[-4:].lower()):
        assert office.ask("TrackCase", number=case.number, identity_tail=tail).number == case.number


@pytest.mark.parametrize(
    ("number", "tail", "field"),
    [
        ("1", TAIL, "number"),
        ("x" * 20, TAIL, "number"),
        (UNKNOWN, "123", "identity_tail"),
        (UNKNOWN, "12345", "identity_tail"),
        (UNKNOWN, "1 23", "identity_tail"),
        (UNKNOWN, "%___", "identity_tail"),
    ],
)
def test_what_cannot_be_right_is_refused_unlooked(office: Office, number: str, tail: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        office.ask("TrackCase", number=number, identity_tail=tail)
    assert refused.value.fields == {field: "pattern"}


def test_wrong_number_and_wrong_tail_are_answered_alike(office: Office) -> None:
    case = office.submitted(item_code=ON_THE_SPOT)
    answers = []
    for number, tail in ((case.number, "0000"), (UNKNOWN, TAIL)):
        with pytest.raises(Refused) as refused:
            office.ask("TrackCase", number=number, identity_tail=tail)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, "TRACKING_NOT_FOUND")
        answers.append((refused.value.message, refused.value.local.message, refused.value.metadata))
    assert answers[0] == answers[1]


def test_five_wrong_tries_lock_a_number_whether_it_exists_or_not(office: Office) -> None:
    case = office.submitted(item_code=ON_THE_SPOT)
    for number in (case.number, "35060220261122888884"):
        for _ in range(5):
            with pytest.raises(Refused, match="TRACKING_NOT_FOUND"):
                office.ask("TrackCase", number=number, identity_tail="0000")
        with pytest.raises(Refused) as refused:
            office.ask("TrackCase", number=number, identity_tail=TAIL)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TRACKING_LOCKED")
        assert 3500 < int(refused.value.metadata["retry_after_seconds"]) <= 3601
    other = office.submitted(item_code=ON_THE_SPOT)
    assert office.ask("TrackCase", number=other.number, identity_tail=TAIL).number == other.number


def test_tries_at_once_are_counted_one_by_one(office: Office) -> None:
    case = office.submitted(item_code=ON_THE_SPOT)
    answers = at_once(20, lambda n: office.ask("TrackCase", number=case.number, identity_tail=f"{n:04d}"))
    reasons = [answer.reason for answer in answers]
    assert sorted(set(reasons)) == ["TRACKING_LOCKED", "TRACKING_NOT_FOUND"]
    assert reasons.count("TRACKING_NOT_FOUND") == 5


def test_a_lock_lasts_an_hour_from_the_last_wrong_try(office: Office) -> None:
    number = office.submitted(item_code=ON_THE_SPOT).number
    assert track(office, number, TAIL, NOW) == "found"
    # The tries come at the end of the first hour; the lock they bring is as long as any.
    last = NOW + timedelta(minutes=59)
    for _ in range(5):
        assert track(office, number, "0000", last) == "TrackingNotFound"
    assert track(office, number, TAIL, last + timedelta(minutes=59, seconds=59)) == "TrackingLocked"
    assert track(office, number, TAIL, last + timedelta(hours=1)) == "found"


def test_wrong_tries_are_forgotten_after_an_hour(office: Office) -> None:
    number = office.submitted(item_code=ON_THE_SPOT).number
    for minutes in (0, 1, 2, 3):
        assert track(office, number, "0000", NOW + timedelta(minutes=minutes)) == "TrackingNotFound"
    later = NOW + timedelta(minutes=61)
    for _ in range(5):
        assert track(office, number, "0000", later) == "TrackingNotFound"
    assert track(office, number, TAIL, later) == "TrackingLocked"


def test_a_right_try_takes_nothing_away(office: Office) -> None:
    number = office.submitted(item_code=ON_THE_SPOT).number
    for _ in range(4):
        assert track(office, number, "0000", NOW) == "TrackingNotFound"
    assert track(office, number, TAIL, NOW) == "found"
    assert track(office, number, "0000", NOW) == "TrackingNotFound"
    assert track(office, number, TAIL, NOW) == "TrackingLocked"


def test_tries_that_no_longer_count_are_forgotten_and_others_are_not(office: Office) -> None:
    old, new = (office.submitted(item_code=ON_THE_SPOT).number for _ in range(2))
    later = NOW + timedelta(days=400)
    track(office, old, "0000", later)
    for _ in range(5):
        track(office, new, "0000", later + timedelta(minutes=30))
    forgotten = office.database.write(lambda session: tracking.forget_tries(session, now=later + timedelta(hours=1)))
    assert forgotten >= 1
    assert track(office, new, TAIL, later + timedelta(hours=1)) == "TrackingLocked"
    kept = office.database.read(lambda session: session.exec(select(TrackingLock.window_start)).all())
    assert min(kept) > later


def test_the_numbers_tried_are_not_kept_in_clear(office: Office) -> None:
    with pytest.raises(Refused):
        office.ask("TrackCase", number=UNKNOWN, identity_tail=TAIL)
    kept = office.database.read(lambda session: session.exec(select(TrackingLock.number_index)).all())
    assert kept
    assert not any(UNKNOWN in index for index in kept)
