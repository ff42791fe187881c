"""The gRPC edge of the catalogue."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import Message
from sqlmodel import Session

from tulou.approval.v1 import catalogue_service_pb2 as pb
from tulou.approval.v1 import catalogue_service_pb2_grpc, item_pb2
from tulou_approval import queries
from tulou_approval.convert import items as to
from tulou_approval.models import ItemVersion
from tulou_approval.operations import items
from tulou_approval.servicer.acts import Context
from tulou_chassis import paging
from tulou_chassis.calls import CURRENT, current_principal
from tulou_chassis.db import Database
from tulou_chassis.validation import validate
from tulou_chassis.violations import InvalidFields, Violation
from tulou_civics import divisions

R = TypeVar("R", bound=Message)


class CatalogueServicer(catalogue_service_pb2_grpc.CatalogueServiceServicer):
    """CatalogueService."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def ListDepartments(self, request: pb.ListDepartmentsRequest, context: Context) -> pb.ListDepartmentsResponse:
        found = await self._database.read(queries.list_departments)
        return pb.ListDepartmentsResponse(departments=[to.department_to_proto(*each) for each in found])

    async def ListDivisions(self, request: pb.ListDivisionsRequest, context: Context) -> pb.ListDivisionsResponse:
        try:
            below = divisions.children(divisions.normalise(request.parent_code or "3506"))
        except divisions.UnknownDivision:
            raise InvalidFields([Violation("parent_code", "known", "没有此区划代码。", "No such division.")]) from None
        return pb.ListDivisionsResponse(divisions=[to.division_to_proto(each) for each in below])

    async def ListItems(self, request: pb.ListItemsRequest, context: Context) -> pb.ListItemsResponse:
        size = paging.page_size(request, default=20)
        keys = paging.position(request, keys=1)
        after = str(keys[0]) if keys else ""
        filter = to.filter_from_proto(request)
        found = await self._database.read(
            lambda session: queries.list_items(session, filter=filter, after=after, limit=size + 1)
        )
        answer = pb.ListItemsResponse(items=[to.item_to_proto(item, whole_item=False) for item in found[:size]])
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].code])
        return answer

    async def GetItem(self, request: pb.GetItemRequest, context: Context) -> pb.GetItemResponse:
        principal = CURRENT.get().principal
        item = await self._database.read(
            lambda session: queries.get_item(session, principal=principal, code=request.code, version=request.version)
        )
        return pb.GetItemResponse(item=to.item_to_proto(item))

    async def ListItemVersions(
        self, request: pb.ListItemVersionsRequest, context: Context
    ) -> pb.ListItemVersionsResponse:
        principal = current_principal()
        found = await self._database.read(
            lambda session: queries.list_item_versions(session, principal=principal, code=request.code)
        )
        return pb.ListItemVersionsResponse(items=[to.item_to_proto(item, whole_item=False) for item in found])

    async def CreateItem(self, request: pb.CreateItemRequest, context: Context) -> pb.CreateItemResponse:
        principal = current_principal()
        content = to.content_from_proto(request.item)
        return await self._write(
            pb.CreateItemResponse, lambda session: items.create_item(session, principal=principal, content=content)
        )

    async def DraftItem(self, request: pb.DraftItemRequest, context: Context) -> pb.DraftItemResponse:
        principal = current_principal()
        return await self._write(
            pb.DraftItemResponse, lambda session: items.draft_item(session, principal=principal, code=request.code)
        )

    async def UpdateItem(self, request: pb.UpdateItemRequest, context: Context) -> pb.UpdateItemResponse:
        principal = current_principal()

        def operation(session: Session) -> ItemVersion:
            draft = items.draft_content(session, principal=principal, code=request.code)
            merged: item_pb2.Item = to.merge_item(draft, request.item, request.update_mask)
            # Only the merged item can be held against all rules: the request holds a part of it.
            validate(merged, path="item")
            return items.update_item(
                session,
                principal=principal,
                code=request.code,
                etag=request.etag,
                content=to.content_from_proto(merged),
            )

        return await self._write(pb.UpdateItemResponse, operation)

    async def PublishItem(self, request: pb.PublishItemRequest, context: Context) -> pb.PublishItemResponse:
        principal, now = current_principal(), datetime.now(UTC)
        return await self._write(
            pb.PublishItemResponse,
            lambda session: items.publish_item(
                session, principal=principal, code=request.code, etag=request.etag, now=now
            ),
        )

    async def RetireItem(self, request: pb.RetireItemRequest, context: Context) -> pb.RetireItemResponse:
        principal, now = current_principal(), datetime.now(UTC)
        return await self._write(
            pb.RetireItemResponse,
            lambda session: items.retire_item(
                session, principal=principal, code=request.code, etag=request.etag, now=now
            ),
        )

    async def _write(self, answer: type[R], operation: Callable[[Session], ItemVersion]) -> R:
        """Runs an operation and answers with the version after it."""

        def transaction(session: Session) -> R:
            item = operation(session)
            # The answer's etag is the revision that the flush gives.
            session.flush()
            return answer(item=to.item_to_proto(item))

        return await self._database.write(transaction)
