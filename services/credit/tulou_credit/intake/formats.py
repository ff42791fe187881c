"""Which format and which encoding a file has, and its text line by line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from enum import StrEnum
from typing import IO

from tulou_credit.intake.limits import CHUNK_BYTES, MAX_FILE_BYTES, MAX_LINE_CHARACTERS, SAMPLE_BYTES
from tulou_credit.intake.report import Breach, UnreadableFile


class Encoding(StrEnum):
    """The encodings files come in; GB18030 includes GBK and GB2312."""

    UTF_8 = "utf-8"
    GB18030 = "gb18030"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"


_BOMS = (
    (codecs.BOM_UTF8, Encoding.UTF_8),
    (codecs.BOM_UTF16_LE, Encoding.UTF_16_LE),
    (codecs.BOM_UTF16_BE, Encoding.UTF_16_BE),
    (b"\x84\x31\x95\x33", Encoding.GB18030),
)
# Enough Chinese to tell encodings apart; reading on for more would only delay the first row.
_TELLING_BYTES = 4_000
# Of Chinese prose over 95 characters in 100 are among the 3,755 of GB 2312's first level; of UTF-8 or Big5 taken for
# GB18030 under half.
_COMMON_SHARE = 0.7


def text_lines(stream: IO[bytes], *, head: bytes, encoding: Encoding | None) -> Iterator[str]:
    """The lines of a text file with their ends, of which only "\\n" counts as one.

    `head` was read from the stream before. `encoding` is what the sender says, None if nothing. A BOM decides; one
    that contradicts the sender is refused. Without a BOM the sender is believed. Without either the first Chinese
    text decides: UTF-8 if it is valid and has Chinese in it, GB18030 if only that is valid and most characters
    are common ones, else the file is refused. UTF-16 needs its BOM or the sender's word. Decoding is strict all the
    way. Raises UnreadableFile, with the line where reading stopped.
    """
    sample = _sample(stream, head)
    encoding, start = _encoding(sample, encoding)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    read, number, rest = len(sample), 1, ""
    chunk = sample[start:]
    while True:
        if read > MAX_FILE_BYTES:
            raise UnreadableFile(Breach(number, "", "FILE_TOO_BIG", f"{MAX_FILE_BYTES}"))
        fault = False
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            # The lines before the fault are good, and it is reported at its own line.
            fault, text = True, bytes(error.object[: error.start]).decode(encoding)
        lines = (rest + text).split("\n")
        rest = lines.pop()
        for line in lines:
            if len(line) > MAX_LINE_CHARACTERS:
                raise UnreadableFile(Breach(number, "", "LINE_TOO_LONG", f"{MAX_LINE_CHARACTERS}"))
            yield line + "\n"
            number += 1
        if len(rest) > MAX_LINE_CHARACTERS:
            raise UnreadableFile(Breach(number, "", "LINE_TOO_LONG", f"{MAX_LINE_CHARACTERS}"))
        if fault:
            raise UnreadableFile(Breach(number, "", "WRONG_ENCODING", encoding.upper()))
        if not chunk:
            break
        chunk = stream.read(CHUNK_BYTES)
        read += len(chunk)
    if rest:
        yield rest


def _sample(stream: IO[bytes], head: bytes) -> bytes:
    """The start of the file, up to where it has enough that is not ASCII to tell the encoding from."""
    sample, telling = bytearray(head), _not_ascii(head)
    while telling < _TELLING_BYTES and len(sample) < SAMPLE_BYTES and (chunk := stream.read(CHUNK_BYTES)):
        sample += chunk
        telling += _not_ascii(chunk)
    return bytes(sample)


def _not_ascii(chunk: bytes) -> int:
    return 0 if chunk.isascii() else len(chunk.translate(None, bytes(range(128))))


def _encoding(sample: bytes, said: Encoding | None) -> tuple[Encoding, int]:
    """The encoding and the length of its BOM."""
    if sample.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise UnreadableFile(Breach(0, "", "ENCODING_UNKNOWN"))
    for bom, encoding in _BOMS:
        if sample.startswith(bom):
            if said not in (None, encoding):
                raise UnreadableFile(Breach(0, "", "WRONG_ENCODING", said.upper()))
            return encoding, len(bom)
    if said is not None:
        return said, 0
    # Every other byte of UTF-16's ASCII is zero. A file with some NULs is read, and its rows refused.
    if sample.count(0) * 5 > len(sample):
        raise UnreadableFile(Breach(0, "", "ENCODING_UNKNOWN"))
    if sample.isascii():
        return Encoding.UTF_8, 0
    utf8, gb18030 = _decoded(sample, Encoding.UTF_8), _decoded(sample, Encoding.GB18030)
    if utf8 is not None and (_has_chinese(utf8) or gb18030 is None):
        return Encoding.UTF_8, 0
    if gb18030 is None or not _is_common_chinese(gb18030):
        raise UnreadableFile(Breach(0, "", "ENCODING_UNKNOWN"))
    if utf8 is not None:
        raise UnreadableFile(Breach(0, "", "ENCODING_AMBIGUOUS"))
    return Encoding.GB18030, 0


def _decoded(sample: bytes, encoding: Encoding) -> str | None:
    """The text, which may end within a character; None if it is not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(sample)
    except UnicodeDecodeError:
        return None


def _has_chinese(text: str) -> bool:
    return any("\u4e00" <= char <= "\u9fff" for char in text)


def _is_common_chinese(text: str) -> bool:
    letters = [char for char in text if char > "\x7f" and char.isalpha()]
    common = sum(b"\xb0" <= char.encode("gb2312", "ignore")[:1] <= b"\xd7" for char in letters)
    return not letters or common >= len(letters) * _COMMON_SHARE
