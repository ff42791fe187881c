"""A stand-in for the credit service: answers what a test tells it to, and publishes what a test says has happened."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tulou.credit.v1 import credit_service_pb2 as pb
from tulou.credit.v1 import credit_service_pb2_grpc, events_pb2, measure_pb2, subject_pb2
from tulou_chassis.events import Publication

SUBJECT = "0c6a0f6e-5b5f-4c0e-9d5e-1f3f6f0f7a01"
RECORD = "5e1d2f44-0f55-4a67-8a44-6a5a1f0c9b02"
FAST_LANE = measure_pb2.Measure(
    code="FAST_LANE",
    kind=measure_pb2.MEASURE_KIND_INCENTIVE,
    name="容缺受理、简化办理",
    name_en="Simplified handling",
    legal_basis="《示例条例》第一条",
)
ORDINARY_ONLY = measure_pb2.Measure(
    code="ORDINARY_ONLY",
    kind=measure_pb2.MEASURE_KIND_RESTRICTION,
    name="不适用简化办理",
    name_en="Ordinary handling only",
    legal_basis="《示例条例》第二条",
)


@dataclass
class CreditPlatform(credit_service_pb2_grpc.CreditServiceServicer):
    """Keeps what it was asked; `ready` is cleared to keep callers waiting."""

    address: str = ""
    measures: tuple[measure_pb2.Measure, ...] = ()
    standing: measure_pb2.Standing.ValueType = measure_pb2.STANDING_NONE
    known: bool = True
    # How many of the next calls fail, how, and with which words.
    failures: int = 0
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    words: str = ""
    calls: list[tuple[Any, dict[str, str]]] = field(default_factory=list)
    slow: bool = False

    def reset(self, **changes: Any) -> None:
        """As it was made, but for the changes."""
        self.__dict__.update(vars(CreditPlatform(address=self.address)) | changes)

    async def CheckSubject(self, request: pb.CheckSubjectRequest, context: Any) -> pb.CheckSubjectResponse:
        await self._take(request, context)
        return pb.CheckSubjectResponse(
            subject_id=SUBJECT if self.known else "",
            standing=self.standing,
            measures=[measure_pb2.AppliedMeasure(measure=measure) for measure in self.measures],
        )

    async def RegisterSubject(self, request: pb.RegisterSubjectRequest, context: Any) -> pb.RegisterSubjectResponse:
        await self._take(request, context)
        return pb.RegisterSubjectResponse(subject=subject_pb2.Subject(id=SUBJECT, kind=request.kind))

    async def _take(self, request: Any, context: Any) -> None:
        self.calls.append((request, dict(context.invocation_metadata())))
        if self.slow:
            # Longer than any test waits; the caller's deadline ends it.
            await asyncio.sleep(600)
        if self.failures:
            self.failures -= 1
            await context.abort(self.code, self.words)


@contextmanager
def platform() -> Iterator[CreditPlatform]:
    """One that listens on a free port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = CreditPlatform()

    async def start() -> grpc.aio.Server:
        server = grpc.aio.server()
        credit_service_pb2_grpc.add_CreditServiceServicer_to_server(found, server)
        found.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def changed(standing: measure_pb2.Standing.ValueType, *, subject: str = SUBJECT) -> events_pb2.StandingChanged:
    """The event that a subject's standing is another now."""
    return events_pb2.StandingChanged(subject_id=subject, region_code="350602", record_id=RECORD, standing=standing)


def publication(happened: object) -> Publication:
    """What is emitted in the stand-in is the payload itself."""
    assert isinstance(happened, events_pb2.StandingChanged)
    return Publication(subject=happened.subject_id, region=happened.region_code, payload=happened)
