"""What every call passes through, in one visible order: the functions of `chain`."""

import asyncio
import logging as stdlib_logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import grpc
import structlog
from google.protobuf.message import Message
from opentelemetry import context, metrics, trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tulou_chassis.calls import Call
from tulou_chassis.errors import (
    ROLE_NOT_ALLOWED,
    TOKEN_INVALID,
    TOKEN_MISSING,
    Answer,
    Refusal,
    answer_for,
    status_for,
)
from tulou_chassis.methods import Method
from tulou_chassis.tokens import Verifier
from tulou_chassis.validation import validate

MAX_SECONDS: Final = 30.0
MAX_UPLOAD_SECONDS: Final = 1_800.0
log = structlog.get_logger()
tracer = trace.get_tracer("tulou_chassis")
_PROPAGATOR = TraceContextTextMapPropagator()
# Ours, not the caller's.
_FAILURES: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN})

# What answers a call; None for a stream, whose messages have been written by then.
Handler = Callable[[Call], Awaitable[Message | None]]
# Does its part, awaits the handler it is given, and may see to what comes back.
Guard = Callable[[Handler, Call], Awaitable[Message | None]]


def chain(
    methods: Mapping[str, Method], answers: Mapping[type[Exception], Answer], verifier: Verifier
) -> tuple[Guard, ...]:
    """The guards, outermost first. A call enters them in this order and leaves in the reverse."""
    return (
        recovery(answers),
        telemetry(),
        # Outside of those that refuse, so that refused calls are in the log too.
        logging(answers),
        deadline(methods),
        authentication(verifier),
        access(methods),
        validation(),
        idempotency(),
    )


def guarded(handler: Handler, guards: Sequence[Guard]) -> Handler:
    """The handler inside all guards, the first of them outermost."""
    for guard in reversed(guards):
        handler = partial(guard, handler)
    return handler


def recovery(answers: Mapping[type[Exception], Answer]) -> Guard:
    """Turns exceptions into statuses. The words of an unexpected one go to the log, never to the caller."""

    async def guard(handler: Handler, call: Call) -> Message | None:
        try:
            return await handler(call)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            answer = answer_for(error, answers)
            status = status_for(error, answer, locale=call.locale, trace_id=call.trace_id)
            return await call.context.abort(
                answer.code, status.message, (("grpc-status-details-bin", status.SerializeToString()),)
            )

    return guard


def telemetry() -> Guard:
    """One server span and one duration a call. The span joins the caller's trace."""
    durations = metrics.get_meter("tulou_chassis").create_histogram(
        "rpc.server.duration", unit="ms", description="Time a call took"
    )

    async def guard(handler: Handler, call: Call) -> Message | None:
        begin = time.perf_counter()
        service, _, name = call.method[1:].partition("/")
        span = tracer.start_span(
            call.method[1:],
            context=_PROPAGATOR.extract(call.metadata),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        call.trace_id = f"{span.get_span_context().trace_id:032x}"
        token = context.attach(trace.set_span_in_context(span))
        try:
            return await handler(call)
        finally:
            context.detach(token)
            span.set_attribute("rpc.grpc.status_code", call.code.value[0])
            if call.code in _FAILURES:
                span.set_status(StatusCode.ERROR)
            span.end()
            attributes = {"rpc.service": service, "rpc.method": name, "code": call.code.name}
            durations.record((time.perf_counter() - begin) * 1000, attributes)

    return guard


def logging(answers: Mapping[type[Exception], Answer]) -> Guard:
    """One line a call: method, code, time, who; never a request's content. An unexpected failure has its traceback."""

    async def guard(handler: Handler, call: Call) -> Message | None:
        begin = time.perf_counter()
        failure: Exception | None = None
        try:
            return await handler(call)
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            call.code = answer_for(error, answers).code
            if call.code is grpc.StatusCode.INTERNAL:
                failure = error
            raise
        finally:
            log.log(
                stdlib_logging.ERROR if failure else stdlib_logging.INFO,
                "call",
                method=call.method,
                code=call.code.name,
                ms=round((time.perf_counter() - begin) * 1000, 2),
                subject=call.principal.subject if call.principal else "",
                **({"exc_info": failure} if failure else {}),
            )

    return guard


def deadline(methods: Mapping[str, Method]) -> Guard:
    """Bounds the time of a call: what the caller allows, at most half a minute, for an upload half an hour.

    A stream of answers has its own end.
    """

    async def guard(handler: Handler, call: Call) -> Message | None:
        method = methods[call.method]
        if method.answers_in_stream:
            return await handler(call)
        longest = MAX_UPLOAD_SECONDS if method.asks_in_stream else MAX_SECONDS
        remaining = call.context.time_remaining()
        async with asyncio.timeout(longest if remaining is None else min(remaining, longest)):
            return await handler(call)

    return guard


def authentication(verifier: Verifier) -> Guard:
    """Finds the caller. A token that is there must be good, also where none is needed."""

    async def guard(handler: Handler, call: Call) -> Message | None:
        header = call.metadata.get("authorization", "")
        if header:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise Refusal(TOKEN_INVALID)
            call.principal = await verifier.principal(token)
        return await handler(call)

    return guard


def access(methods: Mapping[str, Method]) -> Guard:
    """The access rule of the RPC's proto. No rule means denied."""

    async def guard(handler: Handler, call: Call) -> Message | None:
        rule = methods[call.method].access
        if not rule.anonymous:
            if call.principal is None:
                raise Refusal(TOKEN_MISSING)
            if call.principal.roles.isdisjoint(methods[call.method].roles):
                raise Refusal(ROLE_NOT_ALLOWED, method=call.method)
        return await handler(call)

    return guard


def validation() -> Guard:
    """The field rules of the request's proto. The messages of a client stream are the handler's to check."""

    async def guard(handler: Handler, call: Call) -> Message | None:
        if call.request is not None:
            validate(call.request)
        return await handler(call)

    return guard


def idempotency() -> Guard:
    """Notes a write's request_id for the transaction that will keep its answer."""

    async def guard(handler: Handler, call: Call) -> Message | None:
        if call.request is not None and (request_id := getattr(call.request, "request_id", "")):
            payload = call.request.SerializeToString(deterministic=True)
            call.idempotency = call.key(request_id, payload)
        return await handler(call)

    return guard
