"""What the gateway itself answers when a call never reaches a service, or comes back from none: the one error model.

Reasons are those of tulou/type/v1/error_reason.proto; the sentences are the services' own, so that a caller cannot tell (and
need not care) who refused.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

LANGUAGES: Final = ("en", "zh-CN")
DOMAIN: Final = "tulou"
# English when the caller names it before Chinese, else Chinese; the same rule as in the services.
PREFERS_ENGLISH: Final = r"(?i)^(\s*([^ez,\s]|e[^n,]|z[^h,])[^,]*,)*\s*en.*"


@dataclass(frozen=True)
class Reply:
    """One answer. `http` is also the status Envoy gives it, unless `when` says another; `grpc` is the code in the body."""

    name: str
    http: int
    grpc: int
    reason: str
    zh: str
    en: str
    # What the caller did wrong with the request as a whole: (field, rule, zh, en).
    violation: tuple[str, str, str, str] | None = None
    # The gRPC code where it differs from the one in JSON.
    grpc_only: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def sentence(self, language: str) -> str:
        """The sentence for a person."""
        return self.en if language == "en" else self.zh

    def body(self, language: str) -> dict[str, Any]:
        """The JSON body, as Envoy's transcoder writes a google.rpc.Status."""
        details: list[dict[str, Any]] = [
            {"@type": _url("ErrorInfo"), "reason": self.reason, "domain": DOMAIN, "metadata": {}},
            {"@type": _url("LocalizedMessage"), "locale": language, "message": self.sentence(language)},
        ]
        if self.violation:
            field, rule, zh, en = self.violation
            one = {"field": field, "reason": rule, "description": en if language == "en" else zh}
            details.append({"@type": _url("BadRequest"), "fieldViolations": [one]})
        return {"code": self.grpc, "message": self.en, "details": details}

    def status_header(self, language: str) -> str:
        """The same as `grpc-status-details-bin` for a gRPC caller."""
        status = status_pb2.Status(code=self.grpc_code, message=self.en)
        for detail in (
            error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN),
            error_details_pb2.LocalizedMessage(locale=language, message=self.sentence(language)),
        ):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return base64.b64encode(status.SerializeToString()).decode().rstrip("=")

    @property
    def grpc_code(self) -> int:
        """What a gRPC caller sees as grpc-status."""
        return self.grpc if self.grpc_only is None else self.grpc_only


def _url(detail: str) -> str:
    return f"type.googleapis.com/google.rpc.{detail}"


_TOO_LARGE = Reply("too_large", 413, 8, "TOO_LARGE", "请求内容过大。", "The request is larger than allowed.")
_UNAVAILABLE = Reply(
    "unavailable", 503, 14, "UNAVAILABLE", "服务暂时不可用，请稍后重试。", "The service is not available; try again."
)
_TOO_SLOW = Reply(
    "too_slow", 504, 4, "DEADLINE_EXCEEDED", "处理超时。", "The call took longer than its deadline."
)
_CHALLENGE = (("www-authenticate", "Bearer"),)

# By the status Envoy gives. 403 comes without a token too; envoy.yaml tells the three apart.
TOKEN_MISSING: Final = Reply(
    "token_missing", 401, 16, "TOKEN_MISSING", "此接口需要登录令牌。", "This call needs a token.", headers=_CHALLENGE
)
TOKEN_INVALID: Final = Reply(
    "token_invalid", 401, 16, "TOKEN_INVALID", "登录令牌无效或已过期。", "The token is not valid or has expired.",
    headers=_CHALLENGE,
)  # fmt: skip
REPLIES: Final = (
    Reply(
        "malformed", 400, 3, "INVALID_FIELD", "请求格式不正确。", "The request is malformed.",
    ),
    TOKEN_INVALID,
    Reply("role", 403, 7, "ROLE_NOT_ALLOWED", "您的角色不能调用此接口。", "Your role does not allow this call."),
    Reply("unknown", 404, 5, "UNKNOWN_METHOD", "没有这个接口。", "There is no such method or path.", grpc_only=12),
    replace(_TOO_SLOW, name="request_too_slow", http=408),
    _TOO_LARGE,
    Reply(
        "media_type", 415, 3, "INVALID_FIELD", "请求格式不正确。", "The request is malformed.",
        violation=("content-type", "media_type", "应为 application/json。", "Must be application/json."),
    ),
    Reply("rate", 429, 8, "RATE_LIMITED", "请求过于频繁，请稍后重试。", "Too many requests; wait as retry-after says."),
    replace(_TOO_LARGE, name="headers_too_large", http=431),
    Reply("internal", 500, 13, "INTERNAL", "服务内部错误。", "The service failed."),
    replace(_UNAVAILABLE, name="bad_gateway", http=502),
    _UNAVAILABLE,
    _TOO_SLOW,
)  # fmt: skip


def local_replies() -> Iterator[dict[str, Any]]:
    """Envoy's local reply mappers, first match first: each status in gRPC and in JSON, in English and in Chinese."""
    for title, reply, status, conditions in _cases():
        for is_grpc in (True, False):
            for language in LANGUAGES:
                filters = [*conditions, *([_IS_GRPC] if is_grpc else []), *([_ENGLISH] if language == "en" else [])]
                yield {
                    "title": f"{title}: {reply.name}, {'gRPC' if is_grpc else 'JSON'}, {language}",
                    "filter": {"and_filter": {"filters": filters}} if len(filters) > 1 else filters[0],
                    "status": status,
                    "headers": [_header(*pair) for pair in _headers(reply, language, is_grpc=is_grpc)],
                    "format": {"text_format_source": {"inline_string": reply.en}}
                    if is_grpc
                    else {"json_format": reply.body(language)},
                }


def _cases() -> Iterator[tuple[str, Reply, int | None, list[dict[str, Any]]]]:
    # Envoy's access rules answer 403 whether the token lacks the role or is not there at all; and so does its token check
    # for a token of another audience.
    yield "403 with a token that was not accepted", TOKEN_INVALID, 401, [_status("EQ", 403), _NO_CLAIMS, _HAS_TOKEN]
    yield "403 without a token", TOKEN_MISSING, 401, [_status("EQ", 403), _NO_CLAIMS]
    known = {reply.http: reply for reply in REPLIES}
    for reply in REPLIES:
        yield str(reply.http), reply, reply.http, [_status("EQ", reply.http)]
    yield "any other 5xx", known[500], None, [_status("GE", 500)]
    yield "any other 4xx", known[400], None, [_status("GE", 400)]


def _headers(reply: Reply, language: str, *, is_grpc: bool) -> Iterator[tuple[str, str]]:
    yield from reply.headers
    if is_grpc:
        yield "grpc-status", str(reply.grpc_code)
        yield "grpc-status-details-bin", reply.status_header(language)


def _header(key: str, value: str) -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _status(operator: str, value: int) -> dict[str, Any]:
    # Envoy asks for a name under which the number could be changed at run time; none is ever set.
    comparison = {"op": operator, "value": {"default_value": value, "runtime_key": "unused"}}
    return {"status_code_filter": {"comparison": comparison}}


# A transcoded call looks like gRPC from the transcoder on, but its caller reads JSON.
_IS_GRPC: Final = {
    "and_filter": {
        "filters": [
            {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}},
            {"header_filter": {"header": {"name": "x-envoy-original-path", "present_match": False}}},
        ]
    }
}
_ENGLISH: Final = {
    "header_filter": {"header": {"name": "accept-language", "string_match": {"safe_regex": {"regex": PREFERS_ENGLISH}}}}
}
_HAS_TOKEN: Final = {"header_filter": {"header": {"name": "authorization", "present_match": True}}}
_NO_CLAIMS: Final = {
    "metadata_filter": {
        "matcher": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "token"}],
            "value": {"present_match": True},
            "invert": True,
        },
        "match_if_key_not_found": True,
    }
}
