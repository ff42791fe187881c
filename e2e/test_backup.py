"""A city that lost both databases, its broker and its files is restored from its backup: events are neither lost nor
doubled, and what the services tell of each other agrees."""

import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlmodel import col, select

from e2e.api_cases import PDF, Run
from e2e.clients import Client, HttpClient
from e2e.eventually import eventually
from e2e.providers import packages, servers
from e2e.providers.cities import run_city, running_city
from e2e.providers.kinds import Unavailable
from e2e.providers.servers import lacking, server
from e2e.test_kill import Applicant
from e2e.tokens import Tokens
from tulou_approval.convert.cases import NOTIFIED
from tulou_approval.models import ApplicantStanding, Case, CaseDocument, Notice, PublishedGrant
from tulou_chassis import outbox
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import DeadLetter, HistoryRecord, Lease, OutboxEvent
from tulou_city import supervise
from tulou_city.layout import ROOT, City
from tulou_credit.models import Record, RecordVersion, Subject

# In the order of the documented commands: who calls another stands before it.
SERVICES: Final = ("approval", "credit")
APPLICANTS: Final = 2
HOUSEHOLDS: Final = 2
# A handler that waited for the locked inbox tries again a while later.
EFFECTS_SECONDS: Final = 120
LISTED: Final = {"reason": "拒不履行处罚决定", "legal_basis": "《市场监督管理严重违法失信名单管理办法》第十二条"}


class Household(threading.Thread):
    """Firm after firm gets a licence, which credit takes in, and is listed, which turns its other case in approval."""

    def __init__(self, client: Client, tokens: Tokens, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client, self.tokens, self.over = client, tokens, over
        # Document numbers of grants by case.
        self.granted: dict[str, str] = {}
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                firm = Run(self.client, self.tokens)
                firm.prepare(
                    ("an item that may be simplified", "an honour", "an accepted case of the firm", "StartReview")
                )
                case = firm.do("GrantCase")["case"]
                self.granted[case["id"]] = case["decision"]["documentNumber"]
                firm.prepare(("an accepted case of the firm",))
                content = LISTED | {"listed_on": "${day}"}
                firm.do("PutRecord", {"typeCode": "SERIOUS_LIST", "sourceKey": "S-${run}", "content": content})
        except Exception as error:
            self.failure = error


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    try:
        packages.installed("pg_dump", package="postgresql-client", folders="/usr/bin")
    except Unavailable as error:
        lacking("pg_dump", str(error))
    with running_city(database="postgresql", bus="rabbitmq") as running:
        yield running


def test_a_city_is_restored_from_its_backup_with_nothing_lost_between_its_services_and_nothing_doubled(
    city: City, tmp_path: Path
) -> None:
    with closing(HttpClient(city.url)) as client:
        tokens = Tokens(city)
        Run(client, tokens).prepare(("the licence without materials",))
        uploaded = Run(client, tokens)
        uploaded.prepare(("CreateCase", "UploadMaterial"))
        with living(city, tokens) as (applicants, households):
            go_on(applicants, households)
            # A stopped taker: what was published is at the broker, which will be lost.
            with untaken(city, "credit"):
                go_on(applicants, households)
                before = acknowledged(applicants, households)
                backed_up_at = datetime.now(UTC)
                backup(city, "backup", str(tmp_path), *SERVICES)
                shutil.copytree(city.var / "blobs", tmp_path / "blobs")
            # Whatever is asked for from now on was not asked for before.
            go_on(applicants, households)
            reached = acknowledged(applicants, households)
            go_on(applicants, households)
        after = acknowledged(applicants, households)
        eventually(lambda: check_effects(city), seconds=EFFECTS_SECONDS)
        cursors = {service: last_position(city, service) for service in SERVICES}
        given = numbers_given(city)

        lose_everything(city)
        backup(city, "restore", str(tmp_path), *SERVICES)
        shutil.copytree(tmp_path / "blobs", city.var / "blobs")
        started = run_city("up", "--detach", city=city)
        assert started.returncode == 0, started.stdout
        assert relays_wait(city), "events were published before every taker had its queue"
        assert untaken_grants(city), "nothing was at the broker when the backup was made"
        since = f"{backed_up_at - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        for service in SERVICES:
            by_hand(city, service, "events", "republish", "--since", since)
        backup(city, "release", *SERVICES)
        eventually(lambda: check_effects(city), seconds=EFFECTS_SECONDS)

        assert backup(city, "forgotten", *SERVICES) == ""
        for service in SERVICES:
            by_hand(city, service, "audit", "verify")
        kept = numbers_given(city)
        # What was acknowledged before the backup began is there; what was asked for after it ended is not.
        assert before <= kept
        assert after - reached
        assert not (after - reached) & kept
        fetched = client.call("FetchMaterial", uploaded.body("FetchMaterial", {}), token=uploaded.token("citizen"))
        assert fetched["data"] == PDF
        check_new_numbers(client, tokens, given)
        check_cursors(client, tokens, cursors)


def test_dumps_of_different_moments_show_which_decisions_were_forgotten(city: City, tmp_path: Path) -> None:
    """Nobody held the relays: credit's dump has the licence of a grant that approval's dump has not."""
    with closing(HttpClient(city.url)) as client:
        firm = Run(client, Tokens(city))
        firm.prepare(("an item that may be simplified", "a firm", "an accepted case of the firm", "StartReview"))
        dump(city, "approval", tmp_path)
        case = firm.do("GrantCase")["case"]
        records = {"subjectId": firm.known["subject"]["id"], "typeCode": "LICENCE"}
        [licence] = eventually(lambda: firm.do("ListRecords", records)["records"])
        dump(city, "credit", tmp_path)
    with empty_databases(city) as other:
        backup(other, "restore", str(tmp_path), *SERVICES)
        found = [line.split("|") for line in backup(other, "forgotten", *SERVICES).splitlines()]
    assert [handler for _, handler, _ in found] == ["record_decision"]
    with databases(city) as (approval, _):
        granted = select(OutboxEvent.event_id).where(OutboxEvent.type == "CaseGranted")
        [told] = rows(approval, granted.where(OutboxEvent.subject == case["id"]))
    assert found[0][0] == told
    assert licence["content"]["document_number"] == case["decision"]["documentNumber"]


@contextmanager
def living(city: City, tokens: Tokens) -> Iterator[tuple[list[Applicant], list[Household]]]:
    """Applicants who file cases and firms that are granted and listed, until the end of the block."""
    over = threading.Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(HttpClient(city.url))) for _ in range(APPLICANTS + HOUSEHOLDS)]
        applicants = [Applicant(client, tokens, over) for client in clients[HOUSEHOLDS:]]
        households = [Household(client, tokens, over) for client in clients[:HOUSEHOLDS]]
        stack.callback(over.set)
        everyone: list[Applicant | Household] = [*applicants, *households]
        for one in everyone:
            one.start()
        yield applicants, households
        over.set()
        for one in everyone:
            one.join(90)
            assert not one.is_alive()
            assert one.failure is None, repr(one.failure)


@contextmanager
def untaken(city: City, service: str) -> Iterator[None]:
    """Within the block the service takes no event in; what is told to it waits at the broker."""
    with psycopg.connect(url(city, service)) as connection:
        connection.execute("LOCK TABLE inbox IN EXCLUSIVE MODE")
        yield


def wait_for(done: Callable[[], bool], applicants: Sequence[Applicant], households: Sequence[Household]) -> None:
    def look() -> bool:
        for failure in [one.failure for one in applicants] + [one.failure for one in households]:
            if failure:
                raise failure
        return done()

    assert eventually(look, seconds=60)


def go_on(applicants: Sequence[Applicant], households: Sequence[Household]) -> None:
    """Waits until each has come further by a whole round."""
    goal = [len(one.submitted) + 1 for one in applicants], [len(one.granted) + 1 for one in households]

    def further() -> bool:
        filed = all(len(one.submitted) >= least for one, least in zip(applicants, goal[0], strict=True))
        return filed and all(len(one.granted) >= least for one, least in zip(households, goal[1], strict=True))

    wait_for(further, applicants, households)


def acknowledged(applicants: Sequence[Applicant], households: Sequence[Household]) -> set[str]:
    """The numbers of cases and of grants that their applicants were told."""
    cases = {number for one in applicants for number in list(one.submitted.values())}
    return cases | {number for one in households for number in list(one.granted.values())}


def url(city: City, service: str) -> str:
    return city.database_url.format(service=service)


def backup(city: City, command: str, *arguments: str) -> str:
    """Runs docs/backup.sh and gives what it printed."""
    done = subprocess.run(
        [ROOT / "docs/backup.sh", command, *arguments],
        env=os.environ | {"DATABASE_URL": city.database_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@contextmanager
def empty_databases(city: City) -> Iterator[City]:
    """The city as it would be with databases of its own, for which there are empty ones."""
    with servers.databases(server("postgresql").uri) as template:
        yield replace(city, database_url=template)


def dump(city: City, service: str, folder: Path) -> None:
    command = ["pg_dump", "--format=custom", "--no-owner", f"--file={folder}/{service}.dump", url(city, service)]
    subprocess.run(command, check=True, timeout=60)


def by_hand(city: City, service: str, *words: str) -> None:
    done = run_city("run", service, *words, city=city)
    assert done.returncode == 0, done.stdout


def lose_everything(city: City) -> None:
    """Ends every process; databases, the broker's vhost and files are as in a city that was never started."""
    supervise.stop(city)
    for service in SERVICES:
        renew_database(url(city, service))
    admin = server("rabbitmq")
    name = unquote(urlsplit(city.amqp_uri).path[1:])
    user = httpx.URL(admin.api).username
    with httpx.Client(base_url=admin.api) as api:
        api.delete(f"/api/vhosts/{name}").raise_for_status()
        api.put(f"/api/vhosts/{name}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        api.put(f"/api/permissions/{name}/{user}", json=everything).raise_for_status()
    shutil.rmtree(city.var / "blobs")


def renew_database(address: str) -> None:
    name = conninfo_to_dict(address)["dbname"]
    with psycopg.connect(server("postgresql").uri, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0".encode())


@contextmanager
def databases(city: City) -> Iterator[tuple[SyncDatabase, SyncDatabase]]:
    """Approval's and credit's."""
    with closing(SyncDatabase(url(city, "approval"))) as approval, closing(SyncDatabase(url(city, "credit"))) as credit:
        yield approval, credit


def rows(database: SyncDatabase, query: Any) -> list[Any]:
    return database.read(lambda session: list(session.exec(query).all()))


def relays_wait(city: City) -> bool:
    """Whether no relay of the city may publish yet."""
    with databases(city) as both:
        return [rows(one, select(Lease.holder).where(Lease.name == "relay")) for one in both] == [["restore"]] * 2


def last_position(city: City, service: str) -> int:
    with closing(SyncDatabase(url(city, service))) as database:
        return database.read(outbox.last_position)


def numbers_given(city: City) -> set[str]:
    """Every number of a case or document."""
    with closing(SyncDatabase(url(city, "approval"))) as approval:
        return {*rows(approval, select(Case.number)), *rows(approval, select(CaseDocument.number))} - {None}


def events(database: SyncDatabase, *types: str) -> list[str]:
    """The ids of a service's events of these types."""
    return sorted(rows(database, select(OutboxEvent.event_id).where(col(OutboxEvent.type).in_(types))))


def untaken_grants(city: City) -> set[str]:
    """The ids of the grants that were published and that credit has no licence of."""
    published = select(OutboxEvent.event_id).where(
        OutboxEvent.type == "CaseGranted", col(OutboxEvent.published_at).is_not(None)
    )
    with databases(city) as (approval, credit):
        return {*rows(approval, published)} - {*rows(credit, select(RecordVersion.origin))}


def check_effects(city: City) -> bool:
    """Every event of both services has taken effect, once, where it is taken in; raises AssertionError before that."""
    with databases(city) as (approval, credit):
        for one in (approval, credit):
            assert rows(one, select(OutboxEvent.id).where(col(OutboxEvent.published_at).is_(None))) == []
            assert rows(one, select(DeadLetter.error)) == []
        licences = rows(credit, select(RecordVersion.origin).where(RecordVersion.type_code == "LICENCE"))
        assert sorted(licences) == events(approval, "CaseGranted")
        assert sorted(rows(approval, select(Notice.id))) == events(approval, *NOTIFIED)
        granted = rows(approval, select(Case.number).where(Case.state == "GRANTED"))
        assert sorted(rows(approval, select(PublishedGrant.case_number))) == sorted(granted)
        check_standings(approval, credit)
    return True


def check_standings(approval: SyncDatabase, credit: SyncDatabase) -> None:
    """Who was listed is known as such, and its running case was turned once; every applicant is known to credit."""
    listed = {*rows(credit, select(Record.subject_id).where(Record.type_code == "SERIOUS_LIST"))}
    told = select(ApplicantStanding.credit_subject_id).where(ApplicantStanding.standing == "SERIOUS")
    assert {*rows(approval, told)} == listed
    # Accepted; or under review, where credit's snapshot, the later one, has the listing and approval's not the grant.
    running = col(Case.credit_subject_id).in_(listed), Case.state != "GRANTED"
    cases = dict(rows(approval, select(Case.id, Case.handling).where(*running)))
    assert {*cases.values()} <= {"ORDINARY"}
    turned = rows(approval, select(HistoryRecord.aggregate).where(HistoryRecord.action == "TURN_ORDINARY"))
    assert Counter(turned) == dict.fromkeys(cases, 1)
    applicants = rows(approval, select(Case.credit_subject_id).where(Case.credit_subject_id != ""))
    assert {*applicants} <= {*rows(credit, select(Subject.id))}


def check_new_numbers(client: Client, tokens: Tokens, given: set[str]) -> None:
    """What was given out in the time that is lost is not given out again."""
    run = Run(client, tokens)
    run.prepare(("a case under review",))
    case = run.do("GrantCase")["case"]
    documents = run.do("ListCaseDocuments")["documents"]
    assert not given & {case["number"], *(document["number"] for document in documents)}


def check_cursors(client: Client, tokens: Tokens, cursors: dict[str, int]) -> None:
    """A partner that had read up to the end before the loss is told of what happens after the restore."""
    run = Run(client, tokens)
    run.prepare(("an honour", "CreateCase", "UploadMaterial"))
    for rpc, service, type_ in (
        ("WatchEvents", "approval", "CaseGranted"),
        ("credit.WatchEvents", "credit", "RecordPublished"),
    ):
        asked = {"after": str(cursors[service]), "types": [type_]}
        with closing(client.watch(asked, token=run.token("partner"), rpc=rpc)) as stream:
            assert int(next(stream)["position"]) > 10_000_000
