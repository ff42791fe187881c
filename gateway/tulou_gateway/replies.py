"""What the gateway itself answers when a call never reaches a service, or comes back from none: the one error model.

Reasons are those of tulou/type/v1/error_reason.proto; the sentences are the services' own, so that a caller cannot tell
(and need not care) who refused.
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
# Where lua/body_check.lua notes the rule that a body breaks, and the field.
BODY_CHECK: Final = "tulou.body_check"


# What is wrong with one field: the field, the rule, and a description in Chinese and in English.
Violation = tuple[str, str, str, str]


@dataclass(frozen=True)
class Reply:
    """One answer: the HTTP status, the code in a JSON body, the reason, and the sentences for a person."""

    name: str
    http: int
    code: int
    reason: str
    zh: str
    en: str
    violation: Violation | None = None
    # The gRPC status where it is not `code`.
    grpc_code: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def body(self, language: str) -> dict[str, Any]:
        """The JSON body, as the transcoder writes a google.rpc.Status."""
        details: list[dict[str, Any]] = [
            {"@type": _url("ErrorInfo"), "reason": self.reason, "domain": DOMAIN, "metadata": {}},
            {"@type": _url("LocalizedMessage"), "locale": language, "message": self._sentence(language)},
        ]
        if self.violation:
            field, rule, zh, en = self.violation
            found = {"field": field, "reason": rule, "description": en if language == "en" else zh}
            details.append({"@type": _url("BadRequest"), "fieldViolations": [found]})
        return {"code": self.code, "message": self.en, "details": details}

    def grpc_headers(self, language: str) -> dict[str, str]:
        """The same for a gRPC caller: the status and its details."""
        code = self.code if self.grpc_code is None else self.grpc_code
        status = status_pb2.Status(code=code, message=self.en)
        for detail in (
            error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN),
            error_details_pb2.LocalizedMessage(locale=language, message=self._sentence(language)),
        ):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        # gRPC leaves the padding out.
        details = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
        return {"grpc-status": str(code), "grpc-status-details-bin": details}

    def _sentence(self, language: str) -> str:
        return self.en if language == "en" else self.zh


def _url(detail: str) -> str:
    return f"type.googleapis.com/google.rpc.{detail}"


_INVALID = Reply(
    name="invalid_field",
    http=400,
    code=3,
    reason="INVALID_FIELD",
    zh="请求有不符合要求的字段。",
    en="The request has fields that break their rules.",
)
_BODY_FIELD = f"%DYNAMIC_METADATA({BODY_CHECK}:field)%"
# lua/body_check.lua notes the rule's name.
BODY_RULES: Final[tuple[Violation, ...]] = (
    (_BODY_FIELD, "unknown_field", "没有这个字段。", "There is no such field."),
    (_BODY_FIELD, "duplicate_field", "字段重复。", "The field stands twice."),
    (_BODY_FIELD, "type", "类型不符。", "Of the wrong type."),
    (_BODY_FIELD, "max_depth", "嵌套不得超过 32 层。", "At most 32 levels of nesting."),
    (_BODY_FIELD, "json", "不是有效的 JSON。", "Not valid JSON."),
)

_CHALLENGE = (("www-authenticate", "Bearer"),)
TOKEN_MISSING: Final = Reply(
    "token_missing", 401, 16, "TOKEN_MISSING", "此接口需要登录令牌。", "This call needs a token.", headers=_CHALLENGE
)
TOKEN_INVALID: Final = Reply(
    name="token_invalid",
    http=401,
    code=16,
    reason="TOKEN_INVALID",
    zh="登录令牌无效或已过期。",
    en="The token is not valid or has expired.",
    headers=_CHALLENGE,
)
_TOO_LARGE = Reply("too_large", 413, 8, "TOO_LARGE", "请求内容过大。", "The request is larger than allowed.")
_UNAVAILABLE = Reply(
    "unavailable", 503, 14, "UNAVAILABLE", "服务暂时不可用，请稍后重试。", "The service is not available; try again."
)
_TOO_SLOW = Reply("too_slow", 504, 4, "DEADLINE_EXCEEDED", "处理超时。", "The call took longer than its deadline.")

# One for each status that Envoy gives.
REPLIES: Final = (
    # Envoy says in English what it could not read.
    replace(_INVALID, violation=("", "format", "%LOCAL_REPLY_BODY%", "%LOCAL_REPLY_BODY%")),
    TOKEN_INVALID,
    Reply("role", 403, 7, "ROLE_NOT_ALLOWED", "您的角色不能调用此接口。", "Your role does not allow this call."),
    # A gRPC client expects UNIMPLEMENTED, an HTTP client 404.
    Reply("unknown", 404, 5, "UNKNOWN_METHOD", "没有这个接口。", "There is no such method or path.", grpc_code=12),
    replace(_TOO_SLOW, name="request_too_slow", http=408),
    _TOO_LARGE,
    replace(
        _INVALID,
        name="media_type",
        http=415,
        violation=("content-type", "media_type", "应为 application/json。", "Must be application/json."),
    ),
    Reply("rate", 429, 8, "RATE_LIMITED", "请求过于频繁，请稍后重试。", "Too many requests; wait as retry-after says."),
    replace(_TOO_LARGE, name="headers_too_large", http=431),
    Reply("internal", 500, 13, "INTERNAL", "服务内部错误。", "The service failed."),
    replace(_UNAVAILABLE, name="bad_gateway", http=502),
    _UNAVAILABLE,
    _TOO_SLOW,
)


def mappers() -> Iterator[dict[str, Any]]:
    """Envoy's local reply mappers, of which the first match counts: each case in gRPC and JSON, English and Chinese."""
    for title, conditions, status, reply in _cases():
        for is_grpc in (True, False):
            for language in LANGUAGES:
                filters = [*conditions, *([_IS_GRPC] if is_grpc else []), *([_ENGLISH] if language == "en" else [])]
                headers = [*reply.headers, *(reply.grpc_headers(language).items() if is_grpc else ())]
                yield {
                    "title": f"{title}: {reply.name}, {'gRPC' if is_grpc else 'JSON'}, {language}",
                    "filter": filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}},
                    "status": status,
                    "headers": [*_IDS, *(_header(key, value) for key, value in headers)],
                    "format": {"text_format_source": {"inline_string": reply.en}}
                    if is_grpc
                    else {"json_format": reply.body(language)},
                }


def _cases() -> Iterator[tuple[str, list[dict[str, Any]], int | None, Reply]]:
    for violation in BODY_RULES:
        rule = violation[1]
        noted = _metadata(BODY_CHECK, "rule", {"string_match": {"exact": rule}}, if_missing=False)
        yield "a JSON body", [_status("EQ", 400), noted], 400, replace(_INVALID, name=rule, violation=violation)
    # Envoy's access rules answer 403 whether the token lacks the role or is not there at all; its token check answers
    # 403 to a token for another audience.
    no_claims = _metadata("envoy.filters.http.jwt_authn", "token", {"present_match": False}, if_missing=True)
    yield "403 and no claims, but a token", [_status("EQ", 403), no_claims, _HAS_TOKEN], 401, TOKEN_INVALID
    yield "403 and no token", [_status("EQ", 403), no_claims], 401, TOKEN_MISSING
    known = {reply.http: reply for reply in REPLIES}
    for http, reply in known.items():
        yield str(http), [_status("EQ", http)], http, reply
    yield "any other 5xx", [_status("GE", 500)], None, known[500]
    yield "any other 4xx", [_status("GE", 400)], None, known[400]


def _header(key: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, "append_action": action}


# What is refused before its headers were read through has neither a request id nor a trace. It gets the one by chance,
# so that its line in the access log can be found, and the other from the clock.
_IDS: Final = (
    _header("x-request-id", "%UNIQUE_ID%", "ADD_IF_ABSENT"),
    _header("traceparent", "00-%START_TIME(0000000000000%s%9f)%-%START_TIME(%9f0000001)%-00", "ADD_IF_ABSENT"),
)


def _status(operator: str, value: int) -> dict[str, Any]:
    # Envoy asks for a name under which the number could be changed at run time; none is ever set.
    comparison = {"op": operator, "value": {"default_value": value, "runtime_key": "unused"}}
    return {"status_code_filter": {"comparison": comparison}}


def _metadata(namespace: str, key: str, value: dict[str, Any], *, if_missing: bool) -> dict[str, Any]:
    matcher = {"filter": namespace, "path": [{"key": key}], "value": value}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": if_missing}}


def _request_header(name: str, match: dict[str, Any]) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": name, **match}}}


_ENGLISH: Final = _request_header("accept-language", {"string_match": {"safe_regex": {"regex": PREFERS_ENGLISH}}})
_HAS_TOKEN: Final = _request_header("authorization", {"present_match": True})
_IS_GRPC: Final = {
    "and_filter": {
        "filters": [
            _request_header("content-type", {"string_match": {"prefix": "application/grpc"}}),
            # A transcoded call looks like gRPC from the transcoder on, but its caller reads JSON.
            _request_header("x-envoy-original-path", {"present_match": False}),
        ]
    }
}
