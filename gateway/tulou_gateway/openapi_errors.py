"""The error model in the OpenAPI document: google.rpc.Status as the gateway writes it, with examples."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tulou_gateway.openapi_schemas import Schema, Schemas

TYPE = "type.googleapis.com/google.rpc."


@dataclass(frozen=True)
class _Error:
    """What one HTTP status means, with an example of it."""

    name: str
    meaning: str
    code: int
    reason: str
    english: str
    chinese: str
    domain: str = "tulou"
    metadata: Mapping[str, str] = field(default_factory=dict)


_ERRORS = {
    "400": _Error(
        "InvalidRequest",
        "INVALID_ARGUMENT: a field breaks its rule, and BadRequest names each. FAILED_PRECONDITION: the state of the "
        "resource does not allow it.",
        3,
        "INVALID_FIELD",
        "The request has fields that break their rules.",
        "请求有不符合要求的字段。",
    ),
    "401": _Error(
        "Unauthenticated",
        "UNAUTHENTICATED: no token, or not a valid one.",
        16,
        "TOKEN_INVALID",
        "The token is not valid or has expired.",
        "登录令牌无效或已过期。",
    ),
    "403": _Error(
        "PermissionDenied",
        "PERMISSION_DENIED: the token's role, department or region does not allow it.",
        7,
        "ROLE_NOT_ALLOWED",
        "Your role does not allow this call.",
        "您的角色不能调用此接口。",
    ),
    "404": _Error(
        "NotFound",
        "NOT_FOUND: no such resource, or not one the caller may see.",
        5,
        "CASE_NOT_FOUND",
        "No such case.",
        "没有该办件。",
        "approval.tulou",
        {"case_id": "3f6c1d0a-8a51-4c0e-9d0b-6f1f6a2f8f11"},
    ),
    "409": _Error(
        "Conflict",
        "ABORTED: the etag is stale; read again. ALREADY_EXISTS: the request_id was used with another payload, or the "
        "code is taken.",
        10,
        "ETAG_STALE",
        "The resource has changed since you read it; read it again.",
        "数据已被他人更新，请重新读取。",
        metadata={"etag": "8"},
    ),
    "429": _Error(
        "TooManyRequests",
        "RESOURCE_EXHAUSTED: too many calls; wait as long as `retry-after` says.",
        8,
        "RATE_LIMITED",
        "Too many requests.",
        "请求过于频繁，请稍后再试。",
    ),
    "500": _Error(
        "Internal",
        "INTERNAL: a fault of the service, logged under the trace id.",
        13,
        "INTERNAL",
        "The service failed.",
        "服务内部错误。",
        metadata={"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"},
    ),
    "503": _Error(
        "Unavailable",
        "UNAVAILABLE: the service cannot answer now; the same call may be repeated.",
        14,
        "UNAVAILABLE",
        "The service is not available; try again.",
        "服务暂时不可用，请稍后重试。",
    ),
    "default": _Error(
        "OtherError",
        "Any other error, for example 413 (body too large) or 504 (deadline exceeded): the same model.",
        4,
        "DEADLINE_EXCEEDED",
        "The call took longer than its deadline.",
        "处理超时。",
    ),
}


def responses_of(*, anonymous: bool, reads: bool) -> Schema:
    """The error responses of an operation, by HTTP status. A token may be wrong even where none is needed."""
    left_out = {"403"} if anonymous else set()
    left_out |= {"409"} if reads else set()
    return {
        status: {"$ref": f"#/components/responses/{error.name}"}
        for status, error in _ERRORS.items()
        if status not in left_out
    }


def add_components(schemas: Schemas) -> Schema:
    """Adds the schemas of the error model and of every service's reasons; returns the responses' components."""
    schemas.components |= _SCHEMAS
    _add_reasons(schemas)
    responses = {error.name: _response(error) for error in _ERRORS.values()}
    wait = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
    responses["TooManyRequests"]["headers"]["retry-after"] = wait
    return responses


def _response(error: _Error) -> Schema:
    content = {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}, "example": _example(error)}
    return {
        "description": error.meaning,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("x-request-id", "traceparent")},
        "content": {"application/json": content},
    }


def _example(error: _Error) -> Schema:
    info = {"reason": error.reason, "domain": error.domain, "metadata": dict(error.metadata)}
    details: list[Schema] = [
        {"@type": TYPE + "ErrorInfo", **info},
        {"@type": TYPE + "LocalizedMessage", "locale": "zh-CN", "message": error.chinese},
    ]
    if error.reason == "INVALID_FIELD":
        violation = {"field": "case.title", "description": "不得超过 200 个字符。", "reason": "max_length"}
        details.append({"@type": TYPE + "BadRequest", "fieldViolations": [violation]})
    return {"code": error.code, "message": error.english, "details": details}


def _add_reasons(schemas: Schemas) -> None:
    for file in FileDescriptorSet.FromString(schemas.api.raw).file:
        for enum in file.enum_type:
            if enum.name.endswith("ErrorReason"):
                # ErrorInfo.reason holds the name without the prefix that protobuf asks of enum values.
                prefix = enum.value[0].name.removesuffix("UNSPECIFIED")
                schemas.enum(schemas.api.pool.FindEnumTypeByName(f"{file.package}.{enum.name}"), strip=prefix)


def _detail(name: str, description: str, properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": {"@type": {"const": TYPE + name}, **properties},
        "required": ["@type"],
    }


_TEXT: Schema = {"type": "string"}
_DETAILS: Schema = {
    "ErrorInfo": _detail(
        "ErrorInfo",
        "Why, for programs.",
        {
            "reason": {
                **_TEXT,
                "description": "Of `type.v1.CommonErrorReason` where the domain is `tulou`, else of the service "
                "that the domain names, for example of `approval.v1.ErrorReason` for `approval.tulou`.",
            },
            "domain": {**_TEXT, "description": "`tulou` or `<service>.tulou`."},
            "metadata": {"type": "object", "additionalProperties": _TEXT, "description": "Facts to the reason."},
        },
    ),
    "LocalizedMessage": _detail(
        "LocalizedMessage",
        "Why, for people, in the language of `accept-language`: zh-CN (default) or en.",
        {"locale": {"type": "string", "enum": ["zh-CN", "en"]}, "message": _TEXT},
    ),
    "BadRequest": _detail(
        "BadRequest",
        "Which fields.",
        {
            "fieldViolations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": {**_TEXT, "description": "Its path in proto names, as `case.applicant.phone`."},
                        "description": {**_TEXT, "description": "What is wrong, in the same language."},
                        "reason": {**_TEXT, "description": "The rule it breaks, for example `max_length`."},
                    },
                },
            }
        },
    ),
}
_SCHEMAS: Schema = {f"google.rpc.{name}": schema for name, schema in _DETAILS.items()} | {
    "google.rpc.Status": {
        "type": "object",
        "description": "What every refused call answers.",
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "The gRPC status code."},
            "message": {**_TEXT, "description": "One English sentence for developers."},
            "details": {
                "type": "array",
                "items": {"anyOf": [{"$ref": f"#/components/schemas/google.rpc.{name}"} for name in _DETAILS]},
            },
        },
        "required": ["code", "message"],
    }
}
