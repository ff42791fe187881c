"""What this service asks the credit service: in the caller's own name, in the caller's trace, and not for long."""

import asyncio
import json
import uuid
from typing import Any, Final

import grpc
import structlog
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tulou.credit.v1 import credit_service_pb2, credit_service_pb2_grpc
from tulou_approval.convert.credit import check_from_proto, check_request, register_request
from tulou_approval.domain.credit import UNAVAILABLE, CreditCheck
from tulou_approval.operations.credit import Question
from tulou_chassis.calls import CURRENT

# For all calls and all their attempts together: someone at a window is waiting.
SECONDS: Final = 1.0
SERVICE: Final = credit_service_pb2.DESCRIPTOR.services_by_name["CreditService"].full_name
CHANNEL: Final = {
    # One call to one server, the next to another, and none to a server that says that it ends.
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": SERVICE},
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
log = structlog.get_logger()
tracer = trace.get_tracer("tulou_approval")
_PROPAGATOR: Final = TraceContextTextMapPropagator()


class CreditDesk:
    """Asks over one channel. To be made where an event loop runs."""

    def __init__(self, address: str) -> None:
        options = [
            ("grpc.service_config", json.dumps(CHANNEL)),
            # By itself gRPC would look for a server that was away only every two minutes.
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # A server whose host is gone does not say so.
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
        ]
        self._stub: Any = credit_service_pb2_grpc.CreditServiceStub(grpc.aio.insecure_channel(address, options=options))

    async def check(self, question: Question) -> CreditCheck:
        """What follows from the applicant's credit; UNAVAILABLE where there is no answer, whatever the reason."""
        end = asyncio.get_running_loop().time() + SECONDS
        try:
            answer = await self._call("CheckSubject", check_request(question), end)
            if not (subject_id := answer.subject_id):
                request = register_request(question, request_id=str(uuid.uuid4()))
                subject_id = (await self._call("RegisterSubject", request, end)).subject.id
        except grpc.aio.AioRpcError as error:
            # Its words may be about the applicant.
            log.warning("credit_unavailable", code=error.code().name)
            return UNAVAILABLE
        return check_from_proto(answer, subject_id=subject_id)

    async def _call(self, name: str, request: Any, end: float) -> Any:
        attributes = {"rpc.system": "grpc", "rpc.service": SERVICE, "rpc.method": name}
        with tracer.start_as_current_span(
            f"{SERVICE}/{name}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            headers = {"authorization": CURRENT.get().metadata["authorization"]}
            _PROPAGATOR.inject(headers)
            timeout = end - asyncio.get_running_loop().time()
            try:
                return await getattr(self._stub, name)(request, metadata=list(headers.items()), timeout=timeout)
            except grpc.aio.AioRpcError as error:
                span.set_attribute("rpc.grpc.status_code", error.code().value[0])
                span.set_status(StatusCode.ERROR)
                raise
