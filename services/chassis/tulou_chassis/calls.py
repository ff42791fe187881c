"""What is known about the call that is being served."""

from collections.abc import Callable
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
    # Hashes payloads under a key: who reads the kept hashes must not find a person's number by trying them all.
    digest: Callable[[bytes], bytes]
    principal: Principal | None = None
    idempotency: IdempotencyKey | None = None
    trace_id: str = ""
    code: grpc.StatusCode = grpc.StatusCode.OK

    def key(self, request_id: str, payload: bytes) -> IdempotencyKey:
        """The key of a write that this call asks for."""
        subject = self.principal.subject if self.principal else ""
        return IdempotencyKey(subject, self.method, request_id, self.digest(payload))


CURRENT: ContextVar[Call] = ContextVar("call")


def current_principal() -> Principal:
    """The caller of the running call. Only for RPCs that are not anonymous; else LookupError."""
    principal = CURRENT.get().principal
    if principal is None:
        raise LookupError("an anonymous call has no principal")
    return principal
