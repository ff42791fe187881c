"""The catalogue."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict, ParseDict

from tulou.approval.v1 import catalogue_service_pb2 as pb
from tulou.approval.v1 import item_pb2
from tulou_approval.convert.cases import check_mask
from tulou_approval.models import Department, ItemVersion
from tulou_approval.queries import ItemFilter
from tulou_chassis.etags import etag_of
from tulou_chassis.schemas import whole
from tulou_civics.divisions import Division

_LARGE: Final = frozenset({"materials", "form_schema"})
_FIXED: Final = frozenset({"code", "version", "state", "publish_time", "retire_time", "etag"})


def item_to_proto(item: ItemVersion, *, whole_item: bool = True) -> item_pb2.Item:
    """The version; lists leave out materials and form."""
    content = item.content if whole_item else {k: v for k, v in item.content.items() if k not in _LARGE}
    proto = ParseDict(content, item_pb2.Item())
    proto.version = item.version
    proto.state = item_pb2.ItemState.Value(f"ITEM_STATE_{item.state}")
    if item.published_at:
        proto.publish_time.FromDatetime(item.published_at)
    if item.retired_at:
        proto.retire_time.FromDatetime(item.retired_at)
    proto.etag = etag_of(item.revision)
    return proto


def content_from_proto(proto: item_pb2.Item) -> dict[str, Any]:
    """What a version keeps: the proto's JSON with snake_case names, without what the service itself sets."""
    content = MessageToDict(proto, preserving_proto_field_name=True)
    # 64-bit numbers are strings in proto JSON; a whole number in the form's schema is one there too.
    return {key: whole(value) for key, value in content.items() if key not in _FIXED - {"code"}}


def merge_item(content: Mapping[str, Any], change: item_pb2.Item, mask: FieldMask) -> item_pb2.Item:
    """The draft with the fields of the mask taken from `change`. Raises InvalidFields for other fields."""
    merged = ParseDict(dict(content), item_pb2.Item())
    known = set(item_pb2.Item.DESCRIPTOR.fields_by_name) - _FIXED
    check_mask(mask, known)
    mask.MergeMessage(change, merged, replace_message_field=True, replace_repeated_field=True)
    return merged


def filter_from_proto(request: pb.ListItemsRequest) -> ItemFilter:
    """Which items to list."""
    kind = item_pb2.SubjectType.Name(request.subject_type).removeprefix("SUBJECT_TYPE_")
    level = item_pb2.Level.Name(request.level).removeprefix("LEVEL_")
    return ItemFilter(
        department_code=request.department_code,
        region_code=request.region_code,
        subject_type=kind if request.subject_type else "",
        level=level if request.level else "",
        query=request.query,
    )


def department_to_proto(department: Department, items: int) -> item_pb2.Department:
    """A department with the number of its published items."""
    return item_pb2.Department(
        code=department.code,
        name=department.name,
        name_en=department.name_en,
        region_code=department.region_code,
        credit_code=department.credit_code,
        item_count=items,
    )


def division_to_proto(division: Division) -> item_pb2.Division:
    """A division."""
    return item_pb2.Division(
        code=division.code,
        name=division.name,
        level=item_pb2.Level.Value(f"LEVEL_{division.level}"),
        parent_code=division.parent_code,
    )
