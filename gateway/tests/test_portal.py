"""The portal over HTTP: pages, the document, tokens, the span receiver."""

import asyncio
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette

from gateway.tests.browser.fake_city import TRACE, otlp
from tulou_gateway import tokens
from tulou_gateway.descriptors import load
from tulou_gateway.otlp import MAX_BODY
from tulou_gateway.portal import Issuer, create_app, document_of, roles_of
from tulou_gateway.traces import TraceStore

API = load()
DOCUMENT, ROLES = document_of(API), roles_of(API)
NOW = 1_900_000_000 * 1_000_000_000
PROTOBUF = {"content-type": "application/x-protobuf"}
ISSUER, AUDIENCE = "https://tulou.localhost", "tulou"


class Client:
    """Calls an application without a socket."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def get(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._call("GET", path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._call("POST", path, **options))

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://portal") as client:
            return await client.request(method, path, **options)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("secrets")
    tokens.create_issuer(directory)
    return directory


@pytest.fixture
def portal(secrets: Path) -> Iterator[Client]:
    """With everything a city on one machine has."""
    store = TraceStore(":memory:")
    issuer = Issuer((secrets / "issuer.pem").read_bytes(), ISSUER, AUDIENCE)
    yield Client(create_app(document=DOCUMENT, roles=ROLES, traces=store, issuer=issuer))
    store.close()


@pytest.fixture
def bare() -> Client:
    """Without traces and tokens, as in a cluster."""
    return Client(create_app(document=DOCUMENT, roles=ROLES, traces=None, issuer=None))


def claims_of(secrets: Path, token: str) -> dict[str, Any]:
    jwks = jwt.PyJWKSet.from_json((secrets / "jwks.json").read_text())
    key = jwks[jwt.get_unverified_header(token)["kid"]].key
    found: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER, audience=AUDIENCE)
    return found


@pytest.mark.parametrize("path", ["/", "/docs", "/traces", "/openapi.json", "/healthz", "/static/style.css"])
def test_every_answer_forbids_what_comes_from_elsewhere(portal: Client, path: str) -> None:
    answer = portal.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/docs", "/traces", f"/traces/{TRACE}", "/credit/verify"])
def test_pages_name_nothing_outside_themselves(portal: Client, path: str) -> None:
    portal.post("/v1/traces", content=otlp(TRACE, start=NOW), headers=PROTOBUF)
    html = portal.get(path).text
    assert re.findall(r'(?:src|href|action)="(?!/|#main)', html) == []
    assert "<script>" not in html
    assert "style=" not in html


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "zh-CN"),
        ("", "de", "zh-CN"),
        ("", "en-GB,en;q=0.9,zh;q=0.5", "en"),
        ("", "de, en;q=0.7", "en"),
        ("", "zh-CN,en;q=0.9", "zh-CN"),
        ("?lang=en", "zh-CN", "en"),
        ("?lang=zh", "en", "zh-CN"),
    ],
)
def test_pages_are_chinese_unless_english_is_asked_for(
    portal: Client, query: str, accepted: str, language: str
) -> None:
    answer = portal.get(f"/{query}", headers={"accept-language": accepted})
    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}">' in answer.text
    assert ("One city under one roof" in answer.text) == (language == "en")


def test_a_language_chosen_by_hand_stays_on_the_way(portal: Client) -> None:
    assert 'href="/docs?lang=en"' in portal.get("/?lang=en").text
    assert 'href="/docs"' in portal.get("/", headers={"accept-language": "en"}).text


def test_the_document_is_served_with_a_validator(portal: Client) -> None:
    answer = portal.get("/openapi.json")
    assert answer.json()["openapi"] == "3.1.1"
    again = portal.get("/openapi.json", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_vendored_files_are_kept_for_long_and_ours_are_asked_for_again(portal: Client) -> None:
    vendored = portal.get("/static/vendor/swagger-ui-5.35.0/swagger-ui.css")
    assert "immutable" in vendored.headers["cache-control"]
    assert portal.get("/static/style.css").headers["cache-control"] == "no-cache"


def test_every_file_that_the_docs_page_names_is_there(portal: Client) -> None:
    html = portal.get("/docs").text
    names = [part.partition('"')[0] for part in html.split('"/static/')[1:]]
    assert len(names) >= 5
    for name in names:
        assert portal.get(f"/static/{name}").status_code == 200, name


def test_unknown_paths_are_refused_in_the_one_error_model(portal: Client) -> None:
    answer = portal.get("/nowhere", headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert answer.json()["details"][0]["reason"] == "UNKNOWN_METHOD"
    assert answer.json()["details"][1]["message"] == "There is no such method or path."


def test_a_file_outside_static_is_not_served(portal: Client) -> None:
    assert portal.get("/static/%2e%2e/portal.py").status_code == 404


def test_the_docs_page_offers_the_roles_that_rpcs_name(portal: Client) -> None:
    html = portal.get("/docs").text
    offered = [part.partition('"')[0] for part in html.split('<option value="')[1:]]
    assert offered == [
        *("citizen", "enterprise", "clerk", "approver", "supervisor", "partner", "operator", "auditor", "admin"),
    ]
    assert "窗口人员 clerk" in html


def test_a_token_holds_what_was_asked_for(portal: Client, secrets: Path) -> None:
    wanted = {"role": "clerk", "department": "SCJG", "region": "350602", "name": "黄建国"}
    answer = portal.post("/dev/token", json=wanted)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    claims = claims_of(secrets, answer.json()["token"])
    assert claims["exp"] - claims["iat"] == answer.json()["expiresIn"] == 3600
    del claims["exp"], claims["iat"]
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "dev-clerk-scjg",
        "roles": ["clerk"],
        "org": "SCJG",
        "region": "350602",
        "name": "黄建国",
        "identity": "",
    }


def test_an_applicant_has_no_department_and_is_always_the_same_person(portal: Client, secrets: Path) -> None:
    asked = {"role": "citizen", "department": "SCJG"}
    first, second = (claims_of(secrets, portal.post("/dev/token", json=asked).json()["token"]) for _ in range(2))
    assert first["org"] == ""
    assert first["sub"] == second["sub"] == "dev-citizen"


@pytest.mark.parametrize(("role", "told"), [("enterprise", "91350600M000100Y43"), ("clerk", "")])
def test_only_an_applicant_has_a_verified_number(portal: Client, secrets: Path, role: str, told: str) -> None:
    asked = {"role": role, "identity": "91350600M000100Y43"}
    assert claims_of(secrets, portal.post("/dev/token", json=asked).json()["token"])["identity"] == told


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "role"),
        ({"role": "emperor"}, "role"),
        ({"role": 7}, "role"),
        ({"role": "clerk", "region": "Fujian"}, "region"),
        ({"role": "clerk", "department": "D" * 33}, "department"),
        ({"role": "clerk", "subject": "s" * 129}, "subject"),
        ({"role": "citizen", "identity": "1" * 65}, "identity"),
        (["clerk"], ""),
    ],
)
def test_a_wrong_wish_is_refused_with_its_field(portal: Client, wanted: Any, field: str) -> None:
    answer = portal.post("/dev/token", json=wanted)
    assert answer.status_code == 400
    (violations,) = (one["fieldViolations"] for one in answer.json()["details"] if "fieldViolations" in one)
    assert violations[0]["field"] == field


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"\xff", 400), (b" " * 5000, 413)])
def test_what_is_no_wish_is_refused(portal: Client, body: bytes, status: int) -> None:
    assert portal.post("/dev/token", content=body).status_code == status


def test_without_a_key_there_are_no_tokens(bare: Client) -> None:
    answer = bare.post("/dev/token", json={"role": "citizen"})
    assert answer.status_code == 404
    assert answer.json()["code"] == 5
    assert 'id="token"' not in bare.get("/docs").text


def test_without_a_store_there_are_no_traces(bare: Client) -> None:
    assert bare.post("/v1/traces", content=b"", headers=PROTOBUF).status_code == 404
    assert bare.get("/traces").status_code == 404
    assert "/traces" not in bare.get("/").text
    assert "data-traces" not in bare.get("/docs").text


@pytest.mark.parametrize("packed", [False, True])
def test_spans_that_are_sent_show_up(portal: Client, packed: bool) -> None:
    body = otlp(TRACE, start=NOW)
    headers = {**PROTOBUF, "content-encoding": "gzip"} if packed else PROTOBUF
    answer = portal.post("/v1/traces", content=gzip.compress(body) if packed else body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    (summary,) = portal.get("/api/traces").json()["traces"]
    assert summary == {
        "traceId": TRACE,
        "start": "2030-03-17T17:46:40.000Z",
        "durationMs": 23.4,
        "service": "gateway",
        "title": "POST /approval/v1/cases",
        "services": ["gateway", "approval", "worker"],
        "spans": 9,
        "errors": 1,
    }
    assert f'href="/traces/{TRACE}"' in portal.get("/traces").text


def test_one_trace_is_served_as_json_with_its_edges(portal: Client) -> None:
    portal.post("/v1/traces", content=otlp(TRACE, start=NOW), headers=PROTOBUF)
    spans = {span["spanId"]: span for span in portal.get(f"/api/traces/{TRACE}").json()["spans"]}
    edges = {(spans[span["parentSpanId"]]["name"], span["name"]) for span in spans.values() if span["parentSpanId"]}
    assert ("router approval egress", "tulou.approval.v1.ApprovalService/CreateCase") in edges
    assert ("tulou.approval.v1.ApprovalService/CreateCase", "INSERT outbox") in edges
    assert portal.get(f"/api/traces/{TRACE.upper()}").status_code == 200
    assert portal.get("/api/traces/" + "0" * 32).status_code == 404


def test_the_trace_page_shows_every_span_and_what_went_wrong(portal: Client) -> None:
    portal.post("/v1/traces", content=otlp(TRACE, start=NOW), headers=PROTOBUF)
    html = portal.get(f"/traces/{TRACE}").text
    assert html.count("<details") == 9
    assert "mailbox full" in html
    assert "INSERT INTO cases" in html


def test_a_trace_that_is_not_there_yet_says_so(portal: Client) -> None:
    answer = portal.get("/traces/" + "0" * 32)
    assert answer.status_code == 404
    assert "还没有这条调用链" in answer.text


def test_what_a_span_says_is_text_and_never_markup(portal: Client) -> None:
    request = ExportTraceServiceRequest.FromString(otlp(TRACE, start=NOW))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.name = "<script>alert(1)</script>"
    span.attributes.add(key="<b>").value.string_value = '"><img src=x>'
    portal.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
    for path in ("/traces", f"/traces/{TRACE}"):
        html = portal.get(path).text
        assert "&lt;script&gt;alert(1)" in html
        assert "<script>alert" not in html
        assert "<img src=x" not in html


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 1),
        ("?service=worker", 1),
        ("?service=grid", 0),
        ("?min_ms=20", 1),
        ("?min_ms=24", 0),
        ("?errors=1", 1),
        ("?min_ms=nan&limit=x", 1),
    ],
)
def test_the_list_can_be_narrowed_by_query(portal: Client, query: str, count: int) -> None:
    portal.post("/v1/traces", content=otlp(TRACE, start=NOW), headers=PROTOBUF)
    assert len(portal.get(f"/api/traces{query}").json()["traces"]) == count
    assert portal.get(f"/traces{query}").text.count("<tr ") == count


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", PROTOBUF, 400),
        (b"not gzip", {**PROTOBUF, "content-encoding": "gzip"}, 400),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", {**PROTOBUF, "content-encoding": "br"}, 415),
        (bytes(MAX_BODY + 1), PROTOBUF, 413),
        (gzip.compress(bytes(MAX_BODY + 1)), {**PROTOBUF, "content-encoding": "gzip"}, 413),
    ],
    ids=["no protobuf", "no gzip", "json", "brotli", "too large", "too large unpacked"],
)
def test_what_cannot_be_spans_is_refused_as_otlp_wants_it(
    portal: Client, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = portal.post("/v1/traces", content=body, headers=headers)
    assert answer.status_code == status
    assert Status.FromString(answer.content).message


def test_spans_that_cannot_be_are_told_to_the_sender(portal: Client) -> None:
    request = ExportTraceServiceRequest.FromString(otlp(TRACE, start=NOW))
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    answer = portal.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1
    assert portal.get("/api/traces").json()["traces"][0]["spans"] == 8


def test_metrics_are_not_taken(portal: Client) -> None:
    assert portal.post("/v1/metrics", content=b"", headers=PROTOBUF).status_code == 404
