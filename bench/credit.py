"""What credit gives on PostgreSQL with many subjects and records: checks, name searches, imports."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from shutil import copyfile
from typing import Any, Final

import grpc
import psycopg
from google.protobuf.message import Message
from rich.console import Console

from bench import credit_store
from bench.credit_rows import COUNTIES, SUBJECTS, TRADES, WORDS, code_of, kind_of
from bench.load import CALLERS, Caller, Sample, ask_on
from bench.results import FLOOR, Result, results_of
from e2e.providers.cities import free_first_port
from tulou.credit.v1 import credit_service_pb2 as pb
from tulou.credit.v1 import subject_pb2
from tulou_city import prepare
from tulou_city.layout import HOST, ROOT, City
from tulou_city.services import SERVICES
from tulou_city.tokens import token
from tulou_credit.domain.subjects import SubjectKind

FLOOR_OFFSET: Final = 39
START_SECONDS: Final = 60
KEPT: Final = ROOT / "var/bench"


@dataclass(frozen=True)
class Stage:
    """A city of which only credit's server runs, and the floor beside it."""

    city: City
    grpc: str
    floor: str


def prepared(database_url: str, folder: Path) -> City:
    """A city on these empty databases ("{service}" in the URL), with tables and seeds."""
    city = City(port=free_first_port(), var=folder, database_url=database_url, amqp_uri="")
    # No tracing: neither the floor nor the callers trace.
    os.environ["TULOU_OTLP_ENDPOINT"] = ""
    prepare.make_folders_and_keys(city)
    prepare.fill_databases(city)
    return city


@contextmanager
def staged(city: City) -> Iterator[Stage]:
    """Fills the city's database, starts both servers on it and ends them."""
    url = city.database_url.format(service="credit")
    with psycopg.connect(url) as connection:
        [revision] = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ()
    kept = credit_store.files(KEPT, revision)
    copyfile(kept / "keyring.json", city.var / "secrets/keyring.json")
    credit_store.load(url, kept)
    [service] = [each for each in SERVICES if each.name == "credit"]
    stage = Stage(city, f"{HOST}:{city.port + service.grpc_offset}", f"{HOST}:{city.port + FLOOR_OFFSET}")
    with ExitStack() as stack:
        for name, arguments, address in (
            ("credit", ["tulou_credit", "serve"], stage.grpc),
            ("floor", ["bench.credit_floor", stage.floor, url], stage.floor),
        ):
            log = stack.enter_context((city.var / f"log/{name}.log").open("w"))
            command = [sys.executable, "-m", *arguments]
            process = subprocess.Popen(command, env=city.environment("credit"), stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(START_SECONDS)
        yield stage


def check() -> Message:
    """Of any organisation or sole trader: may it have the fast lane?"""
    number = random.randrange(SUBJECTS)
    while kind_of(number) is SubjectKind.PERSON:
        number = random.randrange(SUBJECTS)
    return pb.CheckSubjectRequest(code=code_of(number), purpose="APPROVAL")


def beginning() -> Message:
    """How a name begins: a dozen have it."""
    name = f"漳州市{random.choice(COUNTIES).name}{''.join(random.choices(WORDS, k=2))}"
    return pb.SearchSubjectsRequest(name=name, match=subject_pb2.NAME_MATCH_PREFIX)


def inside() -> Message:
    """A part of a name, of three kinds: thousands of names have it, or a hundred, or a few."""
    word, trade = "".join(random.choices(WORDS, k=2)), random.choice(TRADES)
    name = random.choice((trade, word, word + trade))
    return pb.SearchSubjectsRequest(name=name, match=subject_pb2.NAME_MATCH_ANYWHERE)


# Method, what is asked, and how many ask at once: approvals by program, names by people who wait for the answer.
OPERATIONS: Final[dict[str, tuple[str, Callable[[], Message], int]]] = {
    "check": ("CheckSubject", check, CALLERS),
    "name begins, 4 ask": ("SearchSubjects", beginning, 4),
    "name contains, 4 ask": ("SearchSubjects", inside, 4),
}


class Target:
    """One of the two servers."""

    def __init__(self, address: str, callers: list[Caller]) -> None:
        self._callers = callers
        self._channel = grpc.aio.insecure_channel(address)
        self._calls: dict[str, Any] = {
            operation: self._channel.unary_unary(
                f"/tulou.credit.v1.CreditService/{name}", request_serializer=methodcaller("SerializeToString")
            )
            for operation, (name, _, _) in OPERATIONS.items()
        }

    async def ask(self, operation: str, caller: Caller, request: Message) -> bytes:
        """One call. Raises grpc.RpcError."""
        answer: bytes = await self._calls[operation](request, metadata=(("authorization", f"Bearer {caller.token}"),))
        return answer

    async def measure(self, operation: str, seconds: float) -> Sample:
        """Every caller asks for so long, each time something else."""
        _, request, count = OPERATIONS[operation]
        return await ask_on(lambda caller: self.ask(operation, caller, request()), self._callers[:count], seconds)

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()


async def compare(stage: Stage, out: Console, *, rounds: int, seconds: float) -> list[Result]:
    """Asks both for every operation, round after round; a first, short round warms up."""
    callers = [
        Caller(name, token(stage.city, role="clerk", sub=name), [])
        for name in (f"bench-{number}" for number in range(CALLERS))
    ]
    targets = {FLOOR: Target(stage.floor, callers), "gRPC": Target(stage.grpc, callers)}
    found: dict[tuple[str, str], list[Sample]] = {(one, name): [] for one in OPERATIONS for name in targets}
    try:
        await _check_equal(callers[0], *targets.values())
        for turn in range(rounds + 1):
            for operation, name in found:
                with out.status(f"credit, round {turn} of {rounds}: {operation} by {name}"):
                    sample = await targets[name].measure(operation, seconds if turn else 1)
                if turn:
                    found[operation, name].append(sample)
    finally:
        for target in targets.values():
            await target.close()
    return results_of("PostgreSQL, credit", found)


async def _check_equal(caller: Caller, floor: Target, ours: Target) -> None:
    """Raises SystemExit unless the floor's answers are ours."""
    for operation, (name, request, _) in OPERATIONS.items():
        for _ in range(50):
            asked = request()
            answers = [
                getattr(pb, f"{name}Response").FromString(await one.ask(operation, caller, asked))
                for one in (floor, ours)
            ]
            for answer in answers:
                # How a page is named is each one's own affair.
                if name == "SearchSubjects" and answer.next_page_token:
                    answer.next_page_token = "more"
            if answers[0] != answers[1]:
                raise SystemExit(f"The floor answers {asked} otherwise than the service:\n{answers[0]}\n{answers[1]}")
