"""The gRPC edge of files that are taken in."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Final

from google.api.httpbody_pb2 import HttpBody  # type: ignore[import-untyped]
from google.longrunning.operations_pb2 import Operation  # type: ignore[import-untyped]
from sqlmodel import Session

from tulou.credit.v1 import credit_service_pb2, import_service_pb2_grpc
from tulou.credit.v1 import import_service_pb2 as pb
from tulou_chassis import paging
from tulou_chassis.calls import CURRENT, current_principal
from tulou_chassis.db import Database
from tulou_chassis.files import check_filename
from tulou_chassis.validation import validate
from tulou_credit import import_queries
from tulou_credit.blobs import SealedFiles
from tulou_credit.convert import imports as to
from tulou_credit.convert.values import value_of
from tulou_credit.import_queries import ImportFilter, ImportNotFound
from tulou_credit.intake.report import Rejected, quarantine_csv
from tulou_credit.models import Import
from tulou_credit.operations import imports, quarantine
from tulou_credit.operations.parties import sender_of
from tulou_credit.servicer.base import Context, Servicer, now
from tulou_credit.wiring import House

PAGE: Final = 500
# Of the column.
LAST_ROW: Final = 2**31 - 1


class ImportServicer(Servicer, import_service_pb2_grpc.ImportServiceServicer):
    """ImportService. Who sends for a department sees and handles the files of that department."""

    def __init__(self, *, database: Database, house: House, files: SealedFiles) -> None:
        super().__init__(database=database, house=house)
        self._files = files

    async def UploadImport(
        self, requests: AsyncIterator[pb.UploadImportRequest], context: Context
    ) -> pb.UploadImportResponse:
        principal = current_principal()
        first = await anext(aiter(requests), pb.UploadImportRequest())
        source = sender_of(principal)
        validate(first)
        check_filename(first.filename)
        import_id = str(uuid.uuid4())
        # Opened and put away in no thread: one goes on when the call is cancelled meanwhile, and nobody would close it.
        file = self._files.write(import_id)
        try:
            await asyncio.to_thread(file.write, first.file.data)
            async for request in requests:
                await asyncio.to_thread(file.write, request.file.data)
            sha256, size = await asyncio.to_thread(file.commit)
        finally:
            file.abandon()
        call = CURRENT.get()
        asked = f"{first.filename} {first.encoding} {sha256}"
        call.idempotency = call.key(first.request_id, asked.encode())

        def transaction(session: Session) -> pb.UploadImportResponse:
            begun = imports.begin(
                session,
                import_id=import_id,
                source=source,
                file_name=first.filename,
                sha256=sha256,
                size=size,
                encoding=to.encoding_from_proto(first.encoding),
                now=now(),
            )
            return pb.UploadImportResponse(operation=to.operation_to_proto(begun))

        # A file of a call that was answered before is of no import, and the worker deletes it.
        return await self._write(transaction)

    async def GetImport(self, request: pb.GetImportRequest, context: Context) -> pb.GetImportResponse:
        return pb.GetImportResponse(operation=await self._operation(request.import_id))

    async def ListImports(self, request: pb.ListImportsRequest, context: Context) -> pb.ListImportsResponse:
        source = current_principal().organisation
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)
        filter = ImportFilter(source=source, state=to.state_from_proto(request.state))
        found = await self._database.read(
            lambda session: import_queries.list_imports(session, filter=filter, after=after, limit=size + 1)
        )
        answer = pb.ListImportsResponse(operations=[to.operation_to_proto(each) for each in found[:size]])
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].created_at, found[size - 1].id])
        return answer

    async def CancelImport(self, request: pb.CancelImportRequest, context: Context) -> pb.CancelImportResponse:
        source = current_principal().organisation

        def transaction(session: Session) -> pb.CancelImportResponse:
            _own_import(session, request.import_id, source)
            cancelled = imports.cancel(session, import_id=request.import_id, now=now())
            return pb.CancelImportResponse(operation=to.operation_to_proto(cancelled))

        return await self._write(transaction)

    async def ListQuarantinedRows(
        self, request: pb.ListQuarantinedRowsRequest, context: Context
    ) -> pb.ListQuarantinedRowsResponse:
        source = current_principal().organisation
        size = paging.page_size(request, default=20)
        after = paging.number_key(request)

        def query(session: Session) -> pb.ListQuarantinedRowsResponse:
            _own_import(session, request.import_id, source)
            found = import_queries.open_rows(session, import_id=request.import_id, after=after, limit=size + 1)
            answer = pb.ListQuarantinedRowsResponse(rows=[to.row_to_proto(each) for each in found[:size]])
            if len(found) > size:
                answer.next_page_token = paging.next_token(request, [found[size - 1].row])
            return answer

        return await self._database.read(query)

    async def DownloadQuarantine(
        self, request: pb.DownloadQuarantineRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        await self._operation(request.import_id)
        disposition = f'attachment; filename="quarantine-{request.import_id}.csv"'
        await context.send_initial_metadata(
            (("content-disposition", disposition), ("x-content-type-options", "nosniff"))
        )
        last = 0
        while True:
            heading = last == 0
            rows, last = await self._rejected(request.import_id, last)
            if not rows:
                return
            content = b"".join(quarantine_csv(rows, heading=heading))
            yield HttpBody(content_type="text/csv; charset=utf-8", data=content)

    async def CorrectRow(self, request: pb.CorrectRowRequest, context: Context) -> pb.CorrectRowResponse:
        source = current_principal().organisation

        def transaction(session: Session) -> pb.CorrectRowResponse:
            _own_import(session, request.import_id, source)
            put = quarantine.correct(
                session,
                import_id=request.import_id,
                row=request.row,
                values=dict(request.cells),
                now=now(),
                house=self._house,
            )
            outcome = value_of(credit_service_pb2.PutOutcome, put.outcome)
            return pb.CorrectRowResponse(record_id=put.record_id, outcome=outcome)

        return await self._write(transaction)

    async def DropRow(self, request: pb.DropRowRequest, context: Context) -> pb.DropRowResponse:
        source = current_principal().organisation

        def transaction(session: Session) -> pb.DropRowResponse:
            _own_import(session, request.import_id, source)
            quarantine.drop(session, import_id=request.import_id, row=request.row, now=now())
            return pb.DropRowResponse()

        return await self._write(transaction)

    async def RerunQuarantine(self, request: pb.RerunQuarantineRequest, context: Context) -> pb.RerunQuarantineResponse:
        source = current_principal().organisation

        def transaction(session: Session) -> pb.RerunQuarantineResponse:
            _own_import(session, request.import_id, source)
            done = quarantine.rerun(
                session, import_id=request.import_id, after=min(request.after, LAST_ROW), now=now(), house=self._house
            )
            return pb.RerunQuarantineResponse(taken=done.taken, still_wrong=done.still_wrong, last=done.last or 0)

        return await self._write(transaction)

    async def _operation(self, import_id: str) -> Operation:
        source = current_principal().organisation
        found = await self._database.read(lambda session: _own_import(session, import_id, source))
        return to.operation_to_proto(found)

    async def _rejected(self, import_id: str, after: int) -> tuple[list[Rejected], int]:
        """A page of the rows that wait, and the last of them."""
        return await self._database.read(
            lambda session: quarantine.rejected_page(
                session, import_id=import_id, after=after, limit=PAGE, house=self._house
            )
        )


def _own_import(session: Session, import_id: str, source: str) -> Import:
    found = import_queries.get_import(session, import_id=import_id)
    if not source or found.source != source:
        raise ImportNotFound(import_id)
    return found
