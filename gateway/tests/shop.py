"""A made-up service with every kind of field and RPC that the gateway treats in its own way."""

from importlib.resources import files
from pathlib import Path

from google.api import annotations_pb2
from grpc_tools import protoc

from tulou_gateway.descriptors import Api, load

PROTO = """
syntax = "proto3";
package tulou.shop.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "tulou/options/v1/access.proto";

service ShopService {
  rpc GetWare(WareRequest) returns (Ware) {
    option (google.api.http) = {get: "/shop/v1/wares/{ware_id}"};
    option (tulou.options.v1.access) = {anonymous: true};
  }
  rpc CreateWare(CreateWareRequest) returns (Ware) {
    option (google.api.http) = {post: "/shop/v1/wares" body: "*"};
    option (tulou.options.v1.access) = {roles: [ROLE_CLERK, ROLE_ADMIN]};
  }
  rpc ReplaceWare(CreateWareRequest) returns (Ware) {
    option (google.api.http) = {
      put: "/shop/v1/wares/{request_id}" body: "ware"
      additional_bindings {post: "/shop/v1/wares/{request_id}:replace" body: "*"}
    };
    option (tulou.options.v1.access) = {roles: [ROLE_ADMIN, ROLE_CLERK]};
  }
  rpc SellWare(WareRequest) returns (Ware) {
    option (google.api.http) = {post: "/shop/v1/wares/{ware_id}:sell" body: "*"};
    option (tulou.options.v1.access) = {roles: ROLE_CLERK};
  }
  // No access option.
  rpc StealWare(WareRequest) returns (Ware) {
    option (google.api.http) = {get: "/shop/v1/wares/{ware_id}:steal"};
  }
  // Neither anonymous nor a role.
  rpc HideWare(WareRequest) returns (Ware) {
    option (tulou.options.v1.access) = {};
  }
  rpc UploadPicture(stream PictureRequest) returns (Ware) {
    option (google.api.http) = {post: "/shop/v1/wares/{ware_id}:upload" body: "picture"};
    option (tulou.options.v1.access) = {roles: ROLE_CLERK};
  }
  rpc FetchPicture(WareRequest) returns (stream google.api.HttpBody) {
    option (google.api.http) = {get: "/shop/v1/wares/{ware_id}:picture"};
    option (tulou.options.v1.access) = {anonymous: true};
  }
  rpc WatchWares(WareRequest) returns (stream Ware) {
    option (google.api.http) = {get: "/shop/v1/wares:watch"};
    option (tulou.options.v1.access) = {roles: ROLE_PARTNER};
  }
}

message WareRequest { string ware_id = 1; }
message PictureRequest { string ware_id = 1; google.api.HttpBody picture = 2; }
message CreateWareRequest { string request_id = 1; Ware ware = 2; }
message Ware {
  string display_name = 1;
  int64 price_fen = 2;
  double weight = 3;
  bool sold = 4;
  bytes code = 5;
  Colour colour = 6;
  map<string, Part> parts = 7;
  map<string, int32> stock = 8;
  repeated Part spares = 9;
  repeated string tags = 10;
  Ware inside = 11;
  oneof size { int32 small = 12; string large = 13; }
  google.protobuf.Timestamp made = 14;
  google.protobuf.FieldMask mask = 15;
  google.protobuf.Struct free = 16;
  google.protobuf.Value value = 17;
  google.protobuf.ListValue list = 18;
  google.protobuf.StringValue note = 19;
  google.protobuf.Any any = 20;
  string oddly_named = 21 [json_name = "ODD"];
}
message Part { string name = 1; repeated Part parts = 2; }
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }
"""


def shop(folder: Path) -> Api:
    """The descriptors of the made-up service; `folder` takes the files."""
    (folder / "shop.proto").write_text(PROTO)
    protos = Path(__file__).resolve().parents[2] / "protos"
    googleapis = Path(annotations_pb2.__file__).parents[2]
    includes = [f"-I{path}" for path in (folder, protos, googleapis, files("grpc_tools") / "_proto")]
    out = folder / "shop.binpb"
    extra = ["google/rpc/error_details.proto", "google/rpc/status.proto"]
    arguments = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}", "shop.proto", *extra]
    assert protoc.main(["protoc", *includes, *arguments]) == 0
    return load(out)
