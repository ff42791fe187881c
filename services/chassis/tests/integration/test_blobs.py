"""Content on disk under its SHA-256."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from tulou_chassis.blobs import BlobMissing, DiskBlobs


def test_content_comes_back_in_pieces_as_it_was(tmp_path: Path) -> None:
    blobs, content = DiskBlobs(tmp_path), bytes(range(256)) * 10
    sha256 = blobs.put(content)
    assert sha256 == hashlib.sha256(content).hexdigest()
    pieces = list(blobs.read(sha256, chunk=1000))
    assert [len(piece) for piece in pieces] == [1000, 1000, 560]
    assert b"".join(pieces) == content


def test_what_is_put_twice_is_kept_once(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    assert blobs.put(b"same") == blobs.put(b"same")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlobMissing, match="0" * 64):
        next(DiskBlobs(tmp_path).read("0" * 64, chunk=1))


def test_a_full_disk_is_not_left_fuller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        DiskBlobs(tmp_path).put(b"too much")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
