"""The floor: a hand-written server for CreateCase, GetCase and ListCases, as fast as Python goes on this machine.

It runs the statements that ours runs, on the same tables, for the same protos: same rows, same columns, one transaction
a create with history and idempotency. There is nothing around them: no tokens, no checks, no encryption, no telemetry,
no ORM. The caller's name comes in the metadata.

    python -m bench.floor HOST:PORT DATABASE-URL
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import aiosqlite
import asyncpg
import grpc
import uvloop
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from tulou.approval.v1 import approval_service_pb2 as pb
from tulou.approval.v1 import approval_service_pb2_grpc, case_pb2, item_pb2

POOL: Final = 10
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SQLITE_READERS: Final = 4
# The columns a create gives, and what it gives for those that say nothing of the case.
GIVEN: Final = {
    "number": None,
    "state": "DRAFT",
    "identity_sealed": "k1." + "x" * 64,
    "phone_sealed": "k1." + "x" * 52,
    "identity_masked": "3506**********0028",
    "phone_masked": "139****0000",
    "identity_tail_index": "x" * 43,
    "extended": False,
    "deadlines": "{}",
    "next_due": None,
    "calendar_version": "",
    "acceptance": None,
    "decision": None,
    "licence": None,
    "correction": None,
    "procedure": None,
    "reviewers": "[]",
    "handling": "ORDINARY",
    "credit_check": None,
    "credit_subject_id": "",
    "turned_ordinary_by": "",
    "submitted_at": None,
    "history_sequence": 1,
    "history_hash": "0" * 64,
    "version": 1,
}
FROM_ITEM: Final = ("instant", "promised_days", "statutory_days")
FROM_CASE: Final = ("id", "item_code", "item_version", "item_name", "title", "region_code", "department_code", "owner")
FROM_CASE_TOO: Final = ("subject_type", "applicant_name", "agent_name", "form", "created_at", "updated_at")
COLUMNS: Final = (*FROM_CASE, *FROM_CASE_TOO, *FROM_ITEM, *GIVEN)
# What is read of a case; a list leaves the forms out.
HIDDEN: Final = {
    *("identity_sealed", "phone_sealed", "identity_tail_index", "promised_days", "statutory_days", "next_due"),
    *("calendar_version", "reviewers", "history_sequence", "history_hash"),
}
SHOWN: Final = tuple(name for name in COLUMNS if name not in HIDDEN)
LISTED: Final = tuple(name for name in SHOWN if name != "form")
HISTORY: Final = ("aggregate", "sequence", "time", "action", "actor", "organisation", "details", "key_id", "hash")
IDEMPOTENCY: Final = ("subject", "method", "request_id", "payload_hash", "response", "time")
# What an owner may do with a draft.
DRAFT_ACTIONS: Final = (
    case_pb2.CASE_ACTION_UPDATE,
    case_pb2.CASE_ACTION_SUBMIT,
    case_pb2.CASE_ACTION_WITHDRAW,
)

ITEM: Final = (
    "SELECT version, name, department_code, region_code, subject_type, instant, promised_days, statutory_days"
    " FROM item_version WHERE code = $1 AND state = 'PUBLISHED'"
)
GET: Final = f"SELECT {', '.join(SHOWN)} FROM case_file WHERE id = $1 AND owner = $2"
LIST: Final = f"SELECT {', '.join(LISTED)} FROM case_file WHERE owner = $1 ORDER BY created_at DESC, id DESC LIMIT $2"

Row = Mapping[str, Any]
# Runs one statement and gives its rows.
Run = Callable[..., Awaitable[Sequence[Row]]]
Scope = Callable[[], AbstractAsyncContextManager[Run]]


def insert(table: str, columns: Sequence[str]) -> str:
    """An INSERT of all these columns."""
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"


INSERT_CASE: Final = insert("case_file", COLUMNS)
INSERT_HISTORY: Final = insert("history", HISTORY)
INSERT_IDEMPOTENCY: Final = insert("idempotency", IDEMPOTENCY)


class Floor(approval_service_pb2_grpc.ApprovalServiceServicer):
    """Three RPCs. `reading` gives a connection, `writing` one with a transaction around it."""

    def __init__(self, reading: Scope, writing: Scope) -> None:
        self._reading = reading
        self._writing = writing

    async def CreateCase(self, request: pb.CreateCaseRequest, context: Any) -> pb.CreateCaseResponse:
        owner, now, case_id, given = _subject(context), datetime.now(UTC), str(uuid4()), request.case
        async with self._writing() as run:
            [item] = await run(ITEM, given.item_code)
            row = {
                "id": case_id,
                "item_code": given.item_code,
                "item_version": item["version"],
                "item_name": item["name"],
                "title": given.title,
                "region_code": given.region_code or item["region_code"],
                "department_code": item["department_code"],
                "owner": owner,
                "subject_type": item_pb2.SubjectType.Name(given.applicant.subject_type).removeprefix("SUBJECT_TYPE_"),
                "applicant_name": given.applicant.name,
                "agent_name": given.applicant.agent_name,
                "form": json.dumps(MessageToDict(given.form)),
                "created_at": now,
                "updated_at": now,
                **{name: item[name] for name in FROM_ITEM},
                **GIVEN,
            }
            answer = pb.CreateCaseResponse(case=_case(row))
            await run(INSERT_CASE, *(row[name] for name in COLUMNS))
            await run(INSERT_HISTORY, case_id, 1, now, "CREATE", owner, "", '{"state":"DRAFT"}', "k1", "0" * 64)
            await run(
                INSERT_IDEMPOTENCY,
                owner,
                "/tulou.approval.v1.ApprovalService/CreateCase",
                request.request_id,
                bytes(32),
                answer.SerializeToString(),
                now,
            )
        return answer

    async def GetCase(self, request: pb.GetCaseRequest, context: Any) -> pb.GetCaseResponse:
        async with self._reading() as run:
            [row] = await run(GET, request.case_id, _subject(context))
        return pb.GetCaseResponse(case=_case(row))

    async def ListCases(self, request: pb.ListCasesRequest, context: Any) -> pb.ListCasesResponse:
        size = request.page_size or 20
        async with self._reading() as run:
            rows = await run(LIST, _subject(context), size + 1)
        answer = pb.ListCasesResponse(cases=[_case(row, with_form=False) for row in rows[:size]])
        if len(rows) > size:
            answer.next_page_token = f"{rows[size - 1]['created_at']}|{rows[size - 1]['id']}"
        return answer


def _subject(context: Any) -> str:
    subject: str = next(value for key, value in context.invocation_metadata() if key == "subject")
    return subject


def _case(row: Row, *, with_form: bool = True) -> case_pb2.Case:
    case = case_pb2.Case(
        id=row["id"],
        number=row["number"] or "",
        state=case_pb2.CaseState.Value(f"CASE_STATE_{row['state']}"),
        item_code=row["item_code"],
        item_version=row["item_version"],
        item_name=row["item_name"],
        title=row["title"],
        region_code=row["region_code"],
        department_code=row["department_code"],
        applicant=case_pb2.Applicant(
            subject_type=item_pb2.SubjectType.Value(f"SUBJECT_TYPE_{row['subject_type']}"),
            name=row["applicant_name"],
            identity_number=row["identity_masked"],
            phone=row["phone_masked"],
            agent_name=row["agent_name"],
        ),
        extended=bool(row["extended"]),
        create_time=instant(row["created_at"]),
        update_time=instant(row["updated_at"]),
        etag=f"v{row['version']}",
        allowed_actions=DRAFT_ACTIONS,
        handling=case_pb2.CaseHandling.Value(f"CASE_HANDLING_{row['handling']}"),
    )
    if with_form:
        case.form.update(json.loads(row["form"]))
    return case


def instant(value: datetime | str) -> Timestamp:
    """What the database gave, as a message."""
    # SQLite keeps texts.
    since = (datetime.fromisoformat(f"{value}+00:00") if isinstance(value, str) else value) - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


async def postgresql(url: str) -> tuple[Scope, Scope]:
    """What gives connections for reading, and what gives them with a transaction."""

    async def keep(connection: object) -> None:
        """Nothing a statement here does outlives it, so the pool need not ask the server to forget."""

    pool = await asyncpg.create_pool(url, min_size=POOL, max_size=POOL, reset=keep)

    @asynccontextmanager
    async def reading() -> AsyncIterator[Run]:
        async with pool.acquire() as connection:
            yield connection.fetch

    @asynccontextmanager
    async def writing() -> AsyncIterator[Run]:
        async with pool.acquire() as connection, connection.transaction():
            yield connection.fetch

    return reading, writing


async def _sqlite(path: str) -> tuple[Scope, Scope]:
    async def connect() -> aiosqlite.Connection:
        connection = await aiosqlite.connect(path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
            await connection.execute(f"PRAGMA {pragma}")
        return connection

    def runner(connection: aiosqlite.Connection) -> Run:
        async def run(statement: str, *values: object) -> Sequence[Row]:
            # SQLite's parameters are ?1, ?2, …, and its instants texts in UTC.
            texts = [f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value for value in values]
            return list(await connection.execute_fetchall(statement.replace("$", "?"), texts))  # type: ignore[arg-type]

        return run

    readers: asyncio.LifoQueue[Run] = asyncio.LifoQueue()
    for _ in range(SQLITE_READERS):
        readers.put_nowait(runner(await connect()))
    write, writer = runner(await connect()), asyncio.Lock()

    @asynccontextmanager
    async def reading() -> AsyncIterator[Run]:
        run = await readers.get()
        try:
            yield run
        finally:
            readers.put_nowait(run)

    @asynccontextmanager
    async def writing() -> AsyncIterator[Run]:
        async with writer:
            await write("BEGIN IMMEDIATE")
            yield write
            await write("COMMIT")

    return reading, writing


async def _serve(address: str, url: str) -> None:
    sqlite = url.removeprefix("sqlite:///")
    reading, writing = await (postgresql(url) if sqlite == url else _sqlite(sqlite))
    server = grpc.aio.server()
    # The other RPCs it does not have.
    floor = Floor(reading, writing)  # type: ignore[abstract]
    approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(floor, server)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
