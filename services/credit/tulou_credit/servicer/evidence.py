"""The gRPC edge of evidence."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from google.api.httpbody_pb2 import HttpBody  # type: ignore[import-untyped]
from sqlmodel import Session

from tulou.credit.v1 import evidence_service_pb2 as pb
from tulou.credit.v1 import evidence_service_pb2_grpc
from tulou_chassis.blobs import BlobStore
from tulou_chassis.calls import CURRENT, current_principal
from tulou_chassis.db import Database
from tulou_chassis.files import FileTooLarge, check_content, check_filename
from tulou_chassis.validation import validate
from tulou_credit.operations import evidence
from tulou_credit.proceedings_queries import get_evidence
from tulou_credit.servicer.base import Context, Servicer, now
from tulou_credit.wiring import House

CHUNK: Final = 256 * 1024


class EvidenceServicer(Servicer, evidence_service_pb2_grpc.EvidenceServiceServicer):
    """EvidenceService."""

    def __init__(self, *, database: Database, house: House, blobs: BlobStore) -> None:
        super().__init__(database=database, house=house)
        self._blobs = blobs

    async def UploadEvidence(
        self, requests: AsyncIterator[pb.UploadEvidenceRequest], context: Context
    ) -> pb.UploadEvidenceResponse:
        principal = current_principal()
        first = await anext(aiter(requests), pb.UploadEvidenceRequest())
        validate(first)
        check_filename(first.filename)
        content = bytearray(first.file.data)
        async for request in requests:
            if len(content) > evidence.MAX_FILE:
                break
            content += request.file.data
        if len(content) > evidence.MAX_FILE:
            raise FileTooLarge(evidence.MAX_FILE)
        data = bytes(content)
        media_type = check_content(data, declared=first.file.content_type)
        sha256 = await asyncio.to_thread(self._blobs.put, data)
        call = CURRENT.get()
        asked = f"{first.filename} {media_type} {sha256}"
        call.idempotency = call.key(first.request_id, asked.encode())

        def transaction(session: Session) -> pb.UploadEvidenceResponse:
            added = evidence.add(
                session,
                principal=principal,
                filename=first.filename,
                media_type=media_type,
                size=len(data),
                sha256=sha256,
                now=now(),
            )
            return pb.UploadEvidenceResponse(evidence_id=added.id, sha256=sha256, size=len(data))

        return await self._write(transaction)

    async def DownloadEvidence(self, request: pb.DownloadEvidenceRequest, context: Context) -> AsyncIterator[HttpBody]:
        principal = current_principal()
        found = await self._database.read(
            lambda session: get_evidence(
                session, principal=principal, evidence_id=request.evidence_id, house=self._house
            )
        )
        # Over HTTP these are headers: a browser saves what a subject uploaded, and never runs it as a page of ours.
        disposition = f"attachment; filename*=UTF-8''{quote(found.filename, safe='')}"
        await context.send_initial_metadata(
            (("content-disposition", disposition), ("x-content-type-options", "nosniff"))
        )
        for piece in self._blobs.read(found.sha256, chunk=CHUNK):
            yield HttpBody(content_type=found.media_type, data=piece)
