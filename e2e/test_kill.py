"""kill -9 of server, worker and gateway while fifty applicants write: nothing is lost, nothing is doubled."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final
from uuid import uuid4

import httpx
import psutil
import pytest
from sqlmodel import Session, col, select

from e2e.api_cases import Run
from e2e.clients import Client, GrpcClient, HttpClient, Json, Refused
from e2e.eventually import eventually
from e2e.providers.cities import Bus, Database, by_hand, running_city
from e2e.tokens import Tokens
from tulou_approval.models import Case, Notice
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import DeadLetter, InboxEntry, OutboxEvent
from tulou_city import supervise
from tulou_city.health import parts
from tulou_city.layout import HOST, City

APPLICANTS: Final = 50
# Cases that are submitted between one kill and the next.
BETWEEN: Final = 100
PATIENCE_SECONDS: Final = 60
# What may be tried again: nobody said that the request failed.
AGAIN: Final = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


class Applicant(threading.Thread):
    """Files one case after the other. Each request is sent again, under its request_id, until it is acknowledged."""

    def __init__(self, client: Client, tokens: Tokens, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.subject = Run(client, tokens)
        self.over = over
        self.created: dict[str, str] = {}
        self.submitted: dict[str, str] = {}
        self.repeats = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                request_id = str(uuid4())
                case = self.until_acknowledged("CreateCase", request_id, {"case.itemCode": "TST-XK-9999"})
                self.created[request_id] = case["id"]
                case = self.until_acknowledged("SubmitCase", str(uuid4()), {})
                self.submitted[case["id"]] = case["number"]
        except Exception as error:
            self.failure = error

    def until_acknowledged(self, rpc: str, request_id: str, change: Json) -> Json:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer: Json = self.subject.do(rpc, change | {"requestId": request_id})
                return answer["case"]  # type: ignore[no-any-return]
            except (httpx.TransportError, Refused) as error:
                if (isinstance(error, Refused) and error.status not in AGAIN) or time.monotonic() > give_up:
                    raise
            self.repeats += 1
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("database", "bus"), [("sqlite", "in-process"), ("postgresql", "rabbitmq")], ids=["sqlite", "postgresql-rabbitmq"]
)
def test_nothing_is_lost_or_doubled_whichever_process_is_killed(database: Database, bus: Bus) -> None:
    with running_city(database=database, bus=bus) as city, closing(HttpClient(city.url)) as client:
        tokens = Tokens(city)
        Run(client, tokens).prepare(("the licence without materials",))
        with writing(city, tokens) as applicants:
            for process in 2 * ("approval", "worker", "gateway"):
                wait_for_more(applicants)
                kill(city, process)
            wait_for_more(applicants)
        assert sum(one.repeats for one in applicants), "no applicant noticed any of it"
        created = {request_id: case_id for one in applicants for request_id, case_id in one.created.items()}
        submitted = {case_id: number for one in applicants for case_id, number in one.submitted.items()}
        assert len(created) == len(submitted) == len(set(submitted.values()))

        approval = SyncDatabase(city.database_url.format(service="approval"))
        with closing(approval):
            eventually(lambda: approval.read(all_is_done), seconds=PATIENCE_SECONDS)
            approval.read(lambda session: check_tables(session, submitted))
        check_events(client, tokens, submitted)
        check_histories(city, len(submitted))
        assert eventually(lambda: all(part.healthy() for part in parts(city)))
        # A request_id that was acknowledged before the kills is still known.
        oldest = applicants[0]
        request_id, case_id = next(iter(oldest.created.items()))
        body = oldest.subject.body("CreateCase", {"case.itemCode": "TST-XK-9999", "requestId": request_id})
        answer = client.call("CreateCase", body, token=oldest.subject.token("citizen"))
        assert answer["case"]["id"] == case_id
        check_the_city_works(client, tokens)


@contextmanager
def writing(city: City, tokens: Tokens) -> Iterator[list[Applicant]]:
    """Fifty applicants, half over HTTP and half over gRPC, all through the gateway, each with its own connections."""
    over = threading.Event()
    with ExitStack() as stack:
        clients: list[Client] = [
            GrpcClient(f"{HOST}:{city.port}") if number % 2 else HttpClient(city.url) for number in range(APPLICANTS)
        ]
        for client in clients:
            stack.callback(client.close)
        applicants = [Applicant(client, tokens, over) for client in clients]
        stack.callback(over.set)
        for applicant in applicants:
            applicant.start()
        yield applicants
        over.set()
        for applicant in applicants:
            applicant.join(PATIENCE_SECONDS + 30)
            assert not applicant.is_alive()
            assert applicant.failure is None, repr(applicant.failure)


def wait_for_more(applicants: list[Applicant]) -> None:
    before = sum(len(one.submitted) for one in applicants)

    def look() -> bool:
        failures = [one.failure for one in applicants if one.failure]
        if failures:
            raise failures[0]
        return sum(len(one.submitted) for one in applicants) >= before + BETWEEN

    assert eventually(look, seconds=PATIENCE_SECONDS)


def kill(city: City, name: str) -> None:
    """Kills the process with all its children at once, and waits until supervisor has started another."""
    running = supervise.states(city) or {}
    process = psutil.Process(running[name]["pid"])
    for one in [process, *process.children(recursive=True)]:
        one.kill()

    def look() -> bool:
        state = (supervise.states(city) or {})[name]
        return bool(state["statename"] == "RUNNING" and state["pid"] != process.pid)

    assert eventually(look)


def all_is_done(session: Session) -> bool:
    waiting = session.exec(select(OutboxEvent.id).where(col(OutboxEvent.published_at).is_(None)).limit(1)).first()
    submitted = session.exec(select(OutboxEvent.event_id).where(OutboxEvent.type == "CaseSubmitted")).all()
    taken_in = session.exec(select(InboxEntry.event_id)).all()
    return waiting is None and set(submitted) <= set(taken_in)


def check_tables(session: Session, submitted: dict[str, str]) -> None:
    cases = session.exec(select(Case.id, Case.number, Case.state)).all()
    assert {case_id: number for case_id, number, _ in cases} == submitted
    assert {state for _, _, state in cases} == {"SUBMITTED"}
    events = session.exec(select(OutboxEvent.position, OutboxEvent.type, OutboxEvent.subject)).all()
    assert sorted(position or 0 for position, _, _ in events) == list(range(1, len(events) + 1))
    assert sorted(subject for _, type_, subject in events if type_ == "CaseSubmitted") == sorted(submitted)
    notices = Counter(session.exec(select(Notice.case_id)).all())
    assert notices == dict.fromkeys(submitted, 1)
    assert session.exec(select(DeadLetter.id)).all() == []


def check_events(client: Client, tokens: Tokens, submitted: dict[str, str]) -> None:
    subjects = []
    request = {"types": ["CaseSubmitted"]}
    with closing(client.watch(request, token=Run(client, tokens).token("partner"))) as stream:
        for event in stream:
            subjects.append(event["subject"])
            if len(subjects) == len(submitted):
                break
    assert sorted(subjects) == sorted(submitted)


def check_histories(city: City, cases: int) -> None:
    done = by_hand(city, "approval", "audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the histories of {cases} cases are as they were written" in done.stdout


def check_the_city_works(client: Client, tokens: Tokens) -> None:
    run = Run(client, tokens)
    run.prepare(("a case under review",))
    assert run.do("GrantCase")["case"]["state"] == "CASE_STATE_GRANTED"
    assert eventually(lambda: len(run.do("ListNotices")["notices"]) == 3)
