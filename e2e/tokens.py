"""Tokens for tests, signed with a city's own key; good ones and ones that must be refused."""

import json
import time
from pathlib import Path
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tulou_city.layout import AUDIENCE, ISSUER, City

Fault = Literal[
    "", "expired", "not yet valid", "other issuer", "other audience", "no expiry", "other key", "unsigned", "garbage"
]
LIFETIME_SECONDS: Final = 3000


class Tokens:
    """The issuer of one city."""

    def __init__(self, city: City) -> None:
        secrets: Path = city.var / "secrets"
        key: Any = load_pem_private_key((secrets / "issuer.pem").read_bytes(), password=None)
        self._key: rsa.RSAPrivateKey = key
        self._kid: str = json.loads((secrets / "jwks.json").read_text())["keys"][0]["kid"]

    def token(
        self,
        *,
        role: str,
        sub: str,
        org: str = "",
        region: str = "3506",
        identity: str = "",
        name: str = "",
        fault: Fault = "",
    ) -> str:
        """A token that is good for the test, or bad in one way."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "roles": [role],
            "org": org,
            "region": region,
            "name": name or sub,
            "identity": identity,
        }
        headers = {"kid": self._kid}
        key = self._key
        match fault:
            case "expired":
                claims |= {"iat": now - 7200, "exp": now - 3600}
            case "not yet valid":
                claims |= {"nbf": now + 3600, "exp": now + 7200}
            case "other issuer":
                claims["iss"] = "https://elsewhere.example"
            case "other audience":
                claims["aud"] = "another-city"
            case "no expiry":
                del claims["exp"]
            case "other key":
                key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            case "unsigned":
                return jwt.encode(claims, "", algorithm="none", headers=headers)
            case "garbage":
                return "not.a.token"
        return jwt.encode(claims, key, algorithm="RS256", headers=headers)
