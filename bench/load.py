"""The load: 32 callers that each ask again as soon as they are answered, over gRPC from here, over HTTP by wrk."""

import asyncio
import json
import os
import random
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol
from uuid import uuid4

import grpc
import httpx
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from tulou.approval.v1 import approval_service_pb2 as pb
from tulou.approval.v1 import case_pb2

CALLERS: Final = 32
OPERATIONS: Final = ("create", "get", "list")
# Before it counts: connections open, caches fill.
WARM_SECONDS: Final = 0.3
LUA: Final = Path(__file__).with_name("wrk.lua")
PATHS: Final = {"create": "CreateCase", "get": "GetCase", "list": "ListCases"}


@dataclass(frozen=True)
class Sample:
    """What one stretch of time gave: answers a second, and in how many milliseconds 50, 95 and 99% of them came."""

    rate: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Caller:
    """An applicant: who it is, the token that says so, and the cases it has."""

    subject: str
    token: str
    case_ids: list[str]


@dataclass(frozen=True)
class World:
    """Who asks, and the case that everyone files."""

    case: case_pb2.Case
    callers: Sequence[Caller]

    def request(self, operation: str, caller: Caller) -> Message:
        """A new case, one of the caller's cases, or the first 20 of them."""
        match operation:
            case "create":
                return pb.CreateCaseRequest(request_id=str(uuid4()), case=self.case)
            case "get":
                return pb.GetCaseRequest(case_id=random.choice(caller.case_ids))
            case _:
                return pb.ListCasesRequest()


class Target(Protocol):
    """What can be asked."""

    async def measure(self, operation: str, seconds: float) -> Sample:
        """Asks for so long. Raises on the first refusal: a rate with errors in it means nothing."""
        ...

    async def close(self) -> None:
        """Closes what is open."""
        ...


class OverGrpc:
    """A gRPC server."""

    def __init__(self, address: str, world: World) -> None:
        self._world = world
        self._channel = grpc.aio.insecure_channel(address)
        # Answers stay bytes: reading them here would take time from the server that is measured.
        self._calls: dict[str, Any] = {
            operation: self._channel.unary_unary(
                f"/tulou.approval.v1.ApprovalService/{name}", request_serializer=methodcaller("SerializeToString")
            )
            for operation, name in PATHS.items()
        }

    async def ask(self, operation: str, caller: Caller, request: Message) -> bytes:
        """One call. Raises grpc.RpcError."""
        # The floor, which reads no tokens, takes the subject as it stands.
        metadata = (("authorization", f"Bearer {caller.token}"), ("subject", caller.subject))
        answer: bytes = await self._calls[operation](request, metadata=metadata)
        return answer

    async def measure(self, operation: str, seconds: float) -> Sample:
        """See Target."""

        async def ask(caller: Caller) -> bytes:
            return await self.ask(operation, caller, self._world.request(operation, caller))

        return await ask_on(ask, self._world.callers, seconds)

    async def close(self) -> None:
        """See Target."""
        await self._channel.close()


class OverHttp:
    """The gateway, asked for JSON by wrk. Where there is no wrk, by httpx, which itself is the slowest part then."""

    def __init__(self, url: str, world: World) -> None:
        self._url = f"{url}/approval/v1/cases"
        self._world = world
        self._client = httpx.AsyncClient(trust_env=False, timeout=30)

    async def _ask(self, operation: str, caller: Caller) -> None:
        headers = {"authorization": f"Bearer {caller.token}", "content-type": "application/json"}
        match operation:
            case "create":
                body = MessageToJson(self._world.request(operation, caller))
                answer = await self._client.post(self._url, content=body, headers=headers)
            case "get":
                answer = await self._client.get(f"{self._url}/{random.choice(caller.case_ids)}", headers=headers)
            case _:
                answer = await self._client.get(self._url, headers=headers)
        answer.raise_for_status()

    async def measure(self, operation: str, seconds: float) -> Sample:
        """See Target."""
        if which("wrk"):
            return await asyncio.to_thread(self._wrk, operation, seconds)
        return await ask_on(lambda caller: self._ask(operation, caller), self._world.callers, seconds)

    def _wrk(self, operation: str, seconds: float) -> Sample:
        with TemporaryDirectory() as folder:
            world = Path(folder) / "world.lua"
            world.write_text(self._lua())
            done = subprocess.run(
                ["wrk", "-t1", f"-c{CALLERS}", f"-d{max(1, round(seconds))}s", "-s", str(LUA), self._url],
                env=os.environ | {"OPERATION": operation, "WORLD": str(world)},
                capture_output=True,
                text=True,
            )
        if done.returncode != 0 or "FOUND" not in done.stdout:
            raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
        found = json.loads(done.stdout.partition("FOUND")[2])
        if found.pop("errors"):
            raise RuntimeError(f"{operation}: not every answer was 200: {done.stdout}")
        return Sample(**found)

    def _lua(self) -> str:
        callers = ",\n".join(
            f"{{token={json.dumps(caller.token)}, cases={{{','.join(map(json.dumps, caller.case_ids))}}}}}"
            for caller in self._world.callers
        )
        case = MessageToJson(self._world.case, indent=None, ensure_ascii=False)
        return f"case = [==[{case}]==]\nseed = {uuid4().int % 2**31}\ncallers = {{{callers}}}\n"

    async def close(self) -> None:
        """See Target."""
        await self._client.aclose()


async def ask_on(ask: Callable[[Caller], Awaitable[object]], callers: Sequence[Caller], seconds: float) -> Sample:
    """Lets every caller ask again and again for so long."""
    times: list[float] = []
    begin = time.perf_counter() + WARM_SECONDS
    end = begin + seconds

    async def go_on(caller: Caller) -> None:
        while (start := time.perf_counter()) < end:
            await ask(caller)
            if (now := time.perf_counter()) >= begin and now <= end:
                times.append((now - start) * 1000)

    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(go_on(caller))
    cuts = statistics.quantiles(times, n=100)
    return Sample(len(times) / seconds, cuts[49], cuts[94], cuts[98])
