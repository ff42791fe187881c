"""The gRPC edge of credit reports."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from google.api.httpbody_pb2 import HttpBody  # type: ignore[import-untyped]
from sqlmodel import Session

from tulou.credit.v1 import report_service_pb2 as pb
from tulou.credit.v1 import report_service_pb2_grpc
from tulou_chassis import paging
from tulou_chassis.calls import current_principal
from tulou_credit import report_queries
from tulou_credit.convert import reports as to
from tulou_credit.domain.privacy import masked_text
from tulou_credit.operations import reports
from tulou_credit.report_pdf import report_pdf
from tulou_credit.servicer.base import Context, Servicer, now

CHUNK: Final = 256 * 1024


class ReportServicer(Servicer, report_service_pb2_grpc.ReportServiceServicer):
    """ReportService."""

    async def CreateReport(self, request: pb.CreateReportRequest, context: Context) -> pb.CreateReportResponse:
        principal = current_principal()

        def transaction(session: Session) -> pb.CreateReportResponse:
            made = reports.create(
                session,
                principal=principal,
                subject_id=request.subject_id,
                purpose=masked_text(request.purpose),
                now=now(),
                house=self._house,
            )
            # Without its content, which would be kept in clear with the answer.
            code = report_queries.code_of(report=made, house=self._house)
            return pb.CreateReportResponse(report=to.report_to_proto(made, code=code))

        return await self._write(transaction)

    async def GetReport(self, request: pb.GetReportRequest, context: Context) -> pb.GetReportResponse:
        opened = await self._opened(request.report_id)
        return pb.GetReportResponse(report=to.report_to_proto(opened.report, code=opened.code, content=opened.content))

    async def ListReports(self, request: pb.ListReportsRequest, context: Context) -> pb.ListReportsResponse:
        principal = current_principal()
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)
        found = await self._database.read(
            lambda session: report_queries.list_reports(
                session, principal=principal, after=after, limit=size + 1, house=self._house
            )
        )
        answer = pb.ListReportsResponse(
            reports=[
                to.report_to_proto(each, code=report_queries.code_of(report=each, house=self._house))
                for each in found[:size]
            ]
        )
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].created_at, found[size - 1].id])
        return answer

    async def DownloadReport(self, request: pb.DownloadReportRequest, context: Context) -> AsyncIterator[HttpBody]:
        opened = await self._opened(request.report_id)
        document = await asyncio.to_thread(report_pdf, opened)
        disposition = f'attachment; filename="credit-report-{opened.report.id}.pdf"'
        await context.send_initial_metadata(
            (("content-disposition", disposition), ("x-content-type-options", "nosniff"))
        )
        for start in range(0, len(document), CHUNK):
            yield HttpBody(content_type="application/pdf", data=document[start : start + CHUNK])

    async def VerifyReport(self, request: pb.VerifyReportRequest, context: Context) -> pb.VerifyReportResponse:
        found = await self._database.read(
            lambda session: report_queries.verify(session, code=request.code, house=self._house)
        )
        return to.verification_to_proto(found)

    async def _opened(self, report_id: str) -> report_queries.OpenedReport:
        principal = current_principal()
        return await self._database.read(
            lambda session: report_queries.get_report(
                session, principal=principal, report_id=report_id, house=self._house
            )
        )
