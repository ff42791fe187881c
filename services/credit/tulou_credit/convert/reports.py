"""Reports."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict

from tulou.credit.v1 import report_pb2
from tulou.credit.v1 import report_service_pb2 as pb
from tulou_credit.convert.values import time_to_proto, value_of
from tulou_credit.domain.reports import code_as_shown
from tulou_credit.models import Report
from tulou_credit.report_queries import Verification


def report_to_proto(report: Report, *, code: str, content: Mapping[str, Any] | None = None) -> report_pb2.Report:
    """A report, in lists without its content."""
    return report_pb2.Report(
        id=report.id,
        subject_id=report.subject_id,
        kind=value_of(report_pb2.ReportKind, report.kind),
        purpose=report.purpose,
        create_time=time_to_proto(report.created_at),
        verification_code=code_as_shown(code),
        content_sha256=report.sha256,
        free_of_charge=report.free_of_charge,
        content=ParseDict(dict(content), report_pb2.ReportContent()) if content is not None else None,
    )


def verification_to_proto(found: Verification) -> pb.VerifyReportResponse:
    """What anyone who holds the code learns."""
    return pb.VerifyReportResponse(
        subject_name=found.subject_name,
        kind=value_of(report_pb2.ReportKind, found.kind),
        create_time=time_to_proto(found.created_at),
        content_sha256=found.sha256,
        changed_since=found.changed_since,
    )
