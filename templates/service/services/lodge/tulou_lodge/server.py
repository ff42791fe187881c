"""The lodge service as the chassis serves it. All wiring is here."""

import grpc

from tulou.lodge.v1 import lodge_service_pb2, lodge_service_pb2_grpc
from tulou_chassis.db import Database
from tulou_chassis.server import Service, serve
from tulou_lodge.convert import ANSWERS, publication_of
from tulou_lodge.servicer import LodgeServicer
from tulou_lodge.settings import MIGRATIONS, LodgeSettings
from tulou_lodge.wiring import NAME, keyring_of


def service_of(settings: LodgeSettings) -> Service:
    """The service. Raises what `keyring_of` raises."""
    keyring = keyring_of(settings)

    def register(server: grpc.aio.Server, database: Database) -> None:
        servicer = LodgeServicer(database=database, keyring=keyring)
        lodge_service_pb2_grpc.add_LodgeServiceServicer_to_server(servicer, server)

    return Service(
        name=NAME,
        descriptors=[lodge_service_pb2.DESCRIPTOR.services_by_name["LodgeService"]],
        answers=ANSWERS,
        keyring=keyring,
        publisher=publication_of,
        migrations=MIGRATIONS,
        register=register,
    )


def run(settings: LodgeSettings) -> None:
    """Serves until told to stop."""
    serve(service_of(settings), settings)
