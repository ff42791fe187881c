"""Keys: fields encrypted with AES-256-GCM, numbers found again by a keyed hash, histories chained by HMAC."""

import base64
import hashlib
import hmac
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12
# What is encrypted is longer than what it was by the nonce and the tag.
SEAL_BYTES: Final = NONCE_BYTES + 16


class KeyringError(Exception):
    """The keyring file cannot be used, or a text was encrypted with a key it does not hold."""


@dataclass(frozen=True)
class Keyring:
    """All keys of one service. New texts are encrypted with the primary key, old ones stay readable."""

    primary: str
    ciphers: dict[str, AESGCM]
    secrets: dict[str, bytes]
    index_key: bytes

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """Reads {"primary": id, "keys": {id: base64 of 32 bytes}, "index_key": base64}. Raises KeyringError."""
        try:
            content = json.loads(path.read_text())
            secrets = {key_id: _key(text) for key_id, text in content["keys"].items()}
            index_key = _key(content["index_key"])
            primary = content["primary"]
            usable = primary in secrets and not any("." in key_id for key_id in secrets)
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            # The message names the file and the kind of fault, never what the file holds.
            raise KeyringError(f"{path}: no usable keyring ({type(error).__name__})") from None
        if not usable:
            raise KeyringError(f"{path}: the primary key must be among the keys, and no key id may hold a dot")
        return cls(primary, {key_id: AESGCM(secret) for key_id, secret in secrets.items()}, secrets, index_key)

    def encrypt(self, text: str, *, context: str) -> str:
        """`text` as "<key id>.<base64>"; `context` (table, column and row) binds it to its place."""
        return f"{self.primary}.{base64.b64encode(self.encrypt_bytes(text.encode(), context=context)).decode()}"

    def decrypt(self, sealed: str, *, context: str) -> str:
        """The text again. Raises KeyringError when the key is missing, or the text was changed or moved."""
        key_id, _, body = sealed.partition(".")
        try:
            raw = base64.b64decode(body, validate=True)
        except ValueError:
            raise KeyringError(f"a text under {context} was changed or moved") from None
        return self.decrypt_bytes(raw, key_id=key_id, context=context).decode()

    def encrypt_bytes(self, content: bytes, *, context: str) -> bytes:
        """`content` under the primary key, SEAL_BYTES longer; who keeps it keeps the key's id beside it."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.ciphers[self.primary].encrypt(nonce, content, context.encode())

    def decrypt_bytes(self, sealed: bytes, *, key_id: str, context: str) -> bytes:
        """The content again. Raises KeyringError when the key is missing, or the content was changed or moved."""
        cipher = self.ciphers.get(key_id)
        if cipher is None:
            raise KeyringError(f"no key {key_id!r} in the keyring")
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise KeyringError(f"a text under {context} was changed or moved") from None

    def is_current(self, sealed: str) -> bool:
        """Whether the text is encrypted with the primary key."""
        return sealed.startswith(f"{self.primary}.")

    def index(self, text: str) -> str:
        """A keyed hash by which equal texts are found without being readable. 43 characters."""
        return base64.urlsafe_b64encode(self.digest(text.encode())).rstrip(b"=").decode()

    def digest(self, content: bytes) -> bytes:
        """A keyed hash of 32 bytes, by which equal contents are known and none is found by trying."""
        return hmac.digest(self.index_key, content, hashlib.sha256)

    def seal(self, content: bytes, key_id: str) -> str:
        """HMAC-SHA-256 of `content` under one of the keys, hexadecimal. Raises KeyringError when the key is missing."""
        secret = self.secrets.get(key_id)
        if secret is None:
            raise KeyringError(f"no key {key_id!r} in the keyring")
        return hmac.digest(secret, content, hashlib.sha256).hex()


def create_keyring(path: Path) -> None:
    """Writes a keyring with one fresh key, readable by its owner only. Raises FileExistsError rather than overwrite."""
    content = {"primary": "k1", "keys": {"k1": _fresh()}, "index_key": _fresh()}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)


def add_key(path: Path) -> str:
    """Adds a fresh key to the file, makes it primary and gives its id; texts are moved to it by `keys rotate`."""
    content = json.loads(path.read_text())
    # Not by counting: what was sealed under a key that was taken out must not meet another key of its name.
    numbers = [int(key_id[1:]) for key_id in content["keys"] if re.fullmatch(r"k[0-9]+", key_id)]
    key_id = f"k{max(numbers, default=0) + 1}"
    content["keys"][key_id] = _fresh()
    content["primary"] = key_id
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    draft.replace(path)
    return key_id


def _fresh() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def _key(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != 32:
        raise ValueError("a key has 32 bytes")
    return key
