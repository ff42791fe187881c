"""What is known about the call that is being served."""

import hashlib
from contextvars import ContextVar
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message

from tulou_chassis.principals import Principal


@dataclass(frozen=True)
class IdempotencyKey:
    """Under what a write's first answer is kept: who, which method, which request_id; and a hash of what was asked."""

    subject: str
    method: str
    request_id: str
    payload_hash: bytes


@dataclass(slots=True)
class Call:
    """One call on its way through the guards, each of which fills in what it finds out."""

    method: str
    context: "grpc.aio.ServicerContext[Message, Message]"
    # None for a client stream, whose messages only the handler reads.
    request: Message | None
    response_type: type[Message]
    metadata: dict[str, str]
    locale: str
    principal: Principal | None = None
    idempotency: IdempotencyKey | None = None
    trace_id: str = ""
    code: grpc.StatusCode = grpc.StatusCode.OK


CURRENT: ContextVar[Call] = ContextVar("call")


def current_principal() -> Principal:
    """The caller of the running call. Only for RPCs that are not anonymous; else LookupError."""
    principal = CURRENT.get().principal
    if principal is None:
        raise LookupError("an anonymous call has no principal")
    return principal


def idempotency_key(principal: Principal | None, method: str, request_id: str, payload: bytes) -> IdempotencyKey:
    """The key of a write."""
    return IdempotencyKey(principal.subject if principal else "", method, request_id, hashlib.sha256(payload).digest())
