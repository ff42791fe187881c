"""The issuer of one machine: its key, its JWKS and short-lived tokens. A cluster has the city's identity platform."""

import hashlib
import json
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import RSAAlgorithm

MAX_TTL_SECONDS = 3600


def create_issuer(directory: Path) -> None:
    """Writes a fresh key to issuer.pem (readable by its owner only) and what verifies its tokens to jwks.json.

    Raises FileExistsError when there is a key: the tokens that are out there would die with it.
    """
    if (directory / "issuer.pem").exists():
        raise FileExistsError(directory / "issuer.pem")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    # The key last: where it stands, the other file stands too, whenever the process was killed.
    (directory / "jwks.json").write_text(json.dumps({"keys": [_public_jwk(key)]}), encoding="utf-8")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(directory / "issuer.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def mint(
    key_pem: bytes,
    *,
    issuer: str,
    audience: str,
    subject: str,
    roles: Sequence[str],
    org: str,
    region: str,
    name: str,
    identity: str = "",
    ttl_seconds: int = MAX_TTL_SECONDS,
) -> str:
    """A token signed by the key, valid from now for `ttl_seconds` (1 to 3600). `org` is a department code, "" for
    applicants; `region` a division code; `identity` an applicant's verified identity number or credit code. Raises
    ValueError on another lifetime and on a key that is not RSA."""
    if not 0 < ttl_seconds <= MAX_TTL_SECONDS:
        raise ValueError(f"a token lives 1 to {MAX_TTL_SECONDS} seconds, not {ttl_seconds}")
    key = load_pem_private_key(key_pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the issuer's key is not an RSA key")
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + ttl_seconds,
        "roles": list(roles),
        "org": org,
        "region": region,
        "name": name,
        "identity": identity,
    }
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": _public_jwk(key)["kid"]})


def _public_jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwk = {name: jwk[name] for name in ("e", "kty", "n")}
    # The key's id is its thumbprint (RFC 7638), so that it needs no place of its own.
    digest = hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest()
    return {**jwk, "kid": urlsafe_b64encode(digest).rstrip(b"=").decode(), "use": "sig", "alg": "RS256"}
