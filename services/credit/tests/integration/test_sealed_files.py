"""Files of rows lie sealed, are read as they were written, and a change of any kind is found."""

import hashlib
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tulou_chassis.keyring import SEAL_BYTES, Keyring, KeyringError, add_key, create_keyring
from tulou_credit import blobs
from tulou_credit.blobs import FileTooBig, SealedFiles

SMALL = 100
NAME = "2f0e8a2c-0000-4000-8000-000000000001"
OTHER = "2f0e8a2c-0000-4000-8000-000000000002"


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "CHUNK", SMALL)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def files(root: Path, tmp_path: Path) -> SealedFiles:
    create_keyring(tmp_path / "keyring.json")
    return SealedFiles(root, Keyring.load(tmp_path / "keyring.json"))


def content_of(size: int) -> bytes:
    return hashlib.shake_128(b"rows").digest(size)


def put(files: SealedFiles, content: bytes, *, piece: int = 37, name: str = NAME) -> tuple[str, int]:
    file = files.write(name)
    for start in range(0, len(content), piece):
        file.write(content[start : start + piece])
    return file.commit()


def get(files: SealedFiles, name: str = NAME) -> bytes:
    with files.open(name) as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL, 1234])
@pytest.mark.parametrize("piece", [1, SMALL, 5000])
def test_what_was_written_is_read(files: SealedFiles, size: int, piece: int) -> None:
    content = content_of(size)
    assert put(files, content, piece=piece) == (hashlib.sha256(content).hexdigest(), size)
    assert get(files) == content


def test_nothing_of_it_lies_in_clear(files: SealedFiles, root: Path) -> None:
    number = b"350602199003070036"
    file = files.write(NAME)
    file.write(number * 20)
    (draft,) = root.iterdir()
    file.commit()
    assert not draft.exists()
    with files.open(NAME) as stream:
        assert stream.read() == number * 20
        (sealed,) = root.iterdir()
        assert number not in sealed.read_bytes()


def test_a_workbook_is_read_here_and_there(files: SealedFiles, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as book:
        for part in range(9):
            book.writestr(f"part{part}", content_of(70 * part))
    put(files, (tmp_path / "book.xlsx").read_bytes())
    with files.open(NAME) as stream, zipfile.ZipFile(stream) as book:
        for part in (8, 0, 5, 3, 5):
            assert book.read(f"part{part}") == content_of(70 * part)


def test_it_is_seekable_like_any_file(files: SealedFiles) -> None:
    content = content_of(350)
    put(files, content)
    with files.open(NAME) as stream:
        assert stream.seek(-60, 2) == 290
        assert stream.read(100) == content[290:]
        assert stream.seek(90) == 90
        assert stream.read(20) == content[90:110]
        stream.seek(5, 1)
        assert stream.read(1) == content[115:116]
        stream.seek(1000)
        assert stream.read() == b""


def test_a_file_that_was_cut_off_anywhere_is_refused_when_it_is_opened(files: SealedFiles, root: Path) -> None:
    put(files, content_of(3 * SMALL))
    whole = (root / NAME).read_bytes()
    for length in range(len(whole)):
        (root / NAME).write_bytes(whole[:length])
        with pytest.raises(KeyringError):
            get(files)


def test_a_file_that_was_changed_anywhere_is_refused(files: SealedFiles, root: Path) -> None:
    put(files, content_of(2 * SMALL + 1))
    whole = (root / NAME).read_bytes()
    for place in range(len(whole)):
        (root / NAME).write_bytes(bytes([*whole[:place], whole[place] ^ 1, *whole[place + 1 :]]))
        with pytest.raises(KeyringError):
            get(files)
    (root / NAME).write_bytes(whole + b"x")
    with pytest.raises(KeyringError):
        get(files)


def test_chunks_do_not_change_places_nor_files(files: SealedFiles, root: Path) -> None:
    put(files, content_of(3 * SMALL + 1))
    whole = (root / NAME).read_bytes()
    head, long = 3, SMALL + SEAL_BYTES
    first, second = whole[head : head + long], whole[head + long : head + 2 * long]
    (root / NAME).write_bytes(whole[:head] + second + first + whole[head + 2 * long :])
    with pytest.raises(KeyringError):
        get(files)
    (root / OTHER).write_bytes(whole)
    with pytest.raises(KeyringError):
        get(files, OTHER)


def test_a_file_is_there_only_when_it_is_committed(files: SealedFiles, root: Path) -> None:
    file = files.write(NAME)
    file.write(content_of(500))
    with pytest.raises(FileNotFoundError):
        files.open(NAME)
    file.abandon()
    assert list(root.iterdir()) == []


def test_abandoning_what_was_committed_does_no_harm(files: SealedFiles) -> None:
    file = files.write(NAME)
    file.commit()
    file.abandon()
    assert get(files) == b""


def test_no_more_is_taken_than_a_file_may_hold(files: SealedFiles, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "MAX_FILE_BYTES", 300)
    assert put(files, content_of(300))[1] == 300
    file = files.write(OTHER)
    file.write(content_of(300))
    with pytest.raises(FileTooBig):
        file.write(b"x")
    file.abandon()
    assert [path.name for path in root.iterdir()] == [NAME]


def test_files_and_drafts_are_listed_and_removed(files: SealedFiles) -> None:
    assert list(files.written()) == []
    before = datetime.now(UTC) - timedelta(seconds=5)
    put(files, b"a")
    draft = files.write(OTHER)
    found = dict(files.written())
    assert len(found) == 2
    assert NAME in found
    assert all(before < when < before + timedelta(minutes=1) for when in found.values())
    for name in found:
        files.remove(name)
        files.remove(name)
    assert list(files.written()) == []
    draft.abandon()


def test_a_file_moves_to_the_primary_key(files: SealedFiles, root: Path, tmp_path: Path) -> None:
    content = content_of(450)
    put(files, content)
    assert not files.reseal(NAME)
    add_key(tmp_path / "keyring.json")
    newer = SealedFiles(root, Keyring.load(tmp_path / "keyring.json"))
    with newer.open(NAME) as stream:
        # Who reads it meanwhile reads on.
        assert stream.read(10) == content[:10]
        assert newer.reseal(NAME)
        assert stream.read() == content[10:]
    assert not newer.reseal(NAME)
    assert get(newer) == content
    assert [path.name for path in root.iterdir()] == [NAME]
    with pytest.raises(KeyringError, match="no key 'k2'"):
        get(files)
