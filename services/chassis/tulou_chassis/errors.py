"""The one place where exceptions become gRPC statuses. What has no rule here becomes INTERNAL with fixed words."""

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from tulou_chassis.locales import EN
from tulou_chassis.violations import InvalidFields, StaleEtag, Violation

COMMON_DOMAIN: Final = "tulou"
# Of what an error repeats of a request.
MAX_TEXT: Final = 200
MAX_VIOLATIONS_BYTES: Final = 3_000
Code = grpc.StatusCode


@dataclass(frozen=True)
class Answer:
    """How one class of exceptions is answered. The sentences may name the exception's attributes in braces."""

    code: grpc.StatusCode
    reason: str
    zh: str
    en: str
    domain: str = COMMON_DOMAIN


class Refusal(Exception):
    """A refusal by the chassis itself, with its answer."""

    def __init__(self, answer: Answer, **metadata: str) -> None:
        super().__init__(answer.reason)
        self.answer = answer
        self.metadata = metadata


INVALID: Final = Answer(
    Code.INVALID_ARGUMENT, "INVALID_FIELD", "请求有不符合要求的字段。", "The request has fields that break their rules."
)
UNREADABLE: Final = Answer(
    Code.INVALID_ARGUMENT,
    "INVALID_FIELD",
    "请求无法解析，或嵌套过深。",
    "The request cannot be read, or nests too deeply.",
)
TOKEN_MISSING: Final = Answer(Code.UNAUTHENTICATED, "TOKEN_MISSING", "此接口需要登录令牌。", "This call needs a token.")
TOKEN_INVALID: Final = Answer(
    Code.UNAUTHENTICATED, "TOKEN_INVALID", "登录令牌无效或已过期。", "The token is not valid or has expired."
)
ROLE_NOT_ALLOWED: Final = Answer(
    Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", "您的角色不能调用此接口。", "Your role does not allow this call."
)
STALE: Final = Answer(
    Code.ABORTED,
    "ETAG_STALE",
    "数据已被他人更新，请重新读取。",
    "The resource has changed since you read it; read it again.",
)
REQUEST_ID_REUSED: Final = Answer(
    Code.ALREADY_EXISTS,
    "REQUEST_ID_REUSED",
    "该 request_id 已用于内容不同的请求。",
    "This request_id was used with another payload.",
)
PAGE_TOKEN_INVALID: Final = Answer(
    Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID", "分页标记无效。", "The page token is not valid for this list."
)
UNAVAILABLE: Final = Answer(
    Code.UNAVAILABLE, "UNAVAILABLE", "服务暂时不可用，请稍后重试。", "The service is not available; try again."
)
TOO_SLOW: Final = Answer(
    Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "处理超时。", "The call took longer than its deadline."
)
INTERNAL: Final = Answer(Code.INTERNAL, "INTERNAL", "服务内部错误。", "The service failed.")

# Most specific first.
COMMON_ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    InvalidFields: INVALID,
    StaleEtag: STALE,
    StaleDataError: STALE,
    TimeoutError: TOO_SLOW,
    PoolTimeout: UNAVAILABLE,
    OperationalError: UNAVAILABLE,
    InterfaceError: UNAVAILABLE,
    ConnectionError: UNAVAILABLE,
}


def answer_for(error: Exception, answers: Mapping[type[Exception], Answer]) -> Answer:
    """The answer for an exception: the chassis' refusals, then the service's classes, then the common ones."""
    if isinstance(error, Refusal):
        return error.answer
    # A connection that broke in the middle is the database's fault, whatever class the driver chose for it.
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return UNAVAILABLE
    if _cannot_now(error):
        return UNAVAILABLE
    for table in (answers, COMMON_ANSWERS):
        for kind, answer in table.items():
            if isinstance(error, kind):
                return answer
    return INTERNAL


def _cannot_now(error: Exception) -> bool:
    """Whether a disk is full, or PostgreSQL lacks disk, memory or connections (class 53) or is being stopped (57P)."""
    if isinstance(error, DBAPIError):
        return (getattr(error.orig, "sqlstate", None) or "").startswith(("53", "57P"))
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def status_for(error: Exception, answer: Answer, *, locale: str, trace_id: str) -> Status:
    """The rich status: ErrorInfo, LocalizedMessage and, for bad fields, BadRequest in the caller's language."""
    facts = {"trace_id": trace_id} if answer is INTERNAL else _facts(error, answer)
    english = answer.en.format_map(facts)
    localized = english if locale == EN else answer.zh.format_map(facts)
    details = [
        ErrorInfo(reason=answer.reason, domain=answer.domain, metadata=facts),
        LocalizedMessage(locale=locale, message=localized),
    ]
    status = Status(code=answer.code.value[0], message=english)
    if violations := getattr(error, "violations", ()):
        details.append(_bad_request(violations, locale))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _facts(error: Exception, answer: Answer) -> dict[str, str]:
    """What an error tells beside its sentence: the attributes of a service's own exception. Those of a library's are
    not for callers: SQLAlchemy's hold the statement and its values."""
    if isinstance(error, Refusal):
        attributes = error.metadata
    elif isinstance(error, StaleEtag) or answer.domain != COMMON_DOMAIN:
        attributes = vars(error)
    else:
        attributes = {}
    return {
        name: _text(value) for name, value in attributes.items() if not name.startswith("_") and name != "violations"
    }


def _bad_request(violations: Sequence[Violation], locale: str) -> BadRequest:
    """As many of the violations as surely arrive: clients refuse trailers of more than 8 KiB."""
    bad = BadRequest()
    for one in violations:
        told = one.en if locale == EN else one.zh
        bad.field_violations.add(field=one.field[:MAX_TEXT], reason=one.rule, description=told[:MAX_TEXT])
        if bad.ByteSize() > MAX_VIOLATIONS_BYTES:
            del bad.field_violations[-1]
            break
    return bad


def _text(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple, set, frozenset)) else str(value)
    return text[:MAX_TEXT]
