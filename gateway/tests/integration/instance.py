"""One instance of the approval service, made for the tests, in a process of its own that can be killed.

Every RPC takes a hundredth of a second and is answered with an empty message and the header `instance`. SIGUSR1 makes
it say NOT_SERVING. SIGTERM ends it as a service ends: NOT_SERVING, some seconds in which it takes calls, GOAWAY, end.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tulou_gateway.descriptors import Rpc, load


class Everything(grpc.GenericRpcHandler):
    """Answers each RPC of the descriptor set."""

    def __init__(self, name: str) -> None:
        self._rpcs = {rpc.path: rpc for rpc in load().rpcs}
        self._name = name

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        rpc = self._rpcs.get(details.method)
        if rpc is None:
            return None
        kind = "_".join("stream" if streams else "unary" for streams in (rpc.client_streaming, rpc.server_streaming))
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        response = GetMessageClass(rpc.response)
        return make(self._handler(rpc, response), GetMessageClass(rpc.request).FromString, response.SerializeToString)

    def _handler(self, rpc: Rpc, response: Any) -> Any:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            if rpc.client_streaming:
                list(request)
            time.sleep(0.01)
            # Goes out together with the answer.
            context.send_initial_metadata((("instance", self._name),))
            return response()

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            context.send_initial_metadata((("instance", self._name),))
            while context.is_active():
                yield response()
                time.sleep(0.1)

        return stream if rpc.server_streaming else answer


def main(address: str, health_name: str, drain_delay: str) -> None:
    """Serves at `address` and, for `health_name`, says SERVING."""
    server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Everything(address),))
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    healthy.set(health_name, health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(address)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGUSR1, lambda *_: healthy.set(health_name, health_pb2.HealthCheckResponse.NOT_SERVING))
    server.start()
    print("serving", flush=True)
    ended.wait()
    healthy.enter_graceful_shutdown()
    time.sleep(float(drain_delay))
    server.stop(2).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
