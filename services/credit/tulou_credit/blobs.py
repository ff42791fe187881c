"""Uploaded files of rows: they hold persons' numbers, so that no byte of them is ever on disk in clear."""

import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from tulou_chassis.keyring import SEAL_BYTES, Keyring
from tulou_credit.intake.limits import MAX_FILE_BYTES
from tulou_credit.settings import CreditSettings

CHUNK: Final = 1024 * 1024


class FileTooBig(Exception):
    """The file is larger than files of rows may be."""

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.max_size = max_size


class SealedFiles:
    """A directory of files by the ids of their imports.

    A file is the id of its key and chunks of 1 MB, each encrypted (AES-256-GCM) for the import and the place where it
    stands. Only the last chunk says that it is the last, so that a file that was cut off is known as such.
    """

    def __init__(self, root: Path, keyring: Keyring) -> None:
        self._root = root
        self._keyring = keyring

    def write(self, import_id: str) -> "SealedFile":
        """A file to be written piece by piece; it is there once it is committed."""
        self._root.mkdir(parents=True, exist_ok=True)
        return SealedFile(self._root, import_id, self._keyring)

    def open(self, import_id: str) -> AbstractContextManager[IO[bytes]]:
        """The file in clear, seekable: chunks are decrypted as they are read. Raises FileNotFoundError.

        Raises KeyringError, also while it is read, when the file was changed, moved or cut off.
        """
        return closing(io.BufferedReader(_Opened(self._root / import_id, import_id, self._keyring)))

    def remove(self, name: str) -> None:
        """Deletes the file or draft; it may be gone."""
        (self._root / name).unlink(missing_ok=True)

    def written(self) -> Iterator[tuple[str, datetime]]:
        """The name of every file and draft, and when it was last written. A file's name is its import's id."""
        if self._root.exists():
            for path in self._root.iterdir():
                try:
                    yield path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)
                except FileNotFoundError:
                    continue

    def reseal(self, import_id: str) -> bool:
        """Encrypts the file with the primary key; whether it was under another. Raises what `open` raises."""
        with (self._root / import_id).open("rb") as file:
            if _key_id(file) == self._keyring.primary:
                return False
        draft = self.write(import_id)
        try:
            with self.open(import_id) as stream:
                while piece := stream.read(CHUNK):
                    draft.write(piece)
            draft.commit()
        finally:
            draft.abandon()
        return True


class SealedFile:
    """A file that is being written. Whoever began it commits or abandons it."""

    def __init__(self, root: Path, import_id: str, keyring: Keyring) -> None:
        self._path = root / import_id
        self._draft = root / f".{uuid.uuid4()}"
        self._import_id = import_id
        self._keyring = keyring
        self._hash = hashlib.sha256()
        self._size = 0
        self._waiting = bytearray()
        self._number = 0
        self._file = self._draft.open("wb")
        key_id = keyring.primary.encode()
        self._file.write(bytes([len(key_id)]) + key_id)

    def write(self, piece: bytes) -> None:
        """Adds a piece of any length. Raises FileTooBig."""
        self._size += len(piece)
        if self._size > MAX_FILE_BYTES:
            raise FileTooBig(MAX_FILE_BYTES)
        self._hash.update(piece)
        self._waiting += piece
        # The last chunk, which may be a full one, is marked: so a full one is kept back until more comes.
        while len(self._waiting) > CHUNK:
            self._write_chunk(last=False)

    def commit(self) -> tuple[str, int]:
        """Puts the file durably under its import's id; gives its SHA-256 (of the clear, hexadecimal) and its size."""
        self._write_chunk(last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
        return self._hash.hexdigest(), self._size

    def abandon(self) -> None:
        """Leaves nothing of a file that was not committed."""
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def _write_chunk(self, *, last: bool) -> None:
        chunk = bytes(self._waiting[:CHUNK])
        del self._waiting[:CHUNK]
        context = _place(self._import_id, self._number, last)
        self._file.write(self._keyring.encrypt_bytes(chunk, context=context))
        self._number += 1


class _Opened(io.RawIOBase):
    """A sealed file in clear. A workbook is read here and there, so the chunk that was read last is kept."""

    def __init__(self, path: Path, import_id: str, keyring: Keyring) -> None:
        self._file = path.open("rb")
        self._import_id = import_id
        self._keyring = keyring
        try:
            self._key_id = _key_id(self._file)
            self._start = self._file.tell()
            sealed = os.fstat(self._file.fileno()).st_size - self._start
            self._chunks = max(1, -(-sealed // (CHUNK + SEAL_BYTES)))
            self._size = sealed - self._chunks * SEAL_BYTES
            self._position = 0
            # A file that was cut off is refused before any of it is believed.
            self._number, self._chunk = -1, b""
            self._read_chunk(self._chunks - 1)
        except BaseException:
            self._file.close()
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._size:
            return 0
        number, begin = divmod(self._position, CHUNK)
        self._read_chunk(number)
        piece = self._chunk[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _read_chunk(self, number: int) -> None:
        if number == self._number:
            return
        self._file.seek(self._start + number * (CHUNK + SEAL_BYTES))
        context = _place(self._import_id, number, number == self._chunks - 1)
        sealed = self._file.read(CHUNK + SEAL_BYTES)
        self._chunk = self._keyring.decrypt_bytes(sealed, key_id=self._key_id, context=context)
        self._number = number


def _key_id(file: IO[bytes]) -> str:
    length = file.read(1)
    return file.read(length[0]).decode(errors="replace") if length else ""


def _place(import_id: str, number: int, last: bool) -> str:
    return f"credit_import.file:{import_id}:{number}:{'last' if last else 'more'}"


def import_files(settings: CreditSettings, keyring: Keyring) -> SealedFiles:
    """The service's files of rows."""
    return SealedFiles(settings.blob_dir / "credit-imports", keyring)
