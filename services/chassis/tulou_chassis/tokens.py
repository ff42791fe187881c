"""Who calls: OIDC tokens, checked here again although the gateway has checked them."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWTError

from tulou_chassis.errors import TOKEN_INVALID, UNAVAILABLE, Refusal

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
CACHED_TOKENS: Final = 10_000
MAX_TOKEN: Final = 8_192


@dataclass(frozen=True)
class Principal:
    """The caller as the token tells: its subject, roles, organisation (department code) and region (division code)."""

    subject: str
    roles: frozenset[str]
    organisation: str
    region: str
    name: str


class KeyFile:
    """Keys in a file (JWKS), read when a key is asked for that was not there at the last reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str | None, PyJWK] = {}
        self._read()

    def get_signing_key(self, kid: str) -> PyJWK:
        """The key. Raises PyJWKClientError when the file does not hold it."""
        if kid not in self._keys:
            self._read()
        try:
            return self._keys[kid]
        except KeyError:
            raise PyJWKClientError(f"no key {kid!r}") from None

    def _read(self) -> None:
        self._keys = {key.key_id: key for key in PyJWKSet.from_json(self._path.read_text()).keys}


class Verifier:
    """Checks signature, issuer, audience and expiry. The keys, from a file or a URL, are read again when one is new."""

    def __init__(self, *, issuer: str, audience: str, jwks: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = PyJWKClient(jwks, cache_keys=True, lifespan=300, timeout=5) if "://" in jwks else KeyFile(Path(jwks))
        self._known: dict[str, tuple[float, Principal]] = {}
        self._unknown_kid_until: dict[str, float] = {}

    async def principal(self, token: str) -> Principal:
        """The caller. Raises Refusal with TOKEN_INVALID, or UNAVAILABLE when the keys cannot be read."""
        now = time.time()
        known = self._known.get(token)
        if known and known[0] > now:
            return known[1]
        if len(token) > MAX_TOKEN:
            raise Refusal(TOKEN_INVALID)
        try:
            key = await self._key(token, now)
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            principal = _principal(claims)
        except PyJWKClientConnectionError:
            raise Refusal(UNAVAILABLE) from None
        except (PyJWTError, TypeError, ValueError):
            raise Refusal(TOKEN_INVALID) from None
        if len(self._known) >= CACHED_TOKENS:
            self._known.clear()
        self._known[token] = (float(claims["exp"]), principal)
        return principal

    async def _key(self, token: str, now: float) -> Any:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        if not isinstance(kid, str) or header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidTokenError
        # A made-up key id must not make us fetch the keys for every call.
        if self._unknown_kid_until.get(kid, 0) > now:
            raise jwt.InvalidTokenError
        try:
            return (await asyncio.to_thread(self._keys.get_signing_key, kid)).key
        except PyJWKClientConnectionError:
            raise
        except PyJWTError:
            if len(self._unknown_kid_until) >= CACHED_TOKENS:
                self._unknown_kid_until.clear()
            self._unknown_kid_until[kid] = now + 10
            raise


def _principal(claims: dict[str, Any]) -> Principal:
    subject, roles = claims["sub"], claims.get("roles", [])
    texts = [claims.get(name, "") for name in ("org", "region", "name")]
    if not isinstance(roles, list) or not all(isinstance(text, str) for text in [subject, *texts, *roles]):
        raise TypeError("claims of the wrong type")
    if not 0 < len(subject) <= 128 or len(texts[0]) > 32 or len(texts[1]) > 12:
        raise ValueError("claims of the wrong size")
    return Principal(subject, frozenset(roles), *texts)
