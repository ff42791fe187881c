"""The credit service as the chassis serves it. All wiring is here."""

import grpc

from tulou.credit.v1 import (
    consent_service_pb2,
    consent_service_pb2_grpc,
    credit_service_pb2,
    credit_service_pb2_grpc,
    evidence_service_pb2,
    evidence_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    measure_service_pb2,
    measure_service_pb2_grpc,
    objection_service_pb2,
    objection_service_pb2_grpc,
    record_type_service_pb2,
    record_type_service_pb2_grpc,
    repair_service_pb2,
    repair_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
)
from tulou_chassis.blobs import DiskBlobs
from tulou_chassis.db import Database
from tulou_chassis.server import Service, serve
from tulou_credit.blobs import import_files
from tulou_credit.convert.answers import ANSWERS
from tulou_credit.convert.events import publication_of
from tulou_credit.servicer.consent import ConsentServicer
from tulou_credit.servicer.evidence import EvidenceServicer
from tulou_credit.servicer.imports import ImportServicer
from tulou_credit.servicer.measures import MeasureServicer
from tulou_credit.servicer.objections import ObjectionServicer
from tulou_credit.servicer.record_types import RecordTypeServicer
from tulou_credit.servicer.records import CreditServicer
from tulou_credit.servicer.repairs import RepairServicer
from tulou_credit.servicer.reports import ReportServicer
from tulou_credit.settings import MIGRATIONS, CreditSettings
from tulou_credit.wiring import NAME, house_of


def service_of(settings: CreditSettings) -> Service:
    """The service. Raises what `house_of` raises."""
    house, blobs = house_of(settings), DiskBlobs(settings.blob_dir)
    files = import_files(settings, house.keyring)

    def register(server: grpc.aio.Server, database: Database) -> None:
        credit = CreditServicer(database=database, house=house)
        credit_service_pb2_grpc.add_CreditServiceServicer_to_server(credit, server)
        types = RecordTypeServicer(database=database, house=house)
        record_type_service_pb2_grpc.add_RecordTypeServiceServicer_to_server(types, server)
        imports = ImportServicer(database=database, house=house, files=files)
        import_service_pb2_grpc.add_ImportServiceServicer_to_server(imports, server)
        consent = ConsentServicer(database=database, house=house)
        consent_service_pb2_grpc.add_ConsentServiceServicer_to_server(consent, server)
        evidence = EvidenceServicer(database=database, house=house, blobs=blobs)
        evidence_service_pb2_grpc.add_EvidenceServiceServicer_to_server(evidence, server)
        objections = ObjectionServicer(database=database, house=house)
        objection_service_pb2_grpc.add_ObjectionServiceServicer_to_server(objections, server)
        repairs = RepairServicer(database=database, house=house)
        repair_service_pb2_grpc.add_RepairServiceServicer_to_server(repairs, server)
        reports = ReportServicer(database=database, house=house)
        report_service_pb2_grpc.add_ReportServiceServicer_to_server(reports, server)
        measures = MeasureServicer(database=database, house=house)
        measure_service_pb2_grpc.add_MeasureServiceServicer_to_server(measures, server)

    return Service(
        name=NAME,
        descriptors=[
            credit_service_pb2.DESCRIPTOR.services_by_name["CreditService"],
            record_type_service_pb2.DESCRIPTOR.services_by_name["RecordTypeService"],
            import_service_pb2.DESCRIPTOR.services_by_name["ImportService"],
            consent_service_pb2.DESCRIPTOR.services_by_name["ConsentService"],
            evidence_service_pb2.DESCRIPTOR.services_by_name["EvidenceService"],
            objection_service_pb2.DESCRIPTOR.services_by_name["ObjectionService"],
            repair_service_pb2.DESCRIPTOR.services_by_name["RepairService"],
            report_service_pb2.DESCRIPTOR.services_by_name["ReportService"],
            measure_service_pb2.DESCRIPTOR.services_by_name["MeasureService"],
        ],
        answers=ANSWERS,
        keyring=house.keyring,
        publisher=publication_of,
        migrations=MIGRATIONS,
        register=register,
    )


def run(settings: CreditSettings) -> None:
    """Serves until told to stop."""
    serve(service_of(settings), settings)
