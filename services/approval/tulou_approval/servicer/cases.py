"""The gRPC edge of what reads cases, moves files, and watches events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from google.api.httpbody_pb2 import HttpBody  # type: ignore[import-untyped]
from sqlmodel import Session

from tulou.approval.v1 import approval_service_pb2 as pb
from tulou_approval import queries
from tulou_approval.convert import cases as to
from tulou_approval.operations import materials, tracking
from tulou_approval.operations.acts import Desk, civil_date, explain_clocks, history_of
from tulou_approval.servicer.acts import CaseActs, Context
from tulou_approval.servicer.credit import CreditDesk
from tulou_chassis import files, paging
from tulou_chassis.blobs import BlobStore
from tulou_chassis.calls import CURRENT, current_principal
from tulou_chassis.db import Database
from tulou_chassis.validation import validate
from tulou_chassis.watch import watch_outbox
from tulou_civics.divisions import UnknownDivision, current_code

CHUNK: Final = 256 * 1024


class CaseServicer(CaseActs):
    """ApprovalService: its reading RPCs, with the writing ones inherited."""

    def __init__(self, *, database: Database, desk: Desk, blobs: BlobStore, credit: CreditDesk | None) -> None:
        self._database = database
        self._desk = desk
        self._blobs = blobs
        self._credit = credit

    async def GetCase(self, request: pb.GetCaseRequest, context: Context) -> pb.GetCaseResponse:
        principal = current_principal()
        case = await self._database.read(
            lambda session: queries.show_case(session, principal=principal, case_id=request.case_id)
        )
        return pb.GetCaseResponse(case=to.case_to_proto(case, principal))

    async def ListCases(self, request: pb.ListCasesRequest, context: Context) -> pb.ListCasesResponse:
        principal = current_principal()
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)
        filter = to.filter_from_proto(request)
        found = await self._database.read(
            lambda session: queries.list_cases(session, principal=principal, filter=filter, after=after, limit=size + 1)
        )
        answer = pb.ListCasesResponse(
            cases=[to.case_to_proto(case, principal, with_form=False) for case in found[:size]]
        )
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].created_at, found[size - 1].id])
        return answer

    async def ListCaseHistory(self, request: pb.ListCaseHistoryRequest, context: Context) -> pb.ListCaseHistoryResponse:
        principal = current_principal()
        size = paging.page_size(request, default=50)
        after = paging.number_key(request)

        def query(session: Session) -> pb.ListCaseHistoryResponse:
            case = queries.get_case(session, among=queries.visible_cases(principal), case_id=request.case_id)
            found = queries.list_history(session, case_id=case.id, after=after, limit=size + 1)
            answer = pb.ListCaseHistoryResponse(entries=[to.history_to_proto(record) for record in found[:size]])
            if len(found) > size:
                answer.next_page_token = paging.next_token(request, [found[size - 1].sequence])
            return answer

        return await self._database.read(query)

    async def ListCaseDocuments(
        self, request: pb.ListCaseDocumentsRequest, context: Context
    ) -> pb.ListCaseDocumentsResponse:
        principal = current_principal()

        def query(session: Session) -> pb.ListCaseDocumentsResponse:
            case = queries.get_case(session, among=queries.visible_cases(principal), case_id=request.case_id)
            documents = queries.list_documents(session, case_id=case.id)
            return pb.ListCaseDocumentsResponse(documents=[to.document_to_proto(one) for one in documents])

        return await self._database.read(query)

    async def ExplainClock(self, request: pb.ExplainClockRequest, context: Context) -> pb.ExplainClockResponse:
        principal = current_principal()
        today = civil_date(datetime.now(UTC))

        def query(session: Session) -> pb.ExplainClockResponse:
            case = queries.get_case(session, among=queries.visible_cases(principal), case_id=request.case_id)
            clocks = explain_clocks(session, desk=self._desk, case=case, today=today)
            return pb.ExplainClockResponse(
                as_of=today.isoformat(), clocks=[to.clock_to_proto(found) for found in clocks.values()]
            )

        return await self._database.read(query)

    async def UploadMaterial(
        self, requests: AsyncIterator[pb.UploadMaterialRequest], context: Context
    ) -> pb.UploadMaterialResponse:
        principal = current_principal()
        first = await anext(aiter(requests), pb.UploadMaterialRequest())
        validate(first)
        files.check_filename(first.filename)
        call = CURRENT.get()
        largest = materials.MAX_FILE
        # A replay gets its first answer, also where the case has moved on and takes no more files.
        if not await self._database.knows(call.key(first.request_id, b"")):
            largest = await self._database.read(
                lambda session: materials.check_upload(
                    session, principal=principal, case_id=first.case_id, material_code=first.material_code
                )
            )
        content = bytearray(first.file.data)
        async for request in requests:
            if len(content) > largest:
                break
            content += request.file.data
        if len(content) > largest:
            raise files.FileTooLarge(largest)
        data = bytes(content)
        media_type = files.check_content(data, declared=first.file.content_type)
        sha256 = await asyncio.to_thread(self._blobs.put, data)
        asked = f"{first.case_id} {first.material_code} {first.filename} {media_type} {sha256}"
        call.idempotency = call.key(first.request_id, asked.encode())

        def transaction(session: Session) -> pb.UploadMaterialResponse:
            file = materials.add_material(
                session,
                desk=self._desk,
                principal=principal,
                case_id=first.case_id,
                material_code=first.material_code,
                filename=first.filename,
                media_type=media_type,
                size=len(data),
                sha256=sha256,
                now=datetime.now(UTC),
            )
            session.flush()
            return pb.UploadMaterialResponse(file=to.material_to_proto(file))

        return await self._database.write(transaction)

    async def ListMaterials(self, request: pb.ListMaterialsRequest, context: Context) -> pb.ListMaterialsResponse:
        principal = current_principal()

        def query(session: Session) -> pb.ListMaterialsResponse:
            case = queries.get_case(session, among=queries.visible_cases(principal), case_id=request.case_id)
            found = queries.list_materials(session, case_id=case.id)
            return pb.ListMaterialsResponse(files=[to.material_to_proto(file) for file in found])

        return await self._database.read(query)

    async def FetchMaterial(self, request: pb.FetchMaterialRequest, context: Context) -> AsyncIterator[HttpBody]:
        principal = current_principal()

        def query(session: Session) -> tuple[str, str, str]:
            case = queries.get_case(session, among=queries.visible_cases(principal), case_id=request.case_id)
            file = queries.get_material(session, case_id=case.id, file_id=request.file_id)
            return file.sha256, file.media_type, file.filename

        sha256, media_type, filename = await self._database.read(query)
        # Over HTTP these are headers: a browser saves what an applicant uploaded, and never runs it as a page of ours.
        disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        await context.send_initial_metadata(
            (("content-disposition", disposition), ("x-content-type-options", "nosniff"))
        )
        for piece in self._blobs.read(sha256, chunk=CHUNK):
            yield HttpBody(content_type=media_type, data=piece)

    async def TrackCase(self, request: pb.TrackCaseRequest, context: Context) -> pb.TrackCaseResponse:
        def transaction(session: Session) -> pb.TrackCaseResponse | Exception:
            found = tracking.track_case(
                session,
                desk=self._desk,
                number=request.number,
                identity_tail=request.identity_tail,
                now=datetime.now(UTC),
            )
            if isinstance(found, Exception):
                return found
            return to.tracking_to_proto(found, history_of(session, found.id))

        answer = await self._database.write(transaction)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ListNotices(self, request: pb.ListNoticesRequest, context: Context) -> pb.ListNoticesResponse:
        principal, locale = current_principal(), CURRENT.get().locale
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)
        found = await self._database.read(
            lambda session: queries.list_notices(session, owner=principal.subject, after=after, limit=size + 1)
        )
        answer = pb.ListNoticesResponse(notices=[to.notice_to_proto(notice, locale=locale) for notice in found[:size]])
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].time, found[size - 1].id])
        return answer

    async def ListGrants(self, request: pb.ListGrantsRequest, context: Context) -> pb.ListGrantsResponse:
        size = paging.page_size(request, default=20)
        after = paging.date_key(request)
        found = await self._database.read(
            lambda session: queries.list_grants(session, item_code=request.item_code, after=after, limit=size + 1)
        )
        answer = pb.ListGrantsResponse(grants=[to.grant_to_proto(grant) for grant in found[:size]])
        if len(found) > size:
            last = found[size - 1]
            answer.next_page_token = paging.next_token(request, [last.decision_date.isoformat(), last.case_number])
        return answer

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        try:
            region = current_code(current_principal().region)
        except UnknownDivision:
            # As with cases: who is bound to no region sees none.
            return
        async for event in watch_outbox(
            self._database, source="approval", region=region, after=request.after, types=list(request.types)
        ):
            yield pb.WatchEventsResponse(event=event)
