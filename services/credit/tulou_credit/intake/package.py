"""A workbook's zip (ECMA-376 part 2) and its XML, unpacked with a bound on everything that is counted or held."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO
from xml.parsers import expat

from tulou_credit.intake.limits import (
    CHUNK_BYTES,
    MAX_FILE_BYTES,
    MAX_PART_BYTES,
    MAX_UNZIP_RATIO,
    MAX_UNZIPPED_BYTES,
    MAX_XML_TOKEN_BYTES,
    MAX_ZIP_DIRECTORY_BYTES,
    MAX_ZIP_ENTRIES,
    UNZIP_RATIO_FROM_BYTES,
)
from tulou_credit.intake.report import Breach, UnreadableFile

_END_OF_DIRECTORY = struct.Struct("<4s4H2LH")
_EXTERNAL = re.compile(r"xl/(externalLinks/|connections\.xml|queryTables/)", re.IGNORECASE)


def refused(reason: str, detail: str = "") -> UnreadableFile:
    return UnreadableFile(Breach(0, "", reason, detail))


class Package:
    """The parts of a workbook. Raises UnreadableFile for what is no workbook, or one that does more than hold cells."""

    def __init__(self, stream: IO[bytes]) -> None:
        _check_directory(stream)
        with _zip_faults():
            self._zip = zipfile.ZipFile(stream)
        entries = self._zip.infolist()
        names = [entry.filename for entry in entries]
        if len(set(names)) < len(names):
            raise refused("BROKEN_WORKBOOK", "duplicate part")
        if any(entry.flag_bits & 1 for entry in entries):
            raise refused("PASSWORD_PROTECTED")
        # What is declared may be a lie: what is read is counted again.
        if sum(entry.file_size for entry in entries) > MAX_UNZIPPED_BYTES:
            raise refused("ZIP_BOMB", f"> {MAX_UNZIPPED_BYTES}")
        if any(name.lower().endswith("vbaproject.bin") for name in names):
            raise refused("MACROS")
        if any(_EXTERNAL.match(name) for name in names):
            raise refused("EXTERNAL_REFERENCE")
        self._names = set(names)
        self._unpacked = 0

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def chunks(self, name: str, *, most: int | None = None) -> Iterator[bytes]:
        """A part's bytes, as they are unpacked: up to `most`, and of all parts together MAX_UNZIPPED_BYTES."""
        if name not in self._names:
            raise refused("BROKEN_WORKBOOK", "missing part")
        entry = self._zip.getinfo(name)
        count = 0
        with _zip_faults(), self._zip.open(entry) as part:
            while chunk := part.read(CHUNK_BYTES):
                count += len(chunk)
                # A workbook can name one large sheet a thousand times.
                self._unpacked += len(chunk)
                if self._unpacked > MAX_UNZIPPED_BYTES or (most is not None and count > most):
                    raise refused("ZIP_BOMB", f"> {most or MAX_UNZIPPED_BYTES}")
                if count > max(UNZIP_RATIO_FROM_BYTES, entry.compress_size * MAX_UNZIP_RATIO):
                    raise refused("ZIP_BOMB", f"1:{MAX_UNZIP_RATIO}")
                yield chunk

    def read(self, name: str, parser: expat.XMLParserType) -> None:
        """A small part, whole, for the handlers of a parser."""
        for _ in parsed(self.chunks(name, most=MAX_PART_BYTES), parser):
            pass


def xml_parser(
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> expat.XMLParserType:
    """A parser that gives names without their prefix and refuses document types: none can define an entity."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def no_document_type(*_: object) -> None:
        raise refused("XML_ENTITIES")

    parser.StartDoctypeDeclHandler = no_document_type
    parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
    if end is not None:
        parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    if text is not None:
        parser.CharacterDataHandler = text
    return parser


def parsed(chunks: Iterator[bytes], parser: expat.XMLParserType) -> Iterator[None]:
    """Feeds the parser, yielding after each chunk."""
    fed = 0
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
            fed += len(chunk)
            # One tag of a gigabyte of attributes would be held whole.
            if fed - parser.CurrentByteIndex > MAX_XML_TOKEN_BYTES:
                raise refused("ZIP_BOMB", "XML")
            yield
        parser.Parse(b"", True)
    except expat.ExpatError:
        raise refused("BROKEN_WORKBOOK", "XML") from None
    yield


@contextmanager
def _zip_faults() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise refused("BROKEN_WORKBOOK", "zip") from error


def _check_directory(stream: IO[bytes]) -> None:
    """The directory's size, before zipfile holds all of it."""
    size = stream.seek(0, 2)
    if size > MAX_FILE_BYTES:
        raise refused("FILE_TOO_BIG", f"{MAX_FILE_BYTES}")
    stream.seek(max(0, size - 65_557))
    tail = stream.read()
    stream.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_OF_DIRECTORY.size:
        raise refused("BROKEN_WORKBOOK", "zip")
    _, _, _, _, entries, length, _, _ = _END_OF_DIRECTORY.unpack_from(tail, at)
    # Zip64 has a directory of its own, and no workbook of this size needs it.
    if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise refused("BROKEN_WORKBOOK", "zip64")
    if entries > MAX_ZIP_ENTRIES or length > MAX_ZIP_DIRECTORY_BYTES:
        raise refused("ZIP_BOMB", f"> {MAX_ZIP_ENTRIES}")
