"""The issuer of one machine."""

import json
import stat
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tulou_gateway import tokens


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("var") / "secrets"
    tokens.create_issuer(found)
    return found


def mint(directory: Path, **changes: Any) -> str:
    claims: dict[str, Any] = {
        "issuer": "https://tulou.localhost",
        "audience": "tulou",
        "subject": "clerk-1",
        "roles": ["clerk", "approver"],
        "org": "SCJG",
        "region": "350602",
        "name": "黄建国",
    }
    return tokens.mint((directory / "issuer.pem").read_bytes(), **{**claims, **changes})


def test_only_the_owner_can_read_the_key(directory: Path) -> None:
    assert stat.S_IMODE((directory / "issuer.pem").stat().st_mode) == 0o600


def test_the_public_file_holds_nothing_private(directory: Path) -> None:
    (key,) = json.loads((directory / "jwks.json").read_text())["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
    assert len(urlsafe_b64decode(key["n"] + "==")) == 256


def test_a_token_verifies_against_the_public_file_by_its_key_id(directory: Path) -> None:
    token = mint(directory, ttl_seconds=60)
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256"
    key = jwt.PyJWKSet.from_json((directory / "jwks.json").read_text())[header["kid"]].key
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="tulou", issuer="https://tulou.localhost")
    assert claims["exp"] - claims["iat"] == 60
    assert (claims["sub"], claims["roles"], claims["org"]) == ("clerk-1", ["clerk", "approver"], "SCJG")
    assert (claims["region"], claims["name"]) == ("350602", "黄建国")
    assert claims["identity"] == ""


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_no_token_lives_longer_than_an_hour(directory: Path, seconds: int) -> None:
    with pytest.raises(ValueError, match="a token lives 1 to 3600 seconds"):
        mint(directory, ttl_seconds=seconds)


def test_a_key_that_is_there_is_never_replaced(directory: Path) -> None:
    before = [(directory / name).read_bytes() for name in ("issuer.pem", "jwks.json")]
    with pytest.raises(FileExistsError):
        tokens.create_issuer(directory)
    assert [(directory / name).read_bytes() for name in ("issuer.pem", "jwks.json")] == before


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = ed25519.Ed25519PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "issuer.pem").write_bytes(pem)
    with pytest.raises(ValueError, match="not an RSA key"):
        mint(tmp_path)
