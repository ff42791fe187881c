"""The error model in the OpenAPI document: google.rpc.Status as the gateway writes it, with examples."""

from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tulou_gateway.openapi_schemas import Schema, Schemas
from tulou_gateway.replies import REPLIES

TYPE = "type.googleapis.com/google.rpc."
ZH = "zh-CN"


def _body(code: int, english: str, chinese: str, *, more: tuple[Schema, ...] = (), **info: Any) -> Schema:
    sentence = {"@type": TYPE + "LocalizedMessage", "locale": ZH, "message": chinese}
    return {"code": code, "message": english, "details": [{"@type": TYPE + "ErrorInfo", **info}, sentence, *more]}


# What the gateway itself answers; the services say the same.
_REPLIES = {reply.http: reply.body(ZH) for reply in REPLIES}
_VIOLATION = {"field": "case.title", "description": "不得超过 200 个字符。", "reason": "max_length"}

# By HTTP status: the name of the response, what it means, an example.
_ERRORS: dict[str, tuple[str, str, Schema]] = {
    "400": (
        "InvalidRequest",
        "INVALID_ARGUMENT: a field breaks its rule, and BadRequest names each. FAILED_PRECONDITION: the state of the "
        "resource does not allow it.",
        _body(
            3,
            "The request has fields that break their rules.",
            "请求有不符合要求的字段。",
            reason="INVALID_FIELD",
            domain="tulou",
            metadata={},
            more=({"@type": TYPE + "BadRequest", "fieldViolations": [_VIOLATION]},),
        ),
    ),
    "401": ("Unauthenticated", "UNAUTHENTICATED: no token, or not a valid one.", _REPLIES[401]),
    "403": (
        "PermissionDenied",
        "PERMISSION_DENIED: the token's role, department or region does not allow it.",
        _REPLIES[403],
    ),
    "404": (
        "NotFound",
        "NOT_FOUND: no such resource, or not one the caller may see.",
        _body(
            5,
            "No such case.",
            "没有该办件。",
            reason="CASE_NOT_FOUND",
            domain="approval.tulou",
            metadata={"case_id": "3f6c1d0a-8a51-4c0e-9d0b-6f1f6a2f8f11"},
        ),
    ),
    "409": (
        "Conflict",
        "ABORTED: the etag is stale; read again. ALREADY_EXISTS: the request_id was used with another payload, or the "
        "code is taken.",
        _body(
            10,
            "The resource has changed since you read it; read it again.",
            "数据已被他人更新，请重新读取。",
            reason="ETAG_STALE",
            domain="tulou",
            metadata={"etag": "v8"},
        ),
    ),
    "429": (
        "TooManyRequests",
        "RESOURCE_EXHAUSTED: too many calls; wait as long as `retry-after` says.",
        _REPLIES[429],
    ),
    "500": ("Internal", "INTERNAL: a fault of the service, logged under the trace id.", _REPLIES[500]),
    "503": (
        "Unavailable",
        "UNAVAILABLE: the service cannot answer now; the same call may be repeated.",
        _REPLIES[503],
    ),
    "default": (
        "OtherError",
        "Any other error, for example 413 (body too large) or 504 (deadline exceeded): the same model.",
        _REPLIES[504],
    ),
}


def responses_of(*, anonymous: bool, reads: bool) -> Schema:
    """The error responses of an operation, by HTTP status. A token may be wrong even where none is needed."""
    left_out = {"403"} if anonymous else set()
    left_out |= {"409"} if reads else set()
    return {
        status: {"$ref": f"#/components/responses/{name}"}
        for status, (name, _, _) in _ERRORS.items()
        if status not in left_out
    }


def add_components(schemas: Schemas) -> Schema:
    """Adds the schemas of the error model and of every service's reasons; returns the responses' components."""
    schemas.components |= _SCHEMAS
    _add_reasons(schemas)
    responses = {name: _response(meaning, example) for name, meaning, example in _ERRORS.values()}
    wait = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
    responses["TooManyRequests"]["headers"]["retry-after"] = wait
    return responses


def _response(description: str, example: Schema) -> Schema:
    content = {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}, "example": example}
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("x-request-id", "traceparent")},
        "content": {"application/json": content},
    }


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
