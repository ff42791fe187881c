"""Makes /opt/tulou small and its start quick, in the build stage: `slim.py PACKAGE…`, our packages that are in it.

Takes away tests, sources of compiled modules and debug symbols, and compiles bytecode for what our packages import, and
for nothing else: bytecode of all that is installed would be twice as much. The same files give the same bytes.
"""

import importlib.util
import os
import pkgutil
import py_compile
import shutil
import struct
import sys
import sysconfig
import warnings
from pathlib import Path
from py_compile import PycInvalidationMode

PACKAGES = Path(sysconfig.get_path("purelib"))
# What SQLAlchemy imports by the database's URL.
DIALECTS = ("postgresql.asyncpg", "postgresql.psycopg", "sqlite")
SOURCES = frozenset({".c", ".cc", ".cpp", ".h", ".hpp", ".pxd", ".pyi", ".pyx", ".exe"})


def without_symbols(binary: bytes) -> bytes:
    """A 64-bit ELF shared object without its sections: the loader reads segments, and debug symbols are in none."""
    headers = struct.unpack_from("<Q", binary, 32)[0]
    size, count = struct.unpack_from("<2H", binary, 54)
    end = headers + size * count
    for header in range(headers, end, size):
        offset, length = struct.unpack_from("<Q16xQ", binary, header + 8)
        end = max(end, offset + length)
    # No place of sections (e_shoff), and none of them (e_shnum, e_shstrndx).
    return binary[:40] + bytes(8) + binary[48:60] + bytes(4) + binary[64:end]


def prune() -> None:
    """Removes what no process reads."""
    for path in sorted(PACKAGES.rglob("*"), reverse=True):
        if path.is_dir():
            if path.name == "tests":
                shutil.rmtree(path)
        elif path.suffix in SOURCES:
            path.unlink()
        elif ".so" in path.suffixes and (binary := path.read_bytes()).startswith(b"\x7fELF\x02\x01"):
            path.write_bytes(without_symbols(binary))


def compile_imported(packages: list[str]) -> None:
    """Writes the bytecode of every source file that is read when all of `packages` is imported, where there is none."""
    for package in packages:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    if "sqlalchemy" in sys.modules:
        for dialect in DIALECTS:
            importlib.import_module(f"sqlalchemy.dialects.{dialect}")
    for name in sorted(sys.modules):
        source = Path(getattr(sys.modules[name], "__file__", None) or "")
        ours = source.is_relative_to("/app")
        compiled = Path(importlib.util.cache_from_source(str(source)))
        if source.suffix == ".py" and (ours or source.is_relative_to(PACKAGES)) and not compiled.exists():
            # Ours may be changed in a running container while developing: its bytecode is compared with the source.
            mode = PycInvalidationMode.CHECKED_HASH if ours else PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), doraise=True, invalidation_mode=mode)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    # The processes keep these two out as well.
    sys.modules["rich"] = None  # type: ignore[assignment]
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"
    prune()
    compile_imported(sys.argv[1:])
