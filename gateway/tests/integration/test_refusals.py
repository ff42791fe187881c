"""Calls that the gateway answers itself: each in the one error model, in the caller's language, over each protocol."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.tests.integration.conftest import assert_refused, at, running_gateway
from tulou.approval.v1 import approval_service_pb2 as service
from tulou.approval.v1 import approval_service_pb2_grpc

SUBMIT = "/approval/v1/cases/c1:submit"


# -- Who calls.


def test_no_token_is_refused_in_chinese_and_in_english_on_request(http):
    missing = http.get("/approval/v1/cases")
    assert_refused(missing, 401, 16, "TOKEN_MISSING")
    assert missing.headers["www-authenticate"] == "Bearer"
    for accepted, locale in (("en", "en"), ("fr, EN-us;q=0.5, zh", "en"), ("zh, en", "zh-CN"), ("fr", "zh-CN")):
        answer = http.get("/approval/v1/cases", headers={"accept-language": accepted})
        assert_refused(answer, 401, 16, "TOKEN_MISSING", locale)


def bad_tokens(issuer: Any) -> Iterator[tuple[str, str]]:
    yield "expired", issuer.token("clerk", exp=int(time.time()) - 60)
    yield "without expiry", issuer.token("clerk", exp=None)
    yield "not valid yet", issuer.token("clerk", nbf=int(time.time()) + 600)
    yield "of another issuer", issuer.token("clerk", iss="https://elsewhere.example")
    yield "for another audience", issuer.token("clerk", aud="others")
    yield "signed with none", issuer.token("clerk", algorithm="none")
    yield "signed by another key", issuer.token("clerk", key=rsa.generate_private_key(65537, 2048))
    keys = json.loads((issuer.folder / "jwks.json").read_text())
    yield (
        "signed with the public key as a secret",
        jwt.encode(
            jwt.decode(issuer.token("clerk"), options={"verify_signature": False}),
            keys["keys"][0]["n"],
            algorithm="HS256",
            headers={"kid": "k1"},
        ),
    )
    yield "cut short", issuer.token("clerk")[:-10]
    yield "no token at all", "abc"


def test_a_bad_token_is_refused_even_where_none_is_needed(http, issuer, upstream):
    for what, token in bad_tokens(issuer):
        for path in ("/approval/v1/cases", "/approval/v1/items"):
            answer = http.get(path, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 401, what
            assert_refused(answer, 401, 16, "TOKEN_INVALID")
    assert not upstream.calls


def test_another_scheme_than_bearer_is_no_token(http):
    assert_refused(http.get("/approval/v1/cases", headers={"authorization": "Basic YTpi"}), 401, 16, "TOKEN_INVALID")


def test_a_wrong_role_is_refused(http, issuer, upstream):
    answer = http.post("/approval/v1/cases/c1:accept", json={}, headers=issuer.header("citizen", "enterprise"))
    assert_refused(answer, 403, 7, "ROLE_NOT_ALLOWED")
    assert_refused(http.get("/approval/v1/cases", headers=issuer.header()), 403, 7, "ROLE_NOT_ALLOWED")
    assert not upstream.calls


def test_one_right_role_among_others_is_enough(http, issuer):
    answer = http.post("/approval/v1/cases/c1:accept", json={}, headers=issuer.header("citizen", "clerk"))
    assert answer.status_code == 200


def test_an_open_call_needs_no_token(http):
    assert http.get("/approval/v1/items").status_code == 200


# -- What is called.


def test_unknown_paths_and_verbs_are_not_found(http, issuer):
    header = issuer.header("clerk")
    assert_refused(http.get("/approval/v1/nothing", headers=header), 404, 5, "UNKNOWN_METHOD")
    assert_refused(http.get("/approval/v1/nothing"), 404, 5, "UNKNOWN_METHOD")
    assert_refused(http.delete("/approval/v1/cases/c1", headers=header), 404, 5, "UNKNOWN_METHOD")
    assert_refused(http.get("/other", headers={"accept-language": "en"}), 404, 5, "UNKNOWN_METHOD", "en")
    # The gRPC path takes gRPC only.
    answer = http.post("/tulou.approval.v1.ApprovalService/GetCase", json={}, headers=header)
    assert_refused(answer, 404, 5, "UNKNOWN_METHOD")


def test_an_escaped_slash_is_refused(http, issuer):
    assert_refused(http.get("/approval/v1/items/a%2Fb"), 400, 3, "INVALID_FIELD")


def test_a_header_with_an_underscore_is_dropped(http, upstream):
    assert http.get("/approval/v1/items", headers={"x_role": "admin"}).status_code == 200
    _, _, metadata = upstream.calls[0]
    assert not [name for name in metadata if "role" in name]


def test_dots_do_not_leave_the_path(http):
    request = http.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=b"/docs/../approval//v1/./items")
    assert http.send(request).status_code == 200


# -- What is in it.


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("nope=1", 'field "nope"'),
        ("page_size=many", "page_size: invalid value"),
        ("state=CASE_STATE_OF_MIND", "state: invalid value"),
    ],
)
def test_a_bad_query_is_refused_and_said_why(http, issuer, upstream, query, words):
    answer = http.get(f"/approval/v1/cases?{query}", headers=issuer.header("clerk"))
    (violation,) = assert_refused(answer, 400, 3, "INVALID_FIELD")
    assert words in violation["description"]
    assert not upstream.calls


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ('{"titel": 1}', "titel", "unknown_field"),
        ('{"case": {"applicant": {"nmae": "x"}}}', "case.applicant.nmae", "unknown_field"),
        ('{"case": {"form": {"nmae": {}}, "nmae": 1}}', "case.nmae", "unknown_field"),
        ('{"requestId": "1", "request_id": "2"}', "request_id", "duplicate_field"),
        ('{"case": {"form": {"a": {"b": 1, "b": 2}}}}', "case.form.a.b", "duplicate_field"),
        ('{"case": {"title": 5}}', "case.title", "type"),
        ('{"case": {"title": {"a": 1}}}', "case.title", "type"),
        ('{"case": {"extended": "true"}}', "case.extended", "type"),
        ('{"case": {"allowed_actions": [1, [2]]}}', "case.allowed_actions[1]", "type"),
        ('{"case": [{"title": "x"}]}', "case", "type"),
        ("[]", "", "type"),
        ('{"case": {"title": "x"}', "case", "json"),
        ('{"requestId": "1"} {}', "", "json"),
        ("{'requestId': '1'}", "", "json"),
        ('{"case": {"form": {"a": ' + "[" * 30 + "]" * 30 + "}}}", "case.form.a" + "[0]" * 29, "max_depth"),
        ('{"case": {"form": ' + '{"a": ' * 50 + "1" + "}" * 50 + "}}", "case.form" + ".a" * 30, "max_depth"),
    ],
)
def test_a_bad_body_is_refused_and_the_field_named(http, issuer, upstream, body, field, rule):
    headers = {"content-type": "application/json", **issuer.header("citizen")}
    answer = http.post("/approval/v1/cases", content=body, headers=headers)
    (violation,) = assert_refused(answer, 400, 3, "INVALID_FIELD")
    assert (violation["field"], violation["reason"]) == (field, rule)
    english = http.post("/approval/v1/cases", content=body, headers={**headers, "accept-language": "en"})
    assert_refused(english, 400, 3, "INVALID_FIELD", "en")
    assert not upstream.calls


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        " {\n} ",
        '{"request_id": "a\\"}\\\\", "case": {"itemCode": null, "item_version": "3", "title": "\\u5e97 {[,:"}}',
        '{"case": {"form": {"a": [[], {}, [1.5e3, -2], {"x": null, "y": true}], "": 0}}}',
        '{"case": {"form": {"a": ' + "[" * 29 + "]" * 29 + "}}}",
        '{"case": {"createTime": "2026-01-01T00:00:00Z", "state": 1, "allowedActions": ["CASE_ACTION_SUBMIT", 2]}}',
    ],
)
def test_a_good_body_passes(http, issuer, upstream, body):
    headers = {"content-type": "application/json; charset=utf-8", **issuer.header("citizen")}
    assert http.post("/approval/v1/cases", content=body, headers=headers).status_code == 200
    assert len(upstream.calls) == 1


def test_what_only_the_transcoder_sees_is_refused_with_its_words(http, issuer):
    body = {"case": {"itemVersion": "many"}}
    answer = http.post("/approval/v1/cases", json=body, headers=issuer.header("citizen"))
    (violation,) = assert_refused(answer, 400, 3, "INVALID_FIELD")
    assert "case.item_version" in violation["description"]


def test_what_the_path_gives_must_not_stand_in_the_body(http, issuer):
    for name in ("caseId", "case_id"):
        answer = http.post(SUBMIT, json={name: "other"}, headers=issuer.header("citizen"))
        (violation,) = assert_refused(answer, 400, 3, "INVALID_FIELD")
        assert (violation["field"], violation["reason"]) == (name, "unknown_field")


def test_a_body_that_is_not_called_json_is_refused(http, issuer, upstream):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        headers = {"content-type": content_type, **issuer.header("citizen")}
        (violation,) = assert_refused(http.post(SUBMIT, content="{}", headers=headers), 415, 3, "INVALID_FIELD")
        assert violation["field"] == "content-type"
    assert not upstream.calls


# -- How much of it.


def test_a_json_body_over_one_mebibyte_is_refused(http, issuer):
    body = {"case": {"title": "x" * 1024 * 1024}}
    answer = http.post("/approval/v1/cases", json=body, headers=issuer.header("citizen"))
    assert_refused(answer, 413, 8, "TOO_LARGE")


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_is_sent(gateway, issuer, upstream):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        token = issuer.token("citizen")
        connection.sendall(
            b"POST /approval/v1/cases/c1/materials/M01:upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/pdf\r\n"
            b"content-length: 30000000\r\nauthorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert not upstream.calls


def test_an_upload_that_turns_out_too_large_is_cut_off(http, issuer):
    def pieces() -> Iterator[bytes]:
        for _ in range(22):
            yield b"x" * 1024 * 1024

    headers = {"content-type": "application/pdf", **issuer.header("citizen")}
    answer = http.post("/approval/v1/cases/c1/materials/M01:upload", content=pieces(), headers=headers)
    assert_refused(answer, 413, 8, "TOO_LARGE")


def test_too_many_or_too_large_headers_are_refused(http):
    assert_refused(http.get("/approval/v1/items", headers={"x-large": "x" * 20_000}), 431, 8, "TOO_LARGE")
    many = {f"x-{number}": "x" for number in range(100)}
    assert_refused(http.get("/approval/v1/items", headers=many), 431, 8, "TOO_LARGE")


# -- When the service is slow or gone.


def test_a_call_that_takes_too_long_is_given_up(tmp_path, issuer):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        headers = {"grpc-timeout": "200m", **issuer.header("clerk")}
        with running_gateway(tmp_path, issuer, *at(silent.getsockname()[1])) as gateway:
            answer = httpx.get(f"{gateway.url}/approval/v1/cases/c1", headers=headers)
    assert_refused(answer, 504, 4, "DEADLINE_EXCEEDED")


def test_a_service_that_is_gone_is_unavailable(http, issuer, upstream, channel):
    upstream.stop()
    try:
        answer = http.get("/approval/v1/cases/c1", headers=issuer.header("clerk"))
        assert_refused(answer, 503, 14, "UNAVAILABLE")
        assert_grpc_refused(channel, issuer.header("clerk"), grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    finally:
        upstream.start()
    assert http.get("/approval/v1/cases/c1", headers=issuer.header("clerk")).status_code == 200


def test_a_portal_that_is_gone_is_unavailable(http):
    for path in ("/", "/docs", "/openapi.json", "/traces/abc", "/api/traces", "/static/x.css", "/dev/token"):
        assert_refused(http.get(path), 503, 14, "UNAVAILABLE")


def test_the_portals_receiver_of_spans_is_not_reachable(http):
    assert_refused(http.post("/v1/traces", content=b"x"), 404, 5, "UNKNOWN_METHOD")


# -- Over gRPC and gRPC-Web.


def assert_grpc_refused(
    channel: grpc.Channel, headers: dict[str, str], code: grpc.StatusCode, reason: str, locale: str = "zh-CN"
) -> None:
    stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetCase(service.GetCaseRequest(case_id="c1"), metadata=tuple(headers.items()))
    assert caught.value.code() == code
    status = rpc_status.from_call(caught.value)
    info, message = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(message)
    assert (info.reason, info.domain, message.locale) == (reason, "tulou", locale)
    initial = dict(caught.value.initial_metadata()) | dict(caught.value.trailing_metadata())
    assert {"x-request-id", "traceparent"} <= set(initial)


def test_grpc_callers_get_the_right_status_with_details(channel, issuer):
    assert_grpc_refused(channel, {}, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    bad = {"authorization": "Bearer abc", "accept-language": "en"}
    assert_grpc_refused(channel, bad, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "en")
    assert_grpc_refused(channel, issuer.header("courier"), grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")


def test_grpc_reaches_no_method_that_is_not_in_the_protos(channel, issuer):
    for path, code in (
        ("/tulou.approval.v1.ApprovalService/Nothing", grpc.StatusCode.PERMISSION_DENIED),
        ("/tulou.other.v1.Service/Get", grpc.StatusCode.PERMISSION_DENIED),
        ("/another.Service/Get", grpc.StatusCode.UNIMPLEMENTED),
    ):
        call = channel.unary_unary(path)
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", metadata=tuple(issuer.header("admin", "clerk").items()))
        assert caught.value.code() == code


def test_grpc_web_callers_get_status_and_details_in_headers(http):
    answer = http.post(
        "/tulou.approval.v1.ApprovalService/GetCase",
        content=b"\x00\x00\x00\x00\x00",
        headers={"content-type": "application/grpc-web+proto"},
    )
    assert answer.headers["grpc-status"] == "16"
    assert answer.headers["grpc-status-details-bin"]
