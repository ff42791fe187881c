"""What the protos say of each RPC a server offers."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from tulou.options.v1 import access_pb2


@dataclass(frozen=True)
class Method:
    """One RPC: its access rule and its shape."""

    access: access_pb2.Access
    # As tokens write them: "clerk" for ROLE_CLERK.
    roles: frozenset[str]
    response_type: type[Message]
    asks_in_stream: bool
    answers_in_stream: bool


def methods_of(services: Iterable[ServiceDescriptor]) -> dict[str, Method]:
    """The RPCs of the services by their path, "/package.Service/Name"."""
    return {
        f"/{service.full_name}/{method.name}": _method(method) for service in services for method in service.methods
    }


def _method(method: MethodDescriptor) -> Method:
    rule = method.GetOptions().Extensions[access_pb2.access]
    return Method(
        access=rule,
        roles=frozenset(access_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in rule.roles),
        response_type=message_factory.GetMessageClass(method.output_type),
        asks_in_stream=method.client_streaming,
        answers_in_stream=method.server_streaming,
    )
