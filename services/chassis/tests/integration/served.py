"""The house of house.proto behind the chassis' guards, in the test's own event loop."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage
from google.rpc.status_pb2 import Status

from services.chassis.tests.house import HOUSE, KEYRING, EchoRequest, EchoResponse, WriteRequest
from services.chassis.tests.integration.worker.notes import MIGRATIONS
from tulou_chassis.db import Database
from tulou_chassis.errors import Answer
from tulou_chassis.events import Publication
from tulou_chassis.server import Service, make_server
from tulou_chassis.settings import Settings
from tulou_gateway.tokens import mint

ISSUER: Final = "https://issuer.test"
_tokens: Final[dict[tuple[tuple[str, ...], str], str]] = {}
PATH: Final = f"/{HOUSE.full_name}/"


class DoorLocked(Exception):
    """A refusal of the house's own."""

    def __init__(self, door: str) -> None:
        super().__init__(door)
        self.door = door


ANSWERS: Final = {
    DoorLocked: Answer(
        grpc.StatusCode.FAILED_PRECONDITION, "DOOR_LOCKED", "门 {door} 已锁。", "Door {door} is locked.", "house.tulou"
    )
}


def publication(happened: object) -> Publication:
    """What is emitted in these tests is (subject, text)."""
    subject, text = happened  # type: ignore[misc]
    return Publication(subject=subject, region="3506", payload=StringValue(value=text))


@dataclass
class Refused(Exception):
    """A refusal, unpacked."""

    code: grpc.StatusCode
    message: str
    info: ErrorInfo = field(default_factory=ErrorInfo)
    local: LocalizedMessage = field(default_factory=LocalizedMessage)
    bad: BadRequest = field(default_factory=BadRequest)

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> "Refused":
        found = cls(error.code(), error.details() or "")
        content = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        for detail in Status.FromString(content).details:
            for kind in (found.info, found.local, found.bad):
                if detail.Is(kind.DESCRIPTOR):
                    detail.Unpack(kind)
        return found


@dataclass
class Served:
    """The running house. Tests put what an RPC does into `does`."""

    channel: grpc.aio.Channel
    database: Database
    issuer_key: bytes
    does: dict[str, Callable[[Any], Awaitable[Any]]]

    def token(self, *roles: str, **changes: Any) -> str:
        """A token of the issuer these tests trust. Signed once, for signing takes longer than most calls."""
        if (roles, str(changes)) in _tokens:
            return _tokens[roles, str(changes)]
        claims = {"issuer": ISSUER, "audience": "tulou", "subject": "user-1", "org": "", "region": "3506", "name": ""}
        _tokens[roles, str(changes)] = mint(self.issuer_key, **{**claims, "roles": list(roles), **changes})
        return _tokens[roles, str(changes)]

    async def call(
        self,
        rpc: str,
        message: Message | bytes | None = None,
        *,
        roles: tuple[str, ...] = ("clerk",),
        headers: dict[str, str] | None = None,
        patience: float = 20,
    ) -> Any:
        """Calls a unary RPC, with a token of these roles unless a header says otherwise. Raises Refused."""
        call = self.channel.unary_unary(
            PATH + rpc, request_serializer=_serialize, response_deserializer=EchoResponse.FromString
        )
        try:
            return await call(_message(message), metadata=self.metadata(roles, headers), timeout=patience)
        except grpc.aio.AioRpcError as error:
            raise Refused.of(error) from None

    async def count(self, message: Message | bytes | None = None, *, patience: float = 20) -> AsyncIterator[str]:
        """Calls the server stream."""
        call = self.channel.unary_stream(
            PATH + "Count", request_serializer=_serialize, response_deserializer=EchoResponse.FromString
        )
        try:
            async for answer in call(_message(message), metadata=self.metadata(("clerk",)), timeout=patience):
                yield answer.text
        except grpc.aio.AioRpcError as error:
            raise Refused.of(error) from None

    async def collect(self, messages: AsyncIterator[Message | bytes], *, patience: float = 20) -> str:
        """Calls the client stream."""
        call = self.channel.stream_unary(
            PATH + "Collect", request_serializer=_serialize, response_deserializer=EchoResponse.FromString
        )
        try:
            answer = await call(messages, metadata=self.metadata(("clerk",)), timeout=patience)
        except grpc.aio.AioRpcError as error:
            raise Refused.of(error) from None
        return str(answer.text)

    def metadata(self, roles: tuple[str, ...], headers: dict[str, str] | None = None) -> tuple[tuple[str, str], ...]:
        """The headers of a call."""
        own = {"authorization": f"Bearer {self.token(*roles)}"} if roles else {}
        return tuple({**own, **(headers or {})}.items())


def write(text: str = "a", request_id: str = "") -> Any:
    """A WriteRequest."""
    return WriteRequest(request_id=request_id or str(uuid.uuid4()), text=text)


def _message(given: Message | bytes | None) -> Message | bytes:
    return EchoRequest(text="hello") if given is None else given


def _serialize(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


@asynccontextmanager
async def serving(settings: Settings, database: Database, issuer_key: bytes) -> AsyncIterator[Served]:
    """The house on a free port."""
    does: dict[str, Callable[[Any], Awaitable[Any]]] = {}

    def register(server: grpc.aio.Server, _: Database) -> None:
        async def unary(rpc: str, request: Any) -> Any:
            if rpc in does:
                return await does[rpc](request)
            return EchoResponse(text=request.text)

        async def count(request: Any, _: Any) -> AsyncIterator[Any]:
            for number in range(int(request.text)):
                if "Count" in does:
                    await does["Count"](number)
                yield EchoResponse(text=str(number))

        async def collect(requests: AsyncIterator[Any], _: Any) -> Any:
            return EchoResponse(text=",".join([request.text async for request in requests]))

        def handler(rpc: str) -> grpc.RpcMethodHandler:
            kind = WriteRequest if rpc == "Write" else EchoRequest
            codec = {
                "request_deserializer": kind.FromString,
                "response_serializer": EchoResponse.SerializeToString,
            }
            if rpc == "Count":
                return grpc.unary_stream_rpc_method_handler(count, **codec)
            if rpc == "Collect":
                return grpc.stream_unary_rpc_method_handler(collect, **codec)
            return grpc.unary_unary_rpc_method_handler(lambda request, _: unary(rpc, request), **codec)

        handlers = {method.name: handler(method.name) for method in HOUSE.methods}
        server.add_registered_method_handlers(HOUSE.full_name, handlers)

    service = Service(
        name="chassis",
        descriptors=[HOUSE],
        answers=ANSWERS,
        keyring=KEYRING,
        publisher=publication,
        migrations=MIGRATIONS,
        register=register,
    )
    server, *_ = make_server(service, settings, database)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(channel, database, issuer_key, does)
    await server.stop(0)
