"""Which tokens are believed: keys from a file and from a URL, claims, and everything a forger might try."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tulou_chassis import tokens
from tulou_chassis.errors import TOKEN_INVALID, UNAVAILABLE, Answer, Refusal
from tulou_chassis.principals import Principal
from tulou_chassis.tokens import KeysUnreadable, Verifier
from tulou_gateway.tokens import create_issuer, mint

ISSUER = "https://issuer.test"
CLAIMS = {
    "issuer": ISSUER,
    "audience": "tulou",
    "subject": "user-1",
    "roles": ["clerk", "approver"],
    "org": "SCJG",
    "region": "3506",
    "name": "林安",
}


@pytest.fixture
def issuer(tmp_path: Path) -> Path:
    """A folder with issuer.pem and jwks.json."""
    create_issuer(tmp_path / "issuer")
    return tmp_path / "issuer"


@pytest.fixture
def verifier(issuer: Path) -> Verifier:
    return Verifier(issuer=ISSUER, audience="tulou", jwks=str(issuer / "jwks.json"))


def minted(issuer: Path, **changes: Any) -> str:
    return mint((issuer / "issuer.pem").read_bytes(), **CLAIMS | changes)


def signed(issuer: Path, key: Any = None, algorithm: str = "RS256", **changes: Any) -> str:
    """A token with any claims, also those that `mint` would not write; None takes a claim out."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "tulou", "sub": "user-1", "iat": now, "exp": now + 60, "roles": ["clerk"]} | changes
    kid = json.loads((issuer / "jwks.json").read_text())["keys"][0]["kid"]
    key = key or load_pem_private_key((issuer / "issuer.pem").read_bytes(), None)
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm, headers={"kid": kid})


async def refusal(verifier: Verifier, token: str) -> Answer:
    with pytest.raises(Refusal) as refused:
        await verifier.principal(token)
    return refused.value.answer


async def test_a_good_token_tells_who_calls(issuer: Path, verifier: Verifier) -> None:
    principal = await verifier.principal(minted(issuer))
    assert principal == Principal("user-1", frozenset({"clerk", "approver"}), "SCJG", "3506", "林安")
    assert await verifier.principal(minted(issuer)) == principal


async def test_claims_that_may_be_absent_are_empty(issuer: Path, verifier: Verifier) -> None:
    principal = await verifier.principal(signed(issuer, roles=None))
    assert principal == Principal("user-1", frozenset(), "", "", "")


async def test_a_verified_number_is_told_but_not_shown(issuer: Path, verifier: Verifier) -> None:
    principal = await verifier.principal(minted(issuer, identity="91350600M000100Y43"))
    assert principal.identity == "91350600M000100Y43"
    assert "91350600M000100Y43" not in f"{principal!r} {principal}"


async def test_one_of_several_audiences_will_do(issuer: Path, verifier: Verifier) -> None:
    assert (await verifier.principal(signed(issuer, aud=["other", "tulou"]))).subject == "user-1"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_700_000_000},
        {"nbf": 4_000_000_000},
        {"iss": "https://elsewhere.test"},
        {"aud": "other"},
        {"exp": None},
        {"iss": None},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 129},
        {"exp": "soon"},
        {"roles": "clerk"},
        {"roles": ["clerk", 1]},
        {"roles": {"clerk": True}},
        {"org": ["SCJG"]},
        {"org": "x" * 33},
        {"region": 3506},
        {"region": "3" * 13},
        {"name": {}},
        {"identity": 350602199001011232},
        {"identity": "9" * 65},
    ],
    ids=str,
)
async def test_claims_that_are_wrong_are_refused(issuer: Path, verifier: Verifier, changes: dict[str, Any]) -> None:
    assert await refusal(verifier, signed(issuer, **changes)) is TOKEN_INVALID


async def test_a_token_is_refused_from_the_moment_it_expires(
    issuer: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = minted(issuer, ttl_seconds=60)
    await verifier.principal(token)
    real = time.time
    monkeypatch.setattr(tokens.time, "time", lambda: real() + 61)
    # Only our own look at the clock moved, so it is the remembered token that must not be believed.
    verifier._known[token] = (verifier._known[token][0], Principal("remembered", frozenset(), "", "", ""))
    assert (await verifier.principal(token)).subject == "user-1"


async def test_an_unsigned_token_is_refused(issuer: Path, verifier: Verifier) -> None:
    header, claims, _ = minted(issuer).split(".")
    for algorithm in ("none", "None", "NONE", ""):
        naked = json.loads(base64.urlsafe_b64decode(header + "==")) | {"alg": algorithm}
        text = base64.urlsafe_b64encode(json.dumps(naked).encode()).rstrip(b"=").decode()
        for signature in ("", "x"):
            assert await refusal(verifier, f"{text}.{claims}.{signature}") is TOKEN_INVALID


async def test_the_public_key_is_no_secret_to_sign_with(issuer: Path, verifier: Verifier) -> None:
    private = load_pem_private_key((issuer / "issuer.pem").read_bytes(), None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims, _ = minted(issuer).split(".")
    forged = json.loads(base64.urlsafe_b64decode(header + "==")) | {"alg": "HS256"}
    text = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    secret = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(secret.sign(f"{text}.{claims}".encode(), public)).rstrip(b"=").decode()
    assert await refusal(verifier, f"{text}.{claims}.{signature}") is TOKEN_INVALID


async def test_a_key_of_another_kind_under_a_known_id_is_refused(issuer: Path, verifier: Verifier) -> None:
    token = signed(issuer, key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    assert await refusal(verifier, token) is TOKEN_INVALID


async def test_a_changed_claim_breaks_the_signature(issuer: Path, verifier: Verifier) -> None:
    header, _, signature = minted(issuer).split(".")
    _, others, _ = minted(issuer, roles=["admin"]).split(".")
    assert await refusal(verifier, f"{header}.{others}.{signature}") is TOKEN_INVALID


async def test_a_strangers_key_is_refused(issuer: Path, verifier: Verifier, tmp_path: Path) -> None:
    create_issuer(tmp_path / "stranger")
    assert await refusal(verifier, minted(tmp_path / "stranger")) is TOKEN_INVALID


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "e30.e30.e30", "\x00", "💥", "Bearer x", "a" * 9_000])
async def test_garbage_is_refused(verifier: Verifier, token: str) -> None:
    assert await refusal(verifier, token) is TOKEN_INVALID


@pytest.mark.parametrize("kid", [None, 7, ["k"], {}])
async def test_a_key_id_that_is_none_is_refused(issuer: Path, verifier: Verifier, kid: object) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": kid}).encode()).rstrip(b"=").decode()
    _, claims, signature = minted(issuer).split(".")
    assert await refusal(verifier, f"{header}.{claims}.{signature}") is TOKEN_INVALID


async def test_a_token_longer_than_allowed_is_refused_unread(issuer: Path, verifier: Verifier) -> None:
    assert await refusal(verifier, minted(issuer, name="名" * 2_000)) is TOKEN_INVALID


async def test_memory_of_tokens_is_bounded(issuer: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CACHED_TOKENS", 3)
    for number in range(10):
        await verifier.principal(minted(issuer, subject=f"user-{number}"))
        assert len(verifier._known) <= 3


async def test_keys_are_rotated_in_the_file_while_the_server_runs(
    issuer: Path, verifier: Verifier, tmp_path: Path
) -> None:
    old = minted(issuer)
    create_issuer(tmp_path / "next")
    new = minted(tmp_path / "next")
    assert await refusal(verifier, new) is TOKEN_INVALID
    both = [json.loads((folder / "jwks.json").read_text())["keys"][0] for folder in (issuer, tmp_path / "next")]
    (issuer / "jwks.json").write_text(json.dumps({"keys": both}))
    assert (await verifier.principal(new)).subject == "user-1"
    assert (await verifier.principal(old)).subject == "user-1"
    (issuer / "jwks.json").write_text(json.dumps({"keys": both[1:]}))
    assert await refusal(verifier, minted(issuer, subject="user-2")) is TOKEN_INVALID
    assert (await verifier.principal(minted(tmp_path / "next", subject="user-3"))).subject == "user-3"


async def test_a_token_outlives_its_key_by_minutes_only(
    issuer: Path, verifier: Verifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = minted(issuer)
    await verifier.principal(token)
    create_issuer(tmp_path / "next")
    (issuer / "jwks.json").write_text((tmp_path / "next" / "jwks.json").read_text())
    real = time.time
    monkeypatch.setattr(tokens.time, "time", lambda: real() + tokens.KEYS_SECONDS + 1)
    assert await refusal(verifier, token) is TOKEN_INVALID


async def test_a_file_that_is_just_being_written_changes_nothing(issuer: Path, verifier: Verifier) -> None:
    whole = (issuer / "jwks.json").read_text()
    (issuer / "jwks.json").write_text(whole[:40])
    assert (await verifier.principal(minted(issuer))).subject == "user-1"
    (issuer / "jwks.json").unlink()
    assert (await verifier.principal(minted(issuer, subject="user-2"))).subject == "user-2"


def test_without_its_keys_a_verifier_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(KeysUnreadable):
        Verifier(issuer=ISSUER, audience="tulou", jwks=str(tmp_path / "none.json"))
    (tmp_path / "empty.json").write_text('{"keys": []}')
    with pytest.raises(KeysUnreadable):
        Verifier(issuer=ISSUER, audience="tulou", jwks=str(tmp_path / "empty.json"))


class Keys(BaseHTTPRequestHandler):
    """Serves the JWKS in the server's `folder`, and counts."""

    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        content = (self.server.folder / "jwks.json").read_bytes()  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def jwks_server(issuer: Path) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    server.folder, server.asked = issuer, 0  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def by_url(server: ThreadingHTTPServer) -> Verifier:
    return Verifier(issuer=ISSUER, audience="tulou", jwks=f"http://127.0.0.1:{server.server_port}/keys")


async def test_keys_may_come_from_a_url(issuer: Path, jwks_server: ThreadingHTTPServer) -> None:
    verifier = by_url(jwks_server)
    tokens = [minted(issuer, subject=f"user-{number}") for number in range(20)]
    principals = await asyncio.gather(*map(verifier.principal, tokens))
    assert {principal.subject for principal in principals} == {f"user-{number}" for number in range(20)}
    assert jwks_server.asked == 1  # type: ignore[attr-defined]


async def test_made_up_key_ids_do_not_make_us_fetch(
    issuer: Path, jwks_server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    verifier = by_url(jwks_server)
    await verifier.principal(minted(issuer))
    for number in range(20):
        forged = jwt.encode({"sub": "x"}, "k" * 32, headers={"kid": f"k{number}", "alg": "HS256"})
        real = jwt.encode(
            {"sub": "x"},
            load_pem_private_key((issuer / "issuer.pem").read_bytes(), None),
            "RS256",
            headers={"kid": f"k{number}"},
        )
        assert await refusal(verifier, forged) is TOKEN_INVALID
        assert await refusal(verifier, real) is TOKEN_INVALID
    assert jwks_server.asked == 1  # type: ignore[attr-defined]


async def test_while_keys_cannot_be_fetched_a_call_may_be_repeated(
    issuer: Path, jwks_server: ThreadingHTTPServer
) -> None:
    verifier = by_url(jwks_server)
    jwks_server.socket.close()
    assert await refusal(verifier, minted(issuer)) is UNAVAILABLE


async def test_an_answer_that_is_no_key_set_is_not_the_callers_fault(
    issuer: Path, jwks_server: ThreadingHTTPServer
) -> None:
    token = minted(issuer)
    (issuer / "jwks.json").write_text("<html>")
    assert await refusal(by_url(jwks_server), token) is UNAVAILABLE
