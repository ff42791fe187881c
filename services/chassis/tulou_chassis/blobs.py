"""Where uploaded files lie: behind one small interface, on disk here."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class BlobStore(Protocol):
    """Content by its SHA-256. What is put twice is kept once; nothing is ever overwritten."""

    def put(self, content: bytes) -> str:
        """Keeps the content durably and gives its SHA-256, hexadecimal."""
        ...

    def read(self, sha256: str, *, chunk: int) -> Iterator[bytes]:
        """The content in pieces of at most `chunk` bytes. Raises BlobMissing."""
        ...


class BlobMissing(Exception):
    """The store does not hold what a row says it does."""


class DiskBlobs:
    """A directory. A file appears under its name only when it is whole and on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, content: bytes) -> str:
        """See BlobStore."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._path(sha256)
        if path.exists():
            return sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{uuid.uuid4()}")
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            # On a full disk it would stay in everyone's way.
            draft.unlink(missing_ok=True)
            raise
        return sha256

    def read(self, sha256: str, *, chunk: int) -> Iterator[bytes]:
        """See BlobStore."""
        try:
            with self._path(sha256).open("rb") as file:
                while piece := file.read(chunk):
                    yield piece
        except FileNotFoundError:
            raise BlobMissing(sha256) from None

    def _path(self, sha256: str) -> Path:
        # Two levels keep directories small.
        return self._root / sha256[:2] / sha256[2:4] / sha256
