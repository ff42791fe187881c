"""The approval service as the chassis serves it. All wiring is here."""

import grpc

from tulou.approval.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    catalogue_service_pb2,
    catalogue_service_pb2_grpc,
)
from tulou_approval.convert.answers import ANSWERS
from tulou_approval.convert.events import publication_of
from tulou_approval.servicer.cases import CaseServicer
from tulou_approval.servicer.catalogue import CatalogueServicer
from tulou_approval.servicer.credit import CreditDesk
from tulou_approval.settings import MIGRATIONS, ApprovalSettings
from tulou_approval.wiring import NAME, desk_of
from tulou_chassis.blobs import DiskBlobs
from tulou_chassis.db import Database
from tulou_chassis.server import Service, serve


def service_of(settings: ApprovalSettings) -> Service:
    """The service. Raises what `desk_of` raises."""
    desk, blobs = desk_of(settings), DiskBlobs(settings.blob_dir)

    def register(server: grpc.aio.Server, database: Database) -> None:
        credit = CreditDesk(settings.credit_address) if settings.credit_address else None
        cases = CaseServicer(database=database, desk=desk, blobs=blobs, credit=credit)
        approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(cases, server)
        catalogue = CatalogueServicer(database=database)
        catalogue_service_pb2_grpc.add_CatalogueServiceServicer_to_server(catalogue, server)

    return Service(
        name=NAME,
        descriptors=[
            approval_service_pb2.DESCRIPTOR.services_by_name["ApprovalService"],
            catalogue_service_pb2.DESCRIPTOR.services_by_name["CatalogueService"],
        ],
        answers=ANSWERS,
        keyring=desk.keyring,
        publisher=publication_of,
        migrations=MIGRATIONS,
        register=register,
    )


def run(settings: ApprovalSettings) -> None:
    """Serves until told to stop."""
    serve(service_of(settings), settings)
