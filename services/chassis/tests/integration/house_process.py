"""A process that serves the house: `python -m services.chassis.tests.integration.house_process`.

`Echo` answers with its text. Where the text is a port of this machine, it connects to it first and waits until that
connection is ended: a call takes as long as whoever asks wants it to. With "stuck" before the port nothing else runs
meanwhile.
"""

import asyncio
import socket
from typing import Any

import grpc

from services.chassis.tests.house import HOUSE, KEYRING, EchoRequest, EchoResponse
from services.chassis.tests.integration.served import ANSWERS, publication
from services.chassis.tests.integration.worker.notes import MIGRATIONS
from tulou_chassis.db import Database
from tulou_chassis.server import Service, serve
from tulou_chassis.settings import Settings, read_settings


async def echo(request: Any, _: Any) -> Any:
    """The RPC."""
    if request.text.startswith("stuck"):
        with socket.create_connection(("127.0.0.1", int(request.text[5:]))) as connection:
            connection.recv(1)
    elif request.text:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(request.text))
        await reader.read()
        writer.close()
    return EchoResponse(text=request.text)


def register(server: grpc.aio.Server, _: Database) -> None:
    """Registers it."""
    handler = grpc.unary_unary_rpc_method_handler(
        echo, request_deserializer=EchoRequest.FromString, response_serializer=EchoResponse.SerializeToString
    )
    server.add_registered_method_handlers(HOUSE.full_name, {"Echo": handler})


if __name__ == "__main__":
    service = Service(
        name="chassis",
        descriptors=[HOUSE],
        answers=ANSWERS,
        keyring=KEYRING,
        publisher=publication,
        migrations=MIGRATIONS,
        register=register,
    )
    serve(service, read_settings(Settings))
