"""What the protos say: RPCs, their HTTP bindings, access rules, types and comments, read from the descriptor set."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

from tulou.options.v1 import access_pb2


@dataclass(frozen=True)
class Binding:
    """One HTTP rule of an RPC. `body` is "" (no body), "*" (the body is the request) or the field the body fills."""

    verb: str
    template: str
    body: str


@dataclass(frozen=True)
class Access:
    """Who may call an RPC. Roles are written as in a token: lower case, without prefix."""

    anonymous: bool
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Rpc:
    """One method. `service` is the full name, `path` is what a gRPC call's :path holds: "/pkg.Service/Name"."""

    service: str
    name: str
    path: str
    http: tuple[Binding, ...]
    access: Access | None
    request: Descriptor
    response: Descriptor
    client_streaming: bool
    server_streaming: bool
    comment: str


@dataclass(frozen=True)
class Api:
    """Everything one descriptor set says; the RPCs are those of tulou's packages. `comments` maps a full name (message,
    field, enum, value, service, method) to its leading comment; lines for linters are left out."""

    raw: bytes
    pool: DescriptorPool
    rpcs: tuple[Rpc, ...]
    comments: dict[str, str]

    @property
    def services(self) -> tuple[str, ...]:
        """The full names of the services, in the order of the set."""
        return tuple(dict.fromkeys(rpc.service for rpc in self.rpcs))


def descriptor_path() -> Path:
    """The installed descriptor set; Envoy reads the same file."""
    return Path(str(files("tulou") / "descriptors.binpb"))


def load(path: Path | None = None) -> Api:
    """Reads a descriptor set with imports and source info. Absent means the installed one."""
    raw = (path or descriptor_path()).read_bytes()
    file_set = FileDescriptorSet.FromString(raw)
    pool = DescriptorPool()
    comments: dict[str, str] = {}
    for file in file_set.file:
        pool.Add(file)
        comments.update(_comments(file))
    return Api(raw, pool, tuple(_rpcs(file_set, pool, comments)), comments)


# Services of other packages are in the set because a proto of ours imports their file; nobody serves them.
def _rpcs(file_set: FileDescriptorSet, pool: DescriptorPool, comments: dict[str, str]) -> Iterator[Rpc]:
    for file in (file for file in file_set.file if file.package.startswith("tulou.")):
        for service in file.service:
            full_name = f"{file.package}.{service.name}"
            for method in service.method:
                yield Rpc(
                    service=full_name,
                    name=method.name,
                    path=f"/{full_name}/{method.name}",
                    http=tuple(_bindings(method)),
                    access=_access(method),
                    request=pool.FindMessageTypeByName(method.input_type.lstrip(".")),
                    response=pool.FindMessageTypeByName(method.output_type.lstrip(".")),
                    client_streaming=method.client_streaming,
                    server_streaming=method.server_streaming,
                    comment=comments.get(f"{full_name}.{method.name}", ""),
                )


def _bindings(method: MethodDescriptorProto) -> Iterator[Binding]:
    if not method.options.HasExtension(annotations_pb2.http):
        return
    rule = method.options.Extensions[annotations_pb2.http]
    for one in (rule, *rule.additional_bindings):
        verb = one.WhichOneof("pattern")
        if verb == "custom":
            yield Binding(one.custom.kind.upper(), one.custom.path, one.body)
        elif verb is not None:
            yield Binding(verb.upper(), getattr(one, verb), one.body)


def _access(method: MethodDescriptorProto) -> Access | None:
    if not method.options.HasExtension(access_pb2.access):
        return None
    rule = method.options.Extensions[access_pb2.access]
    roles = (access_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in rule.roles)
    return Access(rule.anonymous, tuple(roles))


def _comments(file: FileDescriptorProto) -> dict[str, str]:
    names = dict(_names(file))
    found = {}
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        lines = (line.strip() for line in location.leading_comments.splitlines())
        text = "\n".join(line for line in lines if not line.startswith("buf:lint")).strip()
        if name and text:
            found[name] = text
    return found


# The numbers in a source path are the field numbers of descriptor.proto: file.message_type is 4, message.field is 2, …
def _names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for i, message in enumerate(file.message_type):
        yield from _message_names(message, (4, i), file.package)
    for i, enum in enumerate(file.enum_type):
        yield from _enum_names(enum, (5, i), file.package)
    for i, service in enumerate(file.service):
        yield from _service_names(service, (6, i), file.package)


def _message_names(
    message: DescriptorProto, path: tuple[int, ...], scope: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{message.name}"
    yield path, name
    for i, field in enumerate(message.field):
        yield (*path, 2, i), f"{name}.{field.name}"
    for i, nested in enumerate(message.nested_type):
        yield from _message_names(nested, (*path, 3, i), name)
    for i, enum in enumerate(message.enum_type):
        yield from _enum_names(enum, (*path, 4, i), name)


# A value is named under its enum here, though protobuf scopes it beside the enum: two enums' comments must not mix.
def _enum_names(enum: EnumDescriptorProto, path: tuple[int, ...], scope: str) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{enum.name}"
    yield path, name
    for i, value in enumerate(enum.value):
        yield (*path, 2, i), f"{name}.{value.name}"


def _service_names(
    service: ServiceDescriptorProto, path: tuple[int, ...], scope: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{service.name}"
    yield path, name
    for i, method in enumerate(service.method):
        yield (*path, 2, i), f"{name}.{method.name}"
