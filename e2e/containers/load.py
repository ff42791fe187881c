"""Firms that live through both services while containers come and go, and what must hold of them in the end."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from uuid import uuid4

import httpx
import psycopg

from e2e.api_cases import Run
from e2e.clients import Client, GrpcClient, HttpClient, Json, Refused, service_of
from e2e.containers.stack import Containers
from e2e.eventually import eventually
from e2e.tokens import Tokens
from tulou_city.layout import HOST
from tulou_city.services import SERVICES

FIRMS: Final = 20
THINK_SECONDS: Final = 0.4
PATIENCE_SECONDS: Final = 120.0
# What may be tried again: nobody said that the request failed.
AGAIN: Final = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}
# One life: what a firm and those who deal with it ask of both services. Each is (RPC, who calls, changes).
LIFE: Final[tuple[tuple[str, str, Json], ...]] = (
    ("PutRecord", "clerk", {"sourceKey": "H-${uuid}"}),
    ("UploadEvidence", "firm", {}),
    (
        "CreateCase",
        "firm",
        {
            "case.itemCode": "TST-XK-${run}",
            "case.form": {},
            "case.applicant": {
                "subjectType": "SUBJECT_TYPE_ORGANISATION",
                "name": "漳州市古厝里餐饮有限公司",
                "identityNumber": "${firm}",
                "phone": "13900000000",
            },
        },
    ),
    ("UploadMaterial", "firm", {"materialCode": "M03"}),
    ("GetCase", "firm", {}),
    ("SubmitCase", "firm", {}),
    ("AcceptCase", "clerk", {}),
    ("StartReview", "approver", {}),
    ("GrantCase", "approver", {}),
    ("ListRecords", "nobody", {}),
)
READS: Final = {"GetCase", "ListRecords"}
# As many files a firm may have uploaded that belong to nothing yet.
PIECES_OF_EVIDENCE: Final = 10
ITEM: Final[Json] = {
    "item.code": "TST-XK-${run}",
    "item.type": "ITEM_TYPE_LICENCE",
    "item.handling": "HANDLING_PROMISED",
    "item.promisedDays": 8,
    "item.materials": [{"code": "M03", "name": "平面图", "necessity": "NECESSITY_OPTIONAL"}],
    "item.formSchema": {"type": "object"},
    "item.results": [{"name": "食品经营许可证", "kind": "RESULT_KIND_PERMIT", "licenceCode": "001", "validMonths": 60}],
}


@dataclass(frozen=True)
class Answered:
    """A write that was acknowledged: what was sent, what came back, and how often it had to be sent."""

    rpc: str
    caller: str
    body: Json
    answer: Json
    attempts: int


@dataclass
class Firm:
    """One firm with its own connections, living one life after the other until told to stop."""

    client: Client
    run: Run
    answered: list[Answered] = field(default_factory=list)
    # When a call ended, how long it took, and why it failed, if it did.
    calls: list[tuple[float, float, str]] = field(default_factory=list)
    failure: Exception | None = None

    def live(self, over: threading.Event) -> None:
        """Until `over` is set, and then to the end of the life that has begun."""
        try:
            for life in count():
                for rpc, caller, change in LIFE:
                    if rpc != "UploadEvidence" or life < PIECES_OF_EVIDENCE:
                        self._acknowledged(rpc, caller, change)
                        time.sleep(THINK_SECONDS)
                if over.is_set():
                    break
        except Exception as error:
            self.failure = error

    def granted(self) -> list[str]:
        """The ids of its granted cases."""
        return [one.answer["case"]["id"] for one in self.answered if one.rpc == "GrantCase"]

    def recorded(self) -> list[str]:
        """The ids of the records that were put."""
        return [one.answer["recordId"] for one in self.answered if one.rpc == "PutRecord"]

    def _acknowledged(self, rpc: str, caller: str, change: Json) -> None:
        """Sends one request, again and again under its request_id, until somebody answers it."""
        body = self.run.body(rpc, change)
        if "file" in body:
            # What is like another file may be kept once.
            body["file"]["data"] += f"% {uuid4()}\n".encode()
        give_up = time.monotonic() + PATIENCE_SECONDS
        attempts = 0
        while True:
            attempts += 1
            began = time.monotonic()
            failed = ""
            try:
                answer = self.client.call(rpc, body, token=self.run.token(caller))
            except (httpx.TransportError, Refused) as error:
                failed = f"{rpc}: {type(error).__name__} {error}"
                lasting = isinstance(error, Refused) and error.status not in AGAIN
                if lasting or time.monotonic() > give_up:
                    raise
            finally:
                self.calls.append((began, time.monotonic() - began, failed))
            if not failed:
                break
            time.sleep(0.3)
        self.run.known |= answer
        if rpc not in READS:
            self.answered.append(Answered(rpc, caller, body, answer, attempts))


@dataclass
class Load:
    """What the firms did, half of them over HTTP and half over gRPC."""

    city: Containers
    tokens: Tokens
    firms: list[Firm]
    # Where the events of each service stood before.
    before: dict[str, int]
    # What was counted in the end, see check.
    counted: dict[str, int] = field(default_factory=dict)

    def use(self, tokens: Tokens) -> None:
        """From here on the firms call with tokens of another issuer."""
        self.tokens = tokens
        for firm in self.firms:
            firm.run.use(tokens)

    @property
    def calls(self) -> list[tuple[float, float, str]]:
        """Every call of every firm: when it began, its seconds, and why it failed or ""."""
        return [call for firm in self.firms for call in list(firm.calls)]

    @property
    def failed(self) -> list[str]:
        """Why calls failed, each time."""
        return [why for _, _, why in self.calls if why]

    def wait_for_more(self, grants: int = 25, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until that many more cases are granted. Fails as soon as a firm has failed for good."""
        before = self._grants()

        def look() -> bool:
            self.check_alive()
            return self._grants() >= before + grants

        assert eventually(look, seconds=seconds)

    def check_alive(self) -> None:
        """Raises what a firm failed with for good."""
        for firm in self.firms:
            if firm.failure:
                raise firm.failure

    def check(self) -> dict[str, int]:
        """Nothing was lost and nothing was doubled: events, their effects in the other service, answers, histories.

        Gives what was counted.
        """
        self.check_alive()
        granted = {case for firm in self.firms for case in firm.granted()}
        recorded = {record for firm in self.firms for record in firm.recorded()}
        assert len(granted) == sum(len(firm.granted()) for firm in self.firms)
        assert len(recorded) == sum(len(firm.recorded()) for firm in self.firms)
        told = self._events("WatchEvents", "CaseGranted", len(granted))
        assert Counter(event["subject"] for event in told) == dict.fromkeys(granted, 1)
        # What approval told has become one licence in credit for each case, told once each in its turn.
        for firm in self.firms:
            eventually(lambda firm=firm: self._check_records(firm), seconds=PATIENCE_SECONDS)  # type: ignore[misc]
        told = self._events("credit.WatchEvents", "RecordPublished", len(granted) + len(recorded))
        published = Counter(event["data"]["recordId"] for event in told)
        assert set(published.values()) == {1}
        assert recorded <= published.keys()
        again = self._check_answers()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._check_by_hand, ("approval", "credit")))
        return {"granted": len(granted), "licences": len(granted), "records": len(recorded), "asked again": again}

    def _grants(self) -> int:
        return sum(one.rpc == "GrantCase" for firm in self.firms for one in list(firm.answered))

    def _events(self, rpc: str, kind: str, count: int) -> list[Json]:
        """The events since the beginning, which are no more and no fewer than `count`, as a partner reads them."""
        service = service_of(rpc)
        found: list[Json] = []
        after = self.before[service]
        with psycopg.connect(self.city.database(service)) as connection:
            query = "select count(*) from outbox where type = %s and (position > %s or position is null)"
            assert connection.execute(query, (kind, after)).fetchone() == (count,)
        with closing(HttpClient(self.city.url)) as client:
            token = Run(client, self.tokens).token("operator")
            with closing(client.watch({"types": [kind], "after": str(after)}, token=token, rpc=rpc)) as stream:
                for event in stream:
                    found.append(event)
                    if len(found) == count:
                        break
        return found

    def _check_records(self, firm: Firm) -> None:
        subject = firm.run.known["subject"]["id"]
        counted: Counter[str] = Counter()
        body: Json = {"subjectId": subject, "pageSize": 100}
        while True:
            page = firm.client.call("ListRecords", body)
            counted.update(record["typeCode"] for record in page["records"])
            if not page.get("nextPageToken"):
                break
            body["pageToken"] = page["nextPageToken"]
        assert counted == Counter(LICENCE=len(firm.granted()), HONOUR=len(firm.recorded()))

    def _check_by_hand(self, service: str) -> None:
        """As an operator would: no history was changed, no event was given up."""
        done = self.city.by_hand(service, "audit", "verify")
        assert done.returncode == 0, done.stdout + done.stderr
        done = self.city.by_hand(service, "dead-letters", "list")
        assert done.returncode == 0, done.stdout + done.stderr
        assert " 0 dead letters" in done.stdout, done.stdout

    def _check_answers(self) -> int:
        """What was sent more than once, and the last of each firm, is sent again: the answer is the same."""
        asked = 0
        for firm in self.firms:
            repeated = [one for one in firm.answered[:-1] if one.attempts > 1]
            for one in [*repeated, *firm.answered[-1:]]:
                answer = firm.client.call(one.rpc, one.body, token=firm.run.token(one.caller))
                assert answer == one.answer, one.rpc
                asked += 1
        return asked


@contextmanager
def living(city: Containers, *, size: int = FIRMS) -> Iterator[Load]:
    """So many firms live while the block runs; each finishes the life it has begun, and all is checked."""
    tokens, over = Tokens(city), threading.Event()
    with ExitStack() as stack:
        firms = []
        for number in range(size):
            client: Client = GrpcClient(f"{HOST}:{city.port}") if number % 2 else HttpClient(city.url)
            stack.callback(client.close)
            firms.append(Firm(client, Run(client, tokens)))
            firms[-1].run.prepare(({"call": "CreateItem", "change": ITEM}, "PublishItem", "a firm"))
        load = Load(city, tokens, firms, _positions(city))
        threads = [threading.Thread(target=firm.live, args=(over,), daemon=True) for firm in firms]
        for thread in threads:
            thread.start()
        try:
            load.wait_for_more(size // 2)
            yield load
        finally:
            over.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS + 60)
        assert not any(thread.is_alive() for thread in threads)
        load.check_alive()
        city.wait_until_healthy()
        # While the clients are open.
        load.counted = load.check()


def _positions(city: Containers) -> dict[str, int]:
    """The position of each service's newest event."""
    found = {}
    for service in SERVICES:
        with psycopg.connect(city.database(service.name)) as connection:
            row = connection.execute("select coalesce(max(position), 0) from outbox").fetchone()
            found[service.name] = int(row[0]) if row else 0
    return found
