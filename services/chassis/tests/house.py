"""The messages and the service of house.proto, for the chassis' own tests."""

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf import descriptor_pool, field_mask_pb2, message_factory, struct_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

import tulou.options.v1.access_pb2
import tulou.options.v1.field_pb2
from tulou_chassis.keyring import Keyring

_HERE: Final = Path(__file__).parent
_PROTOS: Final = _HERE.parents[2] / "protos"
_PACKAGE: Final = "tulou.test.house.v1"
# What house.proto imports has to be in the pool.
IMPORTED: Final = (
    field_behavior_pb2,
    field_mask_pb2,
    struct_pb2,
    tulou.options.v1.access_pb2,
    tulou.options.v1.field_pb2,
)


def _load() -> None:
    googleapis = Path(annotations_pb2.__file__).parents[2]
    with tempfile.NamedTemporaryFile() as found:
        includes = [f"-I{folder}" for folder in (_HERE, _PROTOS, googleapis, files("grpc_tools") / "_proto")]
        assert protoc.main(["protoc", *includes, f"--descriptor_set_out={found.name}", "house.proto"]) == 0
        content = FileDescriptorSet.FromString(Path(found.name).read_bytes())
    for file in content.file:
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


_load()
HOUSE: Final = descriptor_pool.Default().FindServiceByName(f"{_PACKAGE}.HouseService")
EchoRequest: Final = _message("EchoRequest")
EchoResponse: Final = _message("EchoResponse")
WriteRequest: Final = _message("WriteRequest")
Rules: Final = _message("Rules")
Part: Final = _message("Part")
Must: Final = _message("Must")
ChangeRequest: Final = _message("ChangeRequest")
# The house seals nothing; it hashes what was asked.
KEYRING: Final = Keyring("k1", {}, {}, bytes(32))
