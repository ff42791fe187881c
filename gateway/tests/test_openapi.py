"""The OpenAPI document, built from small descriptors made by hand."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tulou_gateway import openapi
from tulou_gateway.descriptors import descriptor_path, load

SHOP = """
name: "shop.proto" package: "tulou.shop.v1" syntax: "proto3"
dependency: "google/api/annotations.proto" dependency: "google/api/field_behavior.proto"
dependency: "google/api/httpbody.proto" dependency: "google/protobuf/field_mask.proto"
dependency: "google/protobuf/timestamp.proto"
dependency: "tulou/options/v1/access.proto" dependency: "tulou/options/v1/field.proto"
enum_type {
  name: "Colour"
  value { name: "COLOUR_UNSPECIFIED" number: 0 }
  value { name: "COLOUR_RED" number: 1 }
}
enum_type {
  name: "ErrorReason"
  value { name: "ERROR_REASON_UNSPECIFIED" number: 0 }
  value { name: "ERROR_REASON_SOLD_OUT" number: 1 }
}
message_type {
  name: "Ware"
  field { name: "ware_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "wareId"
    options { [google.api.field_behavior]: OUTPUT_ONLY } }
  field { name: "name" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name"
    options { [google.api.field_behavior]: REQUIRED [tulou.options.v1.rule] { max_length: 5 } } }
  field { name: "code" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "code"
    options { [tulou.options.v1.rule] { pattern: "[A-Z]{2}" pattern_en: "two capital letters" } } }
  field { name: "price_fen" number: 4 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "priceFen"
    options { [tulou.options.v1.rule] { minimum: 0 maximum: 900 } } }
  field { name: "tags" number: 5 type: TYPE_STRING label: LABEL_REPEATED json_name: "tags"
    options { [google.api.field_behavior]: REQUIRED [tulou.options.v1.rule] { max_items: 3 max_length: 8 } } }
  field { name: "stock" number: 6 type: TYPE_MESSAGE type_name: ".tulou.shop.v1.Ware.StockEntry" label: LABEL_REPEATED
    json_name: "stock" options { [tulou.options.v1.rule] { max_items: 9 } } }
  field { name: "owner_phone" number: 7 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "ownerPhone"
    options { [tulou.options.v1.sensitive]: true } }
  field { name: "parts" number: 8 type: TYPE_MESSAGE type_name: ".tulou.shop.v1.Ware" label: LABEL_REPEATED
    json_name: "parts" }
  nested_type {
    name: "StockEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "key" }
    field { name: "value" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL json_name: "value" }
  }
}
message_type {
  name: "SellWareRequest"
  field { name: "ware_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "wareId"
    options { [google.api.field_behavior]: REQUIRED [tulou.options.v1.rule] { format: FORMAT_UUID } } }
  field { name: "ware" number: 2 type: TYPE_MESSAGE type_name: ".tulou.shop.v1.Ware" label: LABEL_OPTIONAL
    json_name: "ware" options { [google.api.field_behavior]: REQUIRED } }
}
message_type {
  name: "ChangeWareRequest"
  field { name: "ware" number: 1 type: TYPE_MESSAGE type_name: ".tulou.shop.v1.Ware" label: LABEL_OPTIONAL
    json_name: "ware" }
  field { name: "update_mask" number: 2 type: TYPE_MESSAGE type_name: ".google.protobuf.FieldMask" label: LABEL_OPTIONAL
    json_name: "updateMask" }
}
message_type {
  name: "ListWaresRequest"
  field { name: "colour" number: 1 type: TYPE_ENUM type_name: ".tulou.shop.v1.Colour" label: LABEL_OPTIONAL
    json_name: "colour" }
  field { name: "after_id" number: 2 type: TYPE_INT64 label: LABEL_REPEATED json_name: "afterId" }
  field { name: "as_of" number: 3 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL
    json_name: "asOf" }
}
message_type {
  name: "PictureRequest"
  field { name: "ware_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "wareId" }
  field { name: "picture" number: 2 type: TYPE_MESSAGE type_name: ".google.api.HttpBody" label: LABEL_OPTIONAL
    json_name: "picture" }
}
service {
  name: "ShopService"
  method {
    name: "SellWare" input_type: ".tulou.shop.v1.SellWareRequest" output_type: ".tulou.shop.v1.Ware"
    options { [google.api.http] { post: "/shop/v1/wares/{ware_id}:sell" body: "*" }
              [tulou.options.v1.access] { roles: ROLE_CLERK roles: ROLE_ADMIN } }
  }
  method {
    name: "ChangeWare" input_type: ".tulou.shop.v1.ChangeWareRequest" output_type: ".tulou.shop.v1.Ware"
    options { [google.api.http] { patch: "/shop/v1/wares" body: "*" } [tulou.options.v1.access] { roles: ROLE_ADMIN } }
  }
  method {
    name: "ListWares" input_type: ".tulou.shop.v1.ListWaresRequest" output_type: ".tulou.shop.v1.Ware"
    server_streaming: true
    options { [google.api.http] { get: "/shop/v1/wares" } [tulou.options.v1.access] { anonymous: true } }
  }
  method {
    name: "PutPicture" input_type: ".tulou.shop.v1.PictureRequest" output_type: ".google.api.HttpBody"
    options { [google.api.http] { post: "/shop/v1/{ware_id=wares/*}/picture" body: "picture"
                                  additional_bindings { put: "/shop/v1/pictures/{ware_id}" body: "picture" } } }
  }
  method { name: "Restock" input_type: ".tulou.shop.v1.PictureRequest" output_type: ".tulou.shop.v1.Ware" }
}
source_code_info {
  location { path: [6, 0] leading_comments: " Sells wares.\\n" }
  location { path: [6, 0, 2, 0] leading_comments: " Sells one ware (出售). Then it is gone.\\n" }
  location { path: [5, 0, 2, 1] leading_comments: " Like\\n a lychee (红).\\n" }
  location { path: [4, 0, 2, 1] leading_comments: " What it is called.\\n" }
}
"""


def document(tmp_path: Path, *more: str, examples: dict[str, Any] | None = None) -> dict[str, Any]:
    """The document of SHOP with `more` text appended to its description."""
    files = FileDescriptorSet.FromString(descriptor_path().read_bytes())
    files.file.append(text_format.Parse("".join([SHOP, *more]), FileDescriptorProto()))
    ours = ("tulou.shop.", "tulou.options.", "tulou.type.")
    shared = [file for file in files.file if file.package.startswith(ours) or not file.package.startswith("tulou.")]
    path = tmp_path / "descriptors.binpb"
    path.write_bytes(FileDescriptorSet(file=shared).SerializeToString())
    return openapi.build(load(path), examples or {})


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    return document(tmp_path)


def schema(shop: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = shop["components"]["schemas"][f"shop.v1.{name}"]
    return found


def test_an_operation_tells_what_it_does_and_who_may_call_it(shop: dict[str, Any]) -> None:
    sell = shop["paths"]["/shop/v1/wares/{wareId}:sell"]["post"]
    assert sell["operationId"] == "ShopService_SellWare"
    assert sell["summary"] == "Sells one ware (出售)"
    words = ["Then it is gone.", "Roles: clerk, admin.", "gRPC: `tulou.shop.v1.ShopService/SellWare`"]
    assert sell["description"] == "\n\n".join(words)
    assert sell["x-tulou-roles"] == ["clerk", "admin"]
    assert sell["security"] == [{"bearer": []}]
    assert shop["tags"] == [{"name": "ShopService", "description": "Sells wares."}]


def test_an_open_operation_needs_no_token_and_a_closed_one_names_nobody(shop: dict[str, Any]) -> None:
    listing = shop["paths"]["/shop/v1/wares"]["get"]
    assert {} in listing["security"]
    assert "403" not in listing["responses"]
    assert "Roles: none." in shop["paths"]["/shop/v1/pictures/{wareId}"]["put"]["description"]


def test_path_fields_are_parameters_and_not_in_the_body(shop: dict[str, Any]) -> None:
    sell = shop["paths"]["/shop/v1/wares/{wareId}:sell"]["post"]
    (parameter,) = sell["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("wareId", "path", True)
    assert parameter["schema"]["format"] == "uuid"
    body = schema(shop, "SellWareRequest")
    assert list(body["properties"]) == ["ware"]
    assert body["required"] == ["ware"]
    assert body["additionalProperties"] is False


def test_what_the_path_does_not_hold_is_a_query_parameter(shop: dict[str, Any]) -> None:
    colour, after, as_of = shop["paths"]["/shop/v1/wares"]["get"]["parameters"]
    assert (colour["in"], colour["schema"]) == ("query", {"$ref": "#/components/schemas/shop.v1.Colour"})
    assert "required" not in colour
    assert after["schema"]["type"] == "array"
    assert as_of["schema"] == {"type": "string", "format": "date-time"}


def test_each_binding_is_an_operation(shop: dict[str, Any]) -> None:
    assert shop["paths"]["/shop/v1/{wareId}/picture"]["post"]["operationId"] == "ShopService_PutPicture"
    assert shop["paths"]["/shop/v1/pictures/{wareId}"]["put"]["operationId"] == "ShopService_PutPicture_2"


def test_an_rpc_without_binding_is_left_to_grpc(shop: dict[str, Any]) -> None:
    assert "Restock" not in str(shop["paths"])


def test_a_raw_body_is_binary_of_the_media_types_of_the_example(tmp_path: Path) -> None:
    examples = {"tulou.shop.v1.ShopService.PutPicture": {"media_types": ["image/png"]}}
    put = document(tmp_path, examples=examples)["paths"]["/shop/v1/pictures/{wareId}"]["put"]
    binary = {"schema": {"type": "string", "format": "binary"}}
    assert put["requestBody"]["content"] == {"image/png": binary}
    assert put["responses"]["200"]["content"] == {"image/png": binary}


def test_a_stream_is_server_sent_events_with_the_example_as_one(tmp_path: Path) -> None:
    examples = {"tulou.shop.v1.ShopService.ListWares": {"answer": {"name": "荔枝"}}}
    content = document(tmp_path, examples=examples)["paths"]["/shop/v1/wares"]["get"]["responses"]["200"]["content"]
    stream = content["text/event-stream"]
    assert stream["example"] == 'data: {"name": "荔枝"}\n\n'
    assert stream["schema"]["x-tulou-event"] == {"$ref": "#/components/schemas/shop.v1.Ware"}


def test_the_example_is_split_between_path_and_body(tmp_path: Path) -> None:
    request = {"wareId": "w1", "ware": {"name": "荔枝"}}
    examples = {"tulou.shop.v1.ShopService.SellWare": {"request": request}}
    sell = document(tmp_path, examples=examples)["paths"]["/shop/v1/wares/{wareId}:sell"]["post"]
    assert sell["parameters"][0]["example"] == "w1"
    assert sell["requestBody"]["content"]["application/json"]["example"] == {"ware": {"name": "荔枝"}}


def test_a_request_states_what_is_required_and_every_bound(shop: dict[str, Any]) -> None:
    ware = schema(shop, "WareInput")
    fields = ware["properties"]
    assert ware["required"] == ["name", "tags"]
    assert ware["additionalProperties"] is False
    assert fields["name"] == {"type": "string", "minLength": 1, "maxLength": 5, "description": "What it is called."}
    assert fields["tags"] == {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 8},
        "minItems": 1,
        "maxItems": 3,
    }
    count = {"type": "integer", "format": "int32"}
    assert fields["stock"] == {"type": "object", "additionalProperties": count, "maxProperties": 9}
    assert fields["parts"]["items"] == {"$ref": "#/components/schemas/shop.v1.WareInput"}


def test_an_optional_field_may_be_empty_whatever_its_pattern(shop: dict[str, Any]) -> None:
    code = schema(shop, "WareInput")["properties"]["code"]
    assert code["pattern"] == "^(?:[A-Z]{2})?$"
    assert code["description"] == "Form: two capital letters."


def test_a_64_bit_number_is_text_and_its_bounds_are_words(shop: dict[str, Any]) -> None:
    price = schema(shop, "WareInput")["properties"]["priceFen"]
    assert (price["type"], price["format"]) == ("string", "int64")
    assert price["description"] == "Minimum 0, maximum 900."
    assert "minimum" not in price


def test_an_answer_promises_no_field_and_carries_no_bounds(shop: dict[str, Any]) -> None:
    ware = schema(shop, "Ware")
    assert "required" not in ware
    assert "additionalProperties" not in ware
    assert ware["properties"]["name"] == {"type": "string", "description": "What it is called."}


def test_what_the_service_sets_is_read_only(shop: dict[str, Any]) -> None:
    assert schema(shop, "WareInput")["properties"]["wareId"] == {"type": "string", "readOnly": True}


def test_personal_data_is_marked(shop: dict[str, Any]) -> None:
    phone = schema(shop, "Ware")["properties"]["ownerPhone"]
    assert phone["x-tulou-sensitive"] is True
    assert phone["description"].startswith("Personal data")


def test_what_goes_with_an_update_mask_may_be_partial_but_for_entries_of_lists(shop: dict[str, Any]) -> None:
    change = schema(shop, "ChangeWareRequest")["properties"]
    assert change["ware"] == {"$ref": "#/components/schemas/shop.v1.WarePatch"}
    assert change["updateMask"]["type"] == "string"
    patch = schema(shop, "WarePatch")
    assert "required" not in patch
    assert patch["additionalProperties"] is False
    assert patch["properties"]["parts"]["items"] == {"$ref": "#/components/schemas/shop.v1.WareInput"}


def test_an_enum_lists_what_each_value_means(shop: dict[str, Any]) -> None:
    colour = schema(shop, "Colour")
    assert colour["enum"] == ["COLOUR_UNSPECIFIED", "COLOUR_RED"]
    assert "- `COLOUR_RED`: Like a lychee (红)." in colour["description"]


def test_error_reasons_stand_without_their_prefix(shop: dict[str, Any]) -> None:
    assert schema(shop, "ErrorReason")["enum"] == ["UNSPECIFIED", "SOLD_OUT"]


def test_a_write_can_conflict_and_a_read_cannot(shop: dict[str, Any]) -> None:
    assert "409" in shop["paths"]["/shop/v1/wares"]["patch"]["responses"]
    assert "409" not in shop["paths"]["/shop/v1/wares"]["get"]["responses"]


def test_too_many_requests_says_how_long_to_wait(shop: dict[str, Any]) -> None:
    assert "retry-after" in shop["components"]["responses"]["TooManyRequests"]["headers"]
    assert "retry-after" not in shop["components"]["responses"]["NotFound"]["headers"]


def test_two_rpcs_of_one_name_are_refused(tmp_path: Path) -> None:
    twin = """service { name: "ShopService2" method { name: "A" input_type: ".tulou.shop.v1.PictureRequest"
      output_type: ".tulou.shop.v1.Ware" options { [google.api.http] { post: "/shop/v1/a" body: "*" } } } }"""
    twins = twin + twin.replace('"ShopService2"', '"ShopService3"')
    assert "/shop/v1/a" in document(tmp_path, twins)["paths"]
    path = tmp_path / "descriptors.binpb"
    files = FileDescriptorSet.FromString(path.read_bytes())
    other = text_format.Parse(SHOP, FileDescriptorProto())
    other.name, other.package = "other.proto", "tulou.other.v1"
    renamed = text_format.MessageToString(other).replace(".tulou.shop.v1.", ".tulou.other.v1.")
    files.file.append(text_format.Parse(renamed, FileDescriptorProto()))
    path.write_bytes(files.SerializeToString())
    with pytest.raises(ValueError, match="two RPCs are called ShopService_SellWare"):
        openapi.build(load(path), {})


def test_a_message_cannot_be_a_query_parameter(tmp_path: Path) -> None:
    wrong = """service { name: "WrongService" method { name: "Find" input_type: ".tulou.shop.v1.ChangeWareRequest"
      output_type: ".tulou.shop.v1.Ware" options { [google.api.http] { get: "/shop/v1/find" } } } }"""
    with pytest.raises(ValueError, match="cannot be a query parameter"):
        document(tmp_path, wrong)


def test_a_well_known_type_without_a_known_form_is_refused(tmp_path: Path) -> None:
    wrong = """dependency: "google/protobuf/descriptor.proto"
      service { name: "WrongService" method { name: "Find" input_type: ".tulou.shop.v1.PictureRequest"
      output_type: ".google.protobuf.FileOptions" options { [google.api.http] { post: "/shop/v1/a" body: "*" } } } }"""
    with pytest.raises(ValueError, match=r"no JSON form is known for google\.protobuf\.FileOptions"):
        document(tmp_path, wrong)
