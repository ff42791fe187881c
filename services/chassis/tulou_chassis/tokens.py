"""Who calls: OIDC tokens, checked here again although the gateway has checked them."""

import asyncio
import time
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final

import jwt
import structlog
from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWKSetError, PyJWTError

from tulou_chassis.errors import TOKEN_INVALID, UNAVAILABLE, Refusal
from tulou_chassis.principals import Principal

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
CACHED_TOKENS: Final = 10_000
MAX_TOKEN: Final = 8_192
KEYS_SECONDS: Final = 300.0
log = structlog.get_logger()


class KeysUnreadable(Exception):
    """The file of keys is not there or holds none. The message says why, and nothing of the content."""


class KeyFile:
    """Keys in a file (JWKS), read again when the file has changed. Raises KeysUnreadable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._read_at = self._stamp()
            self._keys = self._read()
        except (OSError, PyJWTError, ValueError) as error:
            raise KeysUnreadable(f"{path}: {type(error).__name__}") from None

    def get_signing_key(self, kid: str) -> PyJWK:
        """The key. Raises PyJWKClientError when the file does not hold it."""
        try:
            if (stamp := self._stamp()) != self._read_at:
                self._keys, self._read_at = self._read(), stamp
        except (OSError, PyJWTError, ValueError) as error:
            # Someone may be writing it just now; what was read before is good until it can be read.
            log.warning("keys_unreadable", path=str(self._path), error=type(error).__name__)
        try:
            return self._keys[kid]
        except KeyError:
            raise PyJWKClientError(f"no key {kid!r}") from None

    def _read(self) -> dict[str | None, PyJWK]:
        return {key.key_id: key for key in PyJWKSet.from_json(self._path.read_text()).keys}

    def _stamp(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_ino, found.st_size


class Verifier:
    """Checks signature, issuer, audience and expiry.

    A new key, in a file or at a URL, is found when a token names it; at a URL it is looked for every ten seconds at
    most. A key that was taken away is good for five minutes more at most. Raises KeysUnreadable.
    """

    def __init__(self, *, issuer: str, audience: str, jwks: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = (
            PyJWKClient(jwks, lifespan=KEYS_SECONDS, timeout=5, cooldown_duration=10)
            if "://" in jwks
            else KeyFile(Path(jwks))
        )
        self._known: dict[str, tuple[float, Principal]] = {}

    async def principal(self, token: str) -> Principal:
        """The caller. Raises Refusal with TOKEN_INVALID, or UNAVAILABLE when the keys cannot be read."""
        now = time.time()
        known = self._known.get(token)
        if known and known[0] > now:
            return known[1]
        if len(token) > MAX_TOKEN:
            raise Refusal(TOKEN_INVALID)
        try:
            key = await self._key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            principal = _principal(claims)
        except (PyJWTError, TypeError, ValueError):
            raise Refusal(TOKEN_INVALID) from None
        if len(self._known) >= CACHED_TOKENS:
            self._known.clear()
        self._known[token] = (min(float(claims["exp"]), now + KEYS_SECONDS), principal)
        return principal

    async def _key(self, token: str) -> Any:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        if not isinstance(kid, str) or header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidTokenError
        try:
            return (await asyncio.to_thread(self._keys.get_signing_key, kid)).key
        except (PyJWKClientConnectionError, PyJWKSetError, JSONDecodeError, OSError):
            raise Refusal(UNAVAILABLE) from None


def _principal(claims: dict[str, Any]) -> Principal:
    subject, roles = claims["sub"], claims.get("roles", [])
    texts = [claims.get(name, "") for name in ("org", "region", "name", "identity")]
    if not isinstance(roles, list) or not all(isinstance(text, str) for text in [subject, *texts, *roles]):
        raise TypeError("claims of the wrong type")
    if not 0 < len(subject) <= 128 or len(texts[0]) > 32 or len(texts[1]) > 12 or len(texts[3]) > 64:
        raise ValueError("claims of the wrong size")
    return Principal(subject, frozenset(roles), *texts)
