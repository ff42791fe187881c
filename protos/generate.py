"""Builds the stubs, their types and the descriptor set into gen/, as a build hook of the package and as a command."""

import os
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
DESCRIPTORS = "tulou/descriptors.binpb"
OPERATIONS = "google/longrunning/operations.proto"


def generate(root: Path = HERE) -> None:
    """Writes gen/tulou/** from tulou/**.proto under `root`. Raises SystemExit when protoc refuses a proto."""
    out = root / "gen"
    shutil.rmtree(out, ignore_errors=True)
    (out / "tulou").mkdir(parents=True)
    protos = sorted(str(path.relative_to(root)) for path in (root / "tulou").rglob("*.proto"))
    # google/rpc/error_details.proto is in the set because the gateway renders errors with it.
    extra = ["google/rpc/error_details.proto", "google/rpc/status.proto"]
    googleapis = Path(annotations_pb2.__file__).parents[2]
    # The mypy plugins stand beside the interpreter, which a build environment need not have on its PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with tempfile.TemporaryDirectory() as renamed:
        put_operations(Path(renamed), googleapis / "google")
        includes = [f"-I{each}" for each in (root, renamed, googleapis, files("grpc_tools") / "_proto")]
        code = [f"--python_out={out}", f"--grpc_python_out={out}"]
        types = [f"--mypy_out=quiet:{out}", f"--mypy_grpc_out=quiet:{out}"]
        _protoc([*includes, *code, *types, *protos])
        descriptors = [f"--descriptor_set_out={out / DESCRIPTORS}", "--include_imports", "--include_source_info"]
        _protoc([*includes, *descriptors, *protos, *extra])
    for package in [path.parent for path in (out / "tulou").rglob("*_pb2.py")]:
        (package / "py.typed").touch()


def put_operations(folder: Path, google: Path) -> None:
    """Puts google/longrunning/operations.proto under `folder`: the installed package has it under another name."""
    target = folder / OPERATIONS
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(google / "longrunning/operations_proto.proto", target)


def _protoc(arguments: list[str]) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        raise SystemExit("protoc refused the protos; its message stands above")


class Hook(BuildHookInterface):  # type: ignore[type-arg]
    """What hatchling calls before it packs or links the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generate(Path(self.root))


if __name__ == "__main__":
    generate()
