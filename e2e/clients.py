"""Two ways to call a city, behind one small interface, so that a test is written once: JSON over HTTP, and gRPC.

Requests and answers are dicts of proto3 JSON in both. A file's content is bytes.
"""

import json
import pkgutil
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Protocol
from urllib.parse import quote

import grpc
import httpx
from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.api.httpbody_pb2 import HttpBody  # type: ignore[import-untyped]
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

# Imported for their messages, which must be known to be read out of an Any.
from google.rpc import error_details_pb2  # type: ignore[import-untyped] # noqa: F401
from grpc_status import rpc_status  # type: ignore[import-untyped]

from e2e import numbers
from tulou_city.services import SERVICES

SECONDS: Final = 40.0
CHUNK: Final = 1024 * 1024


def _methods() -> dict[str, MethodDescriptor]:
    """Every RPC by its name; of those with the same name in several services only that of the first is bare, as in
    "WatchEvents" and "credit.WatchEvents"."""
    found: dict[str, MethodDescriptor] = {}
    for city_service in SERVICES:
        package = import_module(f"tulou.{city_service.name}.v1")
        # All of them are imported: what an Any holds must be known to be read out of it.
        for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
            module = import_module(f"{package.__name__}.{name}")
            if not name.endswith("_pb2"):
                continue
            for service in module.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    taken = method.name in found
                    found[f"{city_service.name}.{method.name}" if taken else method.name] = method
    return found


METHODS: Final[Mapping[str, MethodDescriptor]] = _methods()
STATUS_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}
Json = dict[str, Any]


class Refused(Exception):
    """A call that was not answered with OK."""

    def __init__(self, status: str, http: int | None, error: Mapping[str, Any]) -> None:
        details = {detail["@type"].rpartition(".")[2]: detail for detail in error.get("details", ())}
        info, localized = details.get("ErrorInfo", {}), details.get("LocalizedMessage", {})
        self.status = status
        self.http = http
        self.message: str = error.get("message", "")
        self.reason: str = info.get("reason", "")
        self.domain: str = info.get("domain", "")
        self.metadata: Mapping[str, str] = info.get("metadata", {})
        self.locale: str = localized.get("locale", "")
        self.localized: str = localized.get("message", "")
        self.violations: list[Mapping[str, str]] = details.get("BadRequest", {}).get("fieldViolations", [])
        told = f"{status} {http or ''} {self.reason} {self.message} {self.violations or ''}"
        assert not numbers.in_clear(str(error).encode()), f"a refusal tells a person's number: {told}"
        super().__init__(told)


def service_of(rpc: str) -> str:
    """The city's service that an RPC or, by its full name, a method belongs to: "approval"."""
    return (METHODS[rpc].containing_service.full_name if rpc in METHODS else rpc.lstrip("/")).split(".")[1]


class Client(Protocol):
    """Calls RPCs by their name in the protos."""

    name: str

    def call(self, rpc: str, body: Json, *, token: str = "", language: str = "", traceparent: str = "") -> Json:
        """The answer. Raises Refused, and whatever the transport raises when nobody answers."""
        ...

    def watch(self, body: Json, *, token: str, rpc: str = "WatchEvents") -> Generator[Json]:
        """The events as they come; ends when the caller stops reading."""
        ...

    def close(self) -> None:
        """Closes all connections."""
        ...


@dataclass
class HttpRequest:
    """What goes over the wire for one call."""

    verb: str
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class HttpClient:
    """JSON through the gateway, by the google.api.http rules of the protos."""

    name = "http"

    def __init__(self, url: str) -> None:
        # There is no TLS here, and reading the system's roots takes longer than many a test.
        self._http = httpx.Client(base_url=url, timeout=SECONDS, trust_env=False, verify=False)

    def call(self, rpc: str, body: Json, *, token: str = "", language: str = "", traceparent: str = "") -> Json:
        """See Client."""
        request = self.request(rpc, body)
        request.headers |= _metadata(token, language, traceparent)
        return self.answer(self.send(request))

    def watch(self, body: Json, *, token: str, rpc: str = "WatchEvents") -> Generator[Json]:
        """See Client."""
        request = self.request(rpc, body)
        with self._http.stream("GET", request.path, params=request.query, headers=_metadata(token)) as response:
            if response.status_code != 200:
                response.read()
                self.answer(response)
            assert response.headers["content-type"].startswith("text/event-stream")
            for line in response.iter_lines():
                if line.startswith("data:"):
                    yield _event(json.loads(line.removeprefix("data:")))

    def close(self) -> None:
        """See Client."""
        self._http.close()

    @staticmethod
    def request(rpc: str, body: Json) -> HttpRequest:
        """The request that the RPC's HTTP rule makes of this body."""
        rule = METHODS[rpc].GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        rest = dict(body)

        def fill(variable: re.Match[str]) -> str:
            return quote(str(rest.pop(_camel(variable[1]), "")), safe="")

        request = HttpRequest(verb.upper(), re.sub(r"{(\w+)}", fill, getattr(rule, verb)))
        if rule.body == "*":
            request.headers["content-type"] = "application/json"
            request.content = json.dumps(rest, ensure_ascii=False).encode()
            return request
        if rule.body:
            file = rest.pop(_camel(rule.body))
            request.headers["content-type"], request.content = file["contentType"], file["data"]
        request.query = {key: str(value).lower() if value in (True, False) else value for key, value in rest.items()}
        return request

    def send(self, request: HttpRequest) -> httpx.Response:
        """The response, whatever its status."""
        return self._http.request(
            request.verb, request.path, params=request.query, content=request.content, headers=request.headers
        )

    @staticmethod
    def answer(response: httpx.Response) -> Json:
        """The answer in a response. Raises Refused."""
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if response.is_success and media_type != "application/json":
            return {"contentType": media_type, "data": response.content}
        content: Json = response.json() if media_type == "application/json" else {"message": response.text}
        if response.is_success:
            return content
        raise Refused(STATUS_NAMES.get(content.get("code", 2), "UNKNOWN"), response.status_code, content)


class GrpcClient:
    """gRPC: through the gateway as partners call, or straight to the services whose addresses it has."""

    name = "grpc"

    def __init__(self, address: str, *, services: Mapping[str, str] | None = None) -> None:
        # Each client has connections of its own, as each partner has.
        options = [("grpc.use_local_subchannel_pool", 1)]
        addresses = {"": address, **(services or {})}
        self._channels = {name: grpc.insecure_channel(where, options=options) for name, where in addresses.items()}

    def call(self, rpc: str, body: Json, *, token: str = "", language: str = "", traceparent: str = "") -> Json:
        """See Client."""
        method = METHODS[rpc]
        path, codec, channel = _path(method), _codec(method), self._channel(rpc)
        metadata = tuple(_metadata(token, language, traceparent).items())
        try:
            if method.client_streaming:
                pieces = _pieces(method, body)
                return _json(channel.stream_unary(path, **codec)(pieces, timeout=SECONDS, metadata=metadata))
            request = _message(method, body)
            if method.server_streaming:
                parts: list[HttpBody] = list(
                    channel.unary_stream(path, **codec)(request, timeout=SECONDS, metadata=metadata)
                )
                media_type = parts[0].content_type.partition(";")[0] if parts else ""
                return {"contentType": media_type, "data": b"".join(part.data for part in parts)}
            return _json(channel.unary_unary(path, **codec)(request, timeout=SECONDS, metadata=metadata))
        except grpc.RpcError as error:
            raise _refused(error) from None

    def watch(self, body: Json, *, token: str, rpc: str = "WatchEvents") -> Generator[Json]:
        """See Client."""
        method = METHODS[rpc]
        stream = self._channel(rpc).unary_stream(_path(method), **_codec(method))
        call = stream(_message(method, body), timeout=SECONDS, metadata=tuple(_metadata(token).items()))
        try:
            for message in call:
                yield _event(_json(message))
        except grpc.RpcError as error:
            raise _refused(error) from None
        finally:
            call.cancel()

    def unknown(self, path: str, *, token: str) -> None:
        """Calls a method that no proto knows. Raises Refused."""
        try:
            call: Any = self._channel(path).unary_unary(path)
            call(b"", timeout=SECONDS, metadata=tuple(_metadata(token).items()))
        except grpc.RpcError as error:
            raise _refused(error) from None

    def close(self) -> None:
        """See Client."""
        for channel in self._channels.values():
            channel.close()

    def _channel(self, rpc: str) -> grpc.Channel:
        return self._channels.get(service_of(rpc)) or self._channels[""]


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _event(message: Json) -> Json:
    event: Json = message["event"]
    assert not numbers.in_clear(str(event).encode()), f"an event tells a person's number: {event['type']}"
    return event


def _metadata(token: str, language: str = "", traceparent: str = "") -> dict[str, str]:
    # The gateway traces every call that bears the second, however few of the others.
    found = {"accept-language": language, "traceparent": traceparent, "x-client-trace-id": traceparent}
    found["authorization"] = f"Bearer {token}" if token else ""
    return {name: value for name, value in found.items() if value}


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda letter: letter[1].upper(), name)


def _codec(method: MethodDescriptor) -> dict[str, Any]:
    return {
        "request_serializer": lambda message: message.SerializeToString(),
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }


def _message(method: MethodDescriptor, body: Json) -> Any:
    # Deeper than any request may be, so that the service gets to say so.
    return ParseDict(body, GetMessageClass(method.input_type)(), max_recursion_depth=1000)


def _pieces(method: MethodDescriptor, body: Json) -> Iterator[Message]:
    """An upload: its ids with the first piece of the content, then the rest."""
    kind = GetMessageClass(method.input_type)
    data: bytes = body["file"]["data"]
    first: Any = ParseDict({key: value for key, value in body.items() if key != "file"}, kind())
    first.file.content_type, first.file.data = body["file"]["contentType"], data[:CHUNK]
    yield first
    for start in range(CHUNK, len(data), CHUNK):
        yield kind(file=HttpBody(data=data[start : start + CHUNK]))


def _json(message: Message) -> Json:
    return MessageToDict(message, always_print_fields_with_no_presence=True)


def _refused(error: Any) -> Refused:
    status = rpc_status.from_call(error)
    return Refused(
        error.code().name, None, MessageToDict(status) if status else {"message": error.details() or str(error)}
    )
