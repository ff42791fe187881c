"""The gRPC server process: one port with the service, health and reflection; metrics on a second; a graceful end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import grpc
import structlog
import uvloop
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tulou_chassis import probes
from tulou_chassis.calls import CURRENT, Call
from tulou_chassis.db import Database
from tulou_chassis.errors import UNREADABLE, Answer, Refusal
from tulou_chassis.events import Publisher
from tulou_chassis.guards import Guard, Handler, chain, guarded
from tulou_chassis.health import Health
from tulou_chassis.keyring import Keyring
from tulou_chassis.locales import locale_of
from tulou_chassis.logs import configure_logs
from tulou_chassis.methods import Method, methods_of
from tulou_chassis.settings import Settings
from tulou_chassis.telemetry import configure_telemetry, shut_telemetry_down, trace_statements
from tulou_chassis.tokens import KeysUnreadable, Verifier

MAX_MESSAGE: Final = 4 * 1024 * 1024
MAX_METADATA: Final = 16 * 1024
CONCURRENT_CALLS: Final = 1_000
# For answers that are on their way when the last call has ended.
LAST_WORDS_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 3.0
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a service hands to the chassis to be served."""

    name: str
    descriptors: Sequence[ServiceDescriptor]
    answers: Mapping[type[Exception], Answer]
    keyring: Keyring
    # Turns what operations note as having happened into what is published.
    publisher: Publisher
    # The folder with the service's migrations.
    migrations: Path
    # Registers the servicers.
    register: Callable[[grpc.aio.Server, Database], None]


class Guarded:
    """Stands for the server where servicers are added to it, and puts the guards around each of their methods.

    The methods become generic handlers, and no interceptor finds them: for each call gRPC would make a chain of its
    interceptors anew, and wait anew for the next call of every method it was told by name (measured: 0.03 ms a call).
    """

    def __init__(
        self, server: grpc.aio.Server, methods: Mapping[str, Method], guards: Sequence[Guard], keyring: Keyring
    ) -> None:
        self._server = server
        self._methods = methods
        self._guards = guards
        self._keyring = keyring
        self._running = 0
        # Set while no call runs.
        self.idle = asyncio.Event()
        self.idle.set()

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Called by generated code, with the handlers of a servicer by name."""
        wrapped = {name: self._wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))

    def add_generic_rpc_handlers(self, _handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Called by generated code too, with the same handlers, which no one may reach past the guards."""

    def _wrap(self, path: str, handler: Any) -> Any:
        codec = {
            "request_deserializer": _none_if_unreadable(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming:

            async def collect(requests: AsyncIterator[Message], context: Any) -> Message | None:
                # Not before the guards have let the call in: a stream that is begun and not read warns.
                def answer(_call: Call) -> Any:
                    return handler.stream_unary((_readable(message) async for message in requests), context)

                return await self._run(guarded(answer, self._guards), path, None, context)

            return grpc.stream_unary_rpc_method_handler(collect, **codec)
        if handler.response_streaming:

            async def write_all(call: Call) -> None:
                async for message in handler.unary_stream(_readable(call.request), call.context):
                    await call.context.write(message)

            streamed = guarded(write_all, self._guards)

            async def stream(request: Message, context: Any) -> None:
                await self._run(streamed, path, request, context)

            return grpc.unary_stream_rpc_method_handler(stream, **codec)

        answered = guarded(lambda call: handler.unary_unary(_readable(call.request), call.context), self._guards)

        async def answer(request: Message, context: Any) -> Message | None:
            return await self._run(answered, path, request, context)

        return grpc.unary_unary_rpc_method_handler(answer, **codec)

    async def _run(self, handler: Handler, path: str, request: Message | None, context: Any) -> Message | None:
        self._running += 1
        self.idle.clear()
        try:
            return await handler(self._call(path, request, context))
        finally:
            self._running -= 1
            if not self._running:
                self.idle.set()

    def _call(self, path: str, request: Message | None, context: Any) -> Call:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        call = Call(
            method=path,
            context=context,
            request=request,
            response_type=self._methods[path].response_type,
            metadata=metadata,
            locale=locale_of(metadata.get("accept-language", "")),
            digest=self._keyring.digest,
        )
        CURRENT.set(call)
        return call


def _none_if_unreadable(deserialize: Callable[[bytes], Message]) -> Callable[[bytes], Message | None]:
    """gRPC would answer a failing deserializer itself, with the exception's words. None gets as far as the handler."""

    def attempt(content: bytes) -> Message | None:
        try:
            return deserialize(content)
        except DecodeError:
            return None

    return attempt


def _readable(message: Message | None) -> Message:
    if message is None:
        raise Refusal(UNREADABLE)
    return message


def serve(service: Service, settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; then finishes what runs, refuses what is new, at most `drain_seconds`."""
    configure_logs(service.name, settings)
    configure_telemetry(service.name, settings)
    uvloop.run(_serve(service, settings))
    shut_telemetry_down()


def make_server(
    service: Service, settings: Settings, database: Database
) -> tuple[grpc.aio.Server, health.aio.HealthServicer, Guarded]:
    """The server, not started, with the service behind its guards, health and reflection. It listens nowhere yet.

    Raises KeysUnreadable.
    """
    methods = methods_of(service.descriptors)
    verifier = Verifier(issuer=settings.oidc_issuer, audience=settings.oidc_audience, jwks=settings.oidc_jwks)
    server = grpc.aio.server(
        maximum_concurrent_rpcs=CONCURRENT_CALLS,
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_metadata_size", MAX_METADATA),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ],
    )
    calls = Guarded(server, methods, chain(methods, service.answers, verifier), service.keyring)
    service.register(cast(grpc.aio.Server, calls), database)
    # Health and reflection are open to everyone: they tell nothing that the protos do not.
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    names = [descriptor.full_name for descriptor in service.descriptors]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return server, healthy, calls


async def _serve(service: Service, settings: Settings) -> None:
    database = Database(settings.database_for(service.name), pool=settings.database_pool, publisher=service.publisher)
    trace_statements(settings, *database.engines)
    try:
        server, healthy, calls = make_server(service, settings, database)
    except KeysUnreadable as error:
        raise SystemExit(f"{service.name}: TULOU_OIDC_JWKS: {error}") from None
    try:
        server.add_insecure_port(settings.grpc_address)
    except RuntimeError:
        raise SystemExit(f"{service.name}: cannot listen on {settings.grpc_address}") from None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watched = Health(service.name, service.descriptors, service.migrations, database, healthy)
    try:
        web = probes.listen(settings.metrics_address, watched.application(loop))
    except OSError as error:
        raise SystemExit(f"{service.name}: cannot listen on {settings.metrics_address}: {error.strerror}") from None
    await watched.look()
    await server.start()
    watch = asyncio.create_task(watched.keep_looking())
    log.info("serving", address=settings.grpc_address)
    await stop.wait()

    log.info("draining", delay=settings.drain_delay, seconds=settings.drain_seconds)
    watch.cancel()
    await watched.end()
    # Whoever has not noticed yet is still answered.
    await asyncio.sleep(settings.drain_delay)
    database.closing.set()
    stopping = asyncio.create_task(server.stop(settings.drain_seconds))
    # gRPC would wait as long for those who watch the health or hold a reflection stream, and they never end.
    await asyncio.wait([stopping, asyncio.create_task(calls.idle.wait())], return_when=asyncio.FIRST_COMPLETED)
    await server.stop(min(LAST_WORDS_SECONDS, settings.drain_seconds))
    await stopping
    web.shutdown()
    # A database that does not answer is left without a word.
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await database.close()
    log.info("stopped")
