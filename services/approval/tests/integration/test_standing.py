"""What a change of the applicant's standing does to the cases that run: at once, and by event through a worker."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session, SQLModel, select

from e2e.providers.servers import vhost
from services.approval.tests.credit_platform import RECORD, SUBJECT, changed, publication
from services.approval.tests.office import (
    APPROVER,
    CITIZEN,
    CLERK,
    ISSUER,
    Filed,
    Office,
    environment,
    item,
    opened,
)
from tulou.approval.v1 import case_pb2, events_pb2
from tulou.credit.v1 import measure_pb2
from tulou_approval.commands import migrate
from tulou_approval.domain.credit import CreditCheck, Measure, Outcome
from tulou_approval.operations import cases, credit, decisions, handling
from tulou_approval.operations import items as catalogue
from tulou_approval.settings import ApprovalSettings
from tulou_chassis import tables
from tulou_chassis.events import emit, envelope
from tulou_chassis.keyring import create_keyring
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import HistoryRecord, OutboxEvent

QUICK = "SCJG-XK-9004"
ROOT = Path(__file__).parents[4]
PATIENCE = 90.0
OTHER = "11111111-5b5f-4c0e-9d5e-1f3f6f0f7a01"
FAST = Measure(code="FAST_LANE", kind="INCENTIVE", name="简化办理", name_en="fast", legal_basis="法")
CHASSIS_TABLES = [
    kind.__table__  # type: ignore[attr-defined]
    for kind in vars(tables).values()
    if isinstance(kind, type) and issubclass(kind, SQLModel) and kind is not SQLModel
]


def at(day: str) -> datetime:
    """Ten o'clock in Shanghai."""
    return datetime.fromisoformat(day).replace(hour=10, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)


def seed(office: Office) -> None:
    quick = item(QUICK, simplified_days=4, substantive_check=False, materials=[])
    office.database.write(lambda session: catalogue.seed(session, departments=[], items=[quick], now=datetime.now(UTC)))


@pytest.fixture(scope="module")
def office(settings: ApprovalSettings, issuer: Path) -> Iterator[Office]:
    """The running service with an item that has simplified handling."""
    with opened(settings, issuer) as office:
        seed(office)
        yield office


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> None:
    """Cases of the tests before do not run any more."""
    if "office" in request.fixturenames:
        running: Office = request.getfixturevalue("office")
        for statement in ("UPDATE case_file SET credit_subject_id = ''", "DELETE FROM applicant_standing"):
            running.database.write(
                lambda session, statement=statement: session.connection().exec_driver_sql(statement)  # type: ignore[misc]
            )


def accepted(office: Office, day: str, *, subject: str = SUBJECT, measures: tuple[Measure, ...] = (FAST,)) -> Filed:
    """A case accepted on that day; simplified unless no measure applies."""
    case = office.case_at(at(day), item_code=QUICK).act(cases.submit_case, at(day), CITIZEN)
    found = CreditCheck(outcome=Outcome.APPLIED, subject_id=subject, standing="GOOD", measures=measures)
    return case.act(handling.accept_case, at(day), CLERK, credit=found)


def follow(office: Office, standing: str, day: str, *, record_id: str = RECORD) -> list[str]:
    """The subject's standing changes on that day; gives the cases that were turned."""
    return list(
        office.database.write(
            lambda session: credit.follow_standing(
                session, desk=office.desk, subject_id=SUBJECT, standing=standing, record_id=record_id, now=at(day)
            )
        )
    )


def promised(case: Filed) -> str:
    return str(case.row.deadlines["PROMISED_DECISION"][0])


def last_step(office: Office, case: Filed) -> HistoryRecord:
    query = select(HistoryRecord).where(HistoryRecord.aggregate == case.id)
    return max(office.database.read(lambda session: session.exec(query).all()), key=lambda step: step.sequence)


def last_event(office: Office, case: Filed) -> events_pb2.CaseHandlingChanged:
    rows = office.database.read(
        lambda session: session.exec(select(OutboxEvent).where(OutboxEvent.subject == case.id)).all()
    )
    payload = events_pb2.CaseHandlingChanged()
    assert envelope(max(rows, key=lambda row: row.id or 0), source="approval").data.Unpack(payload)
    return payload


def test_a_listing_turns_running_cases_to_the_ordinary_promise(office: Office) -> None:
    case = accepted(office, "2026-03-02")
    # Four working days after Monday the 2nd, eight in the ordinary way.
    assert promised(case) == "2026-03-06"
    version = case.row.version
    assert follow(office, "SERIOUS", "2026-03-04") == [case.id]
    row = case.row
    assert (row.handling, row.turned_ordinary_by, promised(case)) == ("ORDINARY", RECORD, "2026-03-12")
    assert row.next_due == date(2026, 3, 12)
    # Who read the case before has read an older one.
    assert row.version == version + 1
    step = last_step(office, case)
    details = json.loads(step.details)
    assert (step.action, step.actor, details["record_id"]) == ("TURN_ORDINARY", "credit", RECORD)
    assert (details["deadlines_before"]["PROMISED_DECISION"][0], details["handling"]) == ("2026-03-06", "ORDINARY")
    event = last_event(office, case)
    assert (event.handling, event.reason) == (
        case_pb2.CASE_HANDLING_ORDINARY,
        events_pb2.HANDLING_CHANGE_REASON_LISTED,
    )
    assert office.breaks(case.id) == []
    assert office.case(case.id).turned_ordinary_by == RECORD
    assert office.case(case.id, CITIZEN).turned_ordinary_by == ""


def test_the_end_of_the_listing_turns_them_back(office: Office) -> None:
    case = accepted(office, "2026-03-02")
    follow(office, "SERIOUS", "2026-03-03")
    assert follow(office, "GOOD", "2026-03-04") == [case.id]
    row = case.row
    assert (row.handling, row.turned_ordinary_by, promised(case)) == ("SIMPLIFIED", "", "2026-03-06")
    event = last_event(office, case)
    assert (event.handling, event.reason) == (
        case_pb2.CASE_HANDLING_SIMPLIFIED,
        events_pb2.HANDLING_CHANGE_REASON_RESTORED,
    )
    assert office.breaks(case.id) == []


def test_a_promise_whose_time_is_over_is_not_made_again(office: Office) -> None:
    on_time, late = accepted(office, "2026-03-03"), accepted(office, "2026-03-02")
    follow(office, "SERIOUS", "2026-03-03")
    before = late.row
    # The last day of the one, a working day after the last of the other.
    assert follow(office, "GOOD", "2026-03-09") == [on_time.id]
    assert promised(on_time) == "2026-03-09"
    assert late.row == before


def test_what_was_ordinary_from_the_start_stays_so(office: Office) -> None:
    case = accepted(office, "2026-03-02", measures=())
    before = case.row
    assert follow(office, "SERIOUS", "2026-03-03") == []
    assert follow(office, "GOOD", "2026-03-04") == []
    assert case.row == before


@pytest.mark.parametrize("standing", ["BAD", "NONE", "UNSPECIFIED"])
def test_only_the_list_turns_and_only_good_standing_turns_back(office: Office, standing: str) -> None:
    case = accepted(office, "2026-03-02")
    assert follow(office, standing, "2026-03-03") == []
    follow(office, "SERIOUS", "2026-03-03")
    assert follow(office, standing, "2026-03-04") == []
    assert case.row.handling == "ORDINARY"


def test_cases_of_others_and_cases_that_are_decided_are_left_alone(office: Office) -> None:
    other = accepted(office, "2026-03-02", subject=OTHER)
    unknown = accepted(office, "2026-03-02", subject="")
    decided = accepted(office, "2026-03-02")
    decided.act(handling.start_review, at("2026-03-02"), APPROVER, reviewers=["甲", "乙"])
    decided.act(decisions.grant_case, at("2026-03-03"), APPROVER, opinion="符合条件")
    withdrawn = accepted(office, "2026-03-02").act(cases.withdraw_case, at("2026-03-03"), CITIZEN, reason="")
    assert follow(office, "SERIOUS", "2026-03-04") == []
    assert {case.row.handling for case in (other, unknown, decided, withdrawn)} == {"SIMPLIFIED"}


def test_all_running_cases_turn_whatever_happens_to_them_just_now(office: Office) -> None:
    under_review = accepted(office, "2026-03-02").act(
        handling.start_review, at("2026-03-02"), APPROVER, reviewers=["甲", "乙"]
    )
    paused = accepted(office, "2026-03-02").act(
        handling.start_review, at("2026-03-02"), APPROVER, reviewers=["甲", "乙"]
    )
    paused.act(
        handling.pause_case,
        at("2026-03-03"),
        APPROVER,
        ground=handling.PauseGround.EXPERT_REVIEW,
        notice_number="1",
        planned_days=5,
        reason="专家评审",
    )
    assert set(follow(office, "SERIOUS", "2026-03-04")) == {under_review.id, paused.id}
    # Three working days were left of four; with eight there are seven, after a pause of five.
    assert promised(paused) == "2026-03-19"


def test_a_second_listing_changes_nothing_more(office: Office) -> None:
    case = accepted(office, "2026-03-02")
    follow(office, "SERIOUS", "2026-03-03")
    before = case.row
    assert follow(office, "SERIOUS", "2026-03-04", record_id=OTHER) == []
    assert case.row == before


@contextmanager
def working(variables: dict[str, str], log: Path) -> Iterator[None]:
    """A worker process with approval's worker and the stand-in's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    named = ["tulou_approval.consumers:Worker", "services.approval.tests.credit_worker:Worker"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from tulou_chassis.worker import run; run(*{named!r})"],
            env=variables | {"TULOU_METRICS_ADDRESS": address, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=output,
            cwd=ROOT,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def wait(condition: Callable[[], Any], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain\n{log.read_text()[-4000:]}")
        time.sleep(0.05)


@pytest.mark.parametrize("bus", ["local", "rabbitmq"])
def test_a_listing_reaches_the_case_and_its_applicant_by_event_and_so_does_its_end(
    request: pytest.FixtureRequest, issuer: Path, tmp_path: Path, bus: str
) -> None:
    create_keyring(tmp_path / "keyring.json")
    settings = ApprovalSettings(
        database_url=f"sqlite:///{tmp_path}/{{service}}.db",
        oidc_issuer=ISSUER,
        oidc_jwks=str(issuer / "jwks.json"),
        keyring_file=tmp_path / "keyring.json",
        blob_dir=tmp_path / "blobs",
    )
    migrate(settings)
    platform = SyncDatabase(settings.database_for("credit"), publisher=publication)
    SQLModel.metadata.create_all(platform.engine, CHASSIS_TABLES)
    with platform.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version AS SELECT 'of the stand-in' AS version_num")
    log = tmp_path / "worker.log"
    with closing(platform), opened(settings, issuer) as office, ExitStack() as stack:
        seed(office)
        today = datetime.now(UTC).date().isoformat()
        case = accepted(office, today)
        variables = environment(settings)
        if bus == "rabbitmq":
            variables["TULOU_AMQP_URI"] = stack.enter_context(vhost(request.getfixturevalue("amqp_admin")))
        stack.enter_context(working(variables, log))
        for standing, expected in (("SERIOUS", "ORDINARY"), ("GOOD", "SIMPLIFIED")):
            event = changed(measure_pb2.Standing.Value(f"STANDING_{standing}"))
            platform.write(lambda session, event=event: emit(session, event))  # type: ignore[misc]
            wait(lambda expected=expected: case.row.handling == expected, log)  # type: ignore[misc]

        def notices() -> list[str]:
            return [one.text for one in office.ask("ListNotices", by=CITIZEN).notices]

        wait(lambda: len([text for text in notices() if "信用" in text]) == 2, log)
        assert "信用已恢复" in notices()[0]
        assert "转为一般办理" in notices()[1]


def test_a_listing_told_between_the_check_and_the_acceptance_counts(office: Office) -> None:
    follow(office, "SERIOUS", "2026-03-02")
    case = accepted(office, "2026-03-02")
    assert (case.row.handling, case.row.turned_ordinary_by) == ("ORDINARY", RECORD)
    assert case.row.promised_days == 8
    assert follow(office, "GOOD", "2026-03-03") == [case.id]
    assert (case.row.handling, case.row.promised_days) == ("SIMPLIFIED", 4)
    assert accepted(office, "2026-03-03").row.handling == "SIMPLIFIED"


def test_a_listing_told_while_a_case_is_being_accepted_waits_for_it(office: Office) -> None:
    case = office.case_at(at("2026-03-04"), item_code=QUICK).act(cases.submit_case, at("2026-03-04"), CITIZEN)
    found = CreditCheck(outcome=Outcome.APPLIED, subject_id=SUBJECT, standing="GOOD", measures=(FAST,))
    turned: list[str] = []
    version = case.row.version
    follower = threading.Thread(target=lambda: turned.extend(follow(office, "SERIOUS", "2026-03-04")))

    def accept(session: Session) -> None:
        row = handling.accept_case(
            session,
            desk=office.desk,
            principal=CLERK.principal,
            case_id=case.id,
            etag=f"v{version}",
            now=at("2026-03-04"),
            credit=found,
        )
        assert row.handling == "SIMPLIFIED"
        follower.start()
        # It does not get past the acceptance that is under way.
        follower.join(0.5)
        assert follower.is_alive()

    office.database.write(accept)
    follower.join(10)
    assert turned == [case.id]
    assert case.row.handling == "ORDINARY"
