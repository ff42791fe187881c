"""The gRPC edge: map in, call, map out."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from tulou.lodge.v1 import lodge_service_pb2 as pb
from tulou.lodge.v1 import lodge_service_pb2_grpc
from tulou_chassis.calls import current_principal
from tulou_chassis.db import Database
from tulou_chassis.keyring import Keyring
from tulou_chassis.watch import watch_outbox
from tulou_civics.divisions import UnknownDivision, current_code
from tulou_lodge import operations, queries
from tulou_lodge.convert import note_to_proto
from tulou_lodge.wiring import NAME

# What grpc.aio hands to a method; nothing of it is used, since the guards have taken from it what counts.
Context = Any


class LodgeServicer(lodge_service_pb2_grpc.LodgeServiceServicer):
    """LodgeService."""

    def __init__(self, *, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def CreateNote(self, request: pb.CreateNoteRequest, context: Context) -> pb.CreateNoteResponse:
        principal = current_principal()

        def transaction(session: Session) -> pb.CreateNoteResponse:
            note = operations.create_note(
                session, keyring=self._keyring, principal=principal, text=request.text, now=datetime.now(UTC)
            )
            return pb.CreateNoteResponse(note=note_to_proto(note))

        return await self._database.write(transaction)

    async def GetNote(self, request: pb.GetNoteRequest, context: Context) -> pb.GetNoteResponse:
        principal = current_principal()
        note = await self._database.read(
            lambda session: queries.get_note(session, principal=principal, note_id=request.note_id)
        )
        return pb.GetNoteResponse(note=note_to_proto(note))

    async def CountNotes(self, request: pb.CountNotesRequest, context: Context) -> pb.CountNotesResponse:
        return pb.CountNotesResponse(count=await self._database.read(queries.count_notes))

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        try:
            region = current_code(current_principal().region)
        except UnknownDivision:
            # Who is bound to no region sees none.
            return
        async for event in watch_outbox(
            self._database, source=NAME, region=region, after=request.after, types=list(request.types)
        ):
            yield pb.WatchEventsResponse(event=event)
