"""Fields are sealed in their place, old keys stay readable, and nothing readable is left behind."""

import base64
import hashlib
import json
import stat
from pathlib import Path

import pytest

from tulou_chassis.keyring import SEAL_BYTES, Keyring, KeyringError, add_key, create_keyring

TEXT = "350602199003070036"
PLACE = "case_file.identity:1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_keyring(tmp_path / "keyring.json")
    return tmp_path / "keyring.json"


@pytest.fixture
def keyring(path: Path) -> Keyring:
    return Keyring.load(path)


def test_a_sealed_text_comes_back(keyring: Keyring) -> None:
    sealed = keyring.encrypt(TEXT, context=PLACE)
    assert keyring.decrypt(sealed, context=PLACE) == TEXT
    assert TEXT not in sealed
    assert sealed.startswith("k1.")
    assert keyring.decrypt(keyring.encrypt("", context=PLACE), context=PLACE) == ""


def test_equal_texts_do_not_look_equal(keyring: Keyring) -> None:
    assert len({keyring.encrypt(TEXT, context=PLACE) for _ in range(100)}) == 100


def test_a_text_moved_to_another_place_is_refused(keyring: Keyring) -> None:
    sealed = keyring.encrypt(TEXT, context=PLACE)
    for other in ("case_file.identity:2", "case_file.phone:1", ""):
        with pytest.raises(KeyringError, match="changed or moved"):
            keyring.decrypt(sealed, context=other)


def test_a_changed_text_is_refused(keyring: Keyring) -> None:
    key_id, _, body = keyring.encrypt(TEXT, context=PLACE).partition(".")
    raw = base64.b64decode(body)
    changed = [bytes([*raw[:at], raw[at] ^ 1, *raw[at + 1 :]]) for at in range(len(raw))]
    for content in [*changed, raw[:-1], raw[:12], raw[:5], b""]:
        with pytest.raises(KeyringError):
            keyring.decrypt(f"{key_id}.{base64.b64encode(content).decode()}", context=PLACE)


@pytest.mark.parametrize("sealed", ["", "k1", "k1.", "k1.???", "k1.a", "k9.AAAA", TEXT])
def test_what_was_never_sealed_is_refused(keyring: Keyring, sealed: str) -> None:
    with pytest.raises(KeyringError) as refused:
        keyring.decrypt(sealed, context=PLACE)
    assert "AAAA" not in str(refused.value)


def test_after_a_new_key_old_texts_are_readable_and_new_ones_use_it(path: Path, keyring: Keyring) -> None:
    old = keyring.encrypt(TEXT, context=PLACE)
    assert add_key(path) == "k2"
    newer = Keyring.load(path)
    assert newer.decrypt(old, context=PLACE) == TEXT
    assert not newer.is_current(old)
    fresh = newer.encrypt(TEXT, context=PLACE)
    assert newer.is_current(fresh)
    with pytest.raises(KeyringError, match="no key 'k2'"):
        keyring.decrypt(fresh, context=PLACE)


def test_a_new_key_never_takes_the_place_of_another(path: Path) -> None:
    for expected in ("k2", "k3", "k4"):
        assert add_key(path) == expected
    content = json.loads(path.read_text())
    # Someone takes the two oldest out, once nothing is under them.
    del content["keys"]["k1"], content["keys"]["k2"]
    path.write_text(json.dumps(content))
    assert add_key(path) == "k5"
    after = json.loads(path.read_text())["keys"]
    assert {key: after[key] for key in ("k3", "k4")} == content["keys"]


def test_a_new_key_can_be_made_after_one_that_was_cut_off(path: Path) -> None:
    path.with_suffix(".new").write_text("{")
    assert add_key(path) == "k2"
    assert Keyring.load(path).primary == "k2"


def test_the_file_is_its_owners_alone_and_never_overwritten(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    add_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        create_keyring(path)
    assert path.read_bytes() == before


def test_an_index_finds_equal_texts_and_tells_nothing_without_its_key(tmp_path: Path, keyring: Keyring) -> None:
    assert keyring.index(TEXT) == keyring.index(TEXT)
    assert keyring.index(TEXT) != keyring.index(TEXT + "0")
    assert len(keyring.index(TEXT)) == 43
    create_keyring(tmp_path / "other.json")
    assert Keyring.load(tmp_path / "other.json").index(TEXT) != keyring.index(TEXT)


def test_a_seal_depends_on_content_and_key(path: Path, keyring: Keyring) -> None:
    add_key(path)
    both = Keyring.load(path)
    assert both.seal(b"a", "k1") == keyring.seal(b"a", "k1")
    assert len({both.seal(b"a", "k1"), both.seal(b"a", "k2"), both.seal(b"b", "k1")}) == 3
    with pytest.raises(KeyringError):
        keyring.seal(b"a", "k2")


def key(size: int = 32) -> str:
    return base64.b64encode((b"secret of a test " * 2)[:size]).decode()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        json.dumps({"primary": "k1", "keys": {"k1": key()}}),
        json.dumps({"primary": "k1", "keys": {}, "index_key": key()}),
        json.dumps({"primary": "k2", "keys": {"k1": key()}, "index_key": key()}),
        json.dumps({"primary": "k1", "keys": {"k1": key(16)}, "index_key": key()}),
        json.dumps({"primary": "k1", "keys": {"k1": key()}, "index_key": key(31)}),
        json.dumps({"primary": "k1", "keys": {"k1": "not base64!"}, "index_key": key()}),
        json.dumps({"primary": "k1", "keys": {"k1": 7}, "index_key": key()}),
        json.dumps({"primary": "a.b", "keys": {"a.b": key()}, "index_key": key()}),
        json.dumps({"primary": ["k1"], "keys": {"k1": key()}, "index_key": key()}),
    ],
)
def test_a_keyring_that_cannot_be_used_is_refused_without_a_word_of_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "keyring.json").write_text(content)
    with pytest.raises(KeyringError) as refused:
        Keyring.load(tmp_path / "keyring.json")
    assert "keyring.json" in str(refused.value)
    for secret in content.split('"'):
        assert len(secret) < 20 or secret not in str(refused.value)


def test_a_keyring_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match=r"none\.json: no usable keyring \(FileNotFoundError\)"):
        Keyring.load(tmp_path / "none.json")


def test_sealed_bytes_come_back_in_their_place_only(keyring: Keyring, path: Path) -> None:
    content = bytes(range(256))
    sealed = keyring.encrypt_bytes(content, context=PLACE)
    assert len(sealed) == len(content) + SEAL_BYTES
    assert keyring.decrypt_bytes(sealed, key_id="k1", context=PLACE) == content
    add_key(path)
    newer = Keyring.load(path)
    assert newer.decrypt_bytes(sealed, key_id="k1", context=PLACE) == content
    for wrong in (
        {"key_id": "k2", "context": PLACE},
        {"key_id": "k1", "context": ""},
        {"key_id": "", "context": PLACE},
    ):
        with pytest.raises(KeyringError):
            newer.decrypt_bytes(sealed, **wrong)
    for broken in (sealed[:-1], sealed[:5], b"", sealed[1:]):
        with pytest.raises(KeyringError):
            keyring.decrypt_bytes(broken, key_id="k1", context=PLACE)


def test_a_digest_is_known_again_under_the_same_index_key_only() -> None:
    one, other = (Keyring("k1", {}, {}, bytes([number]) * 32) for number in (1, 2))
    assert one.digest(b"350602199001011016") == one.digest(b"350602199001011016")
    assert len({one.digest(b"a"), one.digest(b"b"), other.digest(b"a"), hashlib.sha256(b"a").digest()}) == 4
