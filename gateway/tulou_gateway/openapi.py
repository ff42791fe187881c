"""The OpenAPI 3.1 document of the gateway's HTTP API, built from the descriptor set and the examples."""

import argparse
import json
import re
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import FieldDescriptor

from tulou_gateway import openapi_errors
from tulou_gateway.descriptors import Api, Binding, Rpc, load
from tulou_gateway.openapi_schemas import HTTP_BODY, TIMESTAMP, Mode, Schema, Schemas, is_required

# Every example's request_id. The docs page puts a fresh one in its place, so that a second try is not a replay.
EXAMPLE_REQUEST_ID = "5f1c0c9e-3c1b-4a52-9a34-0e6f4f7a1d10"

_ABOUT = """\
The services of a prefecture-level city, as JSON over HTTP. The same calls are open to partners over gRPC and gRPC-Web
on the same port.

- **Tokens**: `authorization: Bearer …`, an OIDC token (JWT). Each operation lists the roles that may call it.
- **Writes** carry a `requestId` (UUID). The same id with the same request returns the first answer and does nothing
  again.
- **Changes** carry the `etag` that was read last; a stale one is refused with 409, and nothing is lost.
- **Names** are lowerCamelCase; the proto's snake_case is understood, too. Unknown fields and parameters are refused.
- **Errors** have one model, `google.rpc.Status`, with the reason for programs and a sentence for people: Chinese, or
  English with `accept-language: en`.
- **Time**: dates are civil dates in Asia/Shanghai, instants are UTC. **Money** is in fen (分).
- Every answer carries `x-request-id` and `traceparent`."""

_HEADERS: Schema = {
    "x-request-id": {"description": "Id of the call, for questions about it.", "schema": {"type": "string"}},
    "traceparent": {"description": "W3C trace context; its second part is the trace id.", "schema": {"type": "string"}},
}
_PLACEHOLDER = re.compile(r"\{(\w+)(?:=[^}]*)?\}")

Example = Mapping[str, Any]


def build(api: Api, examples: Mapping[str, Example]) -> Schema:
    """The document. `examples` maps a full RPC name to {"request": …, "answer": …, "media_types": […]}, each optional,
    in proto3 JSON. Raises ValueError when two RPCs would share an operationId and on a message JSON cannot carry."""
    schemas = Schemas(api)
    paths: dict[str, Schema] = {}
    taken: set[str] = set()
    for rpc in api.rpcs:
        for number, binding in enumerate(rpc.http, 1):
            operation = _operation(schemas, rpc, binding, examples.get(f"{rpc.service}.{rpc.name}", {}))
            operation["operationId"] += f"_{number}" if number > 1 else ""
            if operation["operationId"] in taken:
                raise ValueError(f"two RPCs are called {operation['operationId']}")
            taken.add(operation["operationId"])
            paths.setdefault(_path(rpc, binding), {})[binding.verb.lower()] = operation
    responses = openapi_errors.add_components(schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Tulou 土楼",
            "version": version("tulou-gateway"),
            "summary": "The open service layer of a city",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": _short(name), "description": api.comments.get(name, "")} for name in api.services],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": responses,
            "headers": _HEADERS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def examples() -> dict[str, Example]:
    """The packaged examples by full RPC name: examples/approval.yaml holds those of tulou.approval.v1. Keys that start
    with "x-" only hold shared parts."""
    found: dict[str, Example] = {}
    for file in (files("tulou_gateway") / "examples").iterdir():
        package = f"tulou.{file.name.removesuffix('.yaml')}.v1"
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
        found |= {f"{package}.{name}": entry for name, entry in entries.items() if not name.startswith("x-")}
    return found


def main(argv: list[str]) -> None:
    """Writes the document as JSON to --out, or to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tulou_gateway openapi", description=__doc__)
    parser.add_argument("--out", type=Path, help="file to write; standard output when absent")
    arguments = parser.parse_args(argv)
    text = json.dumps(build(load(), examples()), ensure_ascii=False, indent=1)
    if arguments.out is None:
        print(text)
    else:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def _path(rpc: Rpc, binding: Binding) -> str:
    return _PLACEHOLDER.sub(lambda name: f"{{{_field(rpc, name[1]).json_name}}}", binding.template)


def _operation(schemas: Schemas, rpc: Rpc, binding: Binding, example: Example) -> Schema:
    # Not at "art. 32".
    first, *rest = re.split(r"\. (?=[A-Z])", " ".join(rpc.comment.split()), maxsplit=1)
    anonymous = rpc.access is not None and rpc.access.anonymous
    roles = list(rpc.access.roles) if rpc.access else []
    who = "Open to everyone, with or without a token." if anonymous else f"Roles: {', '.join(roles) or 'none'}."
    in_path = _PLACEHOLDER.findall(binding.template)
    operation: Schema = {
        "tags": [_short(rpc.service)],
        "operationId": f"{_short(rpc.service)}_{rpc.name}",
        "summary": first.removesuffix("."),
        "description": "\n\n".join(filter(None, [*rest, who, f"gRPC: `{rpc.path.removeprefix('/')}`"])),
    }
    if parameters := _parameters(schemas, rpc, binding, in_path, example.get("request", {})):
        operation["parameters"] = parameters
    if binding.body:
        operation["requestBody"] = _body(schemas, rpc, binding, in_path, example)
    success = {"description": "The answer.", "headers": _headers(), "content": _answer(schemas, rpc, example)}
    operation["responses"] = {
        "200": success,
        **openapi_errors.responses_of(anonymous=anonymous, reads=binding.verb == "GET"),
    }
    # A token is optional where anyone may call: some answers show more to who has one.
    operation["security"] = [{}, {"bearer": []}] if anonymous else [{"bearer": []}]
    operation["x-tulou-roles"] = roles
    return operation


def _parameters(schemas: Schemas, rpc: Rpc, binding: Binding, in_path: list[str], request: Example) -> list[Schema]:
    left = [] if binding.body == "*" else [field.name for field in rpc.request.fields if field.name != binding.body]
    return [
        _parameter(schemas, _field(rpc, name), place, request)
        for place, names in (("path", in_path), ("query", [name for name in left if name not in in_path]))
        for name in names
    ]


def _parameter(schemas: Schemas, field: FieldDescriptor, place: str, request: Example) -> Schema:
    if field.message_type and field.message_type.full_name != TIMESTAMP:
        raise ValueError(f"{field.full_name} is a message and cannot be a {place} parameter")
    schema = schemas.field(field, Mode.INPUT)
    parameter: Schema = {"name": field.json_name, "in": place, "schema": schema}
    if description := schema.pop("description", None):
        parameter["description"] = description
    if place == "path" or is_required(field):
        parameter["required"] = True
    if field.json_name in request:
        parameter["example"] = request[field.json_name]
    return parameter


def _body(schemas: Schemas, rpc: Rpc, binding: Binding, in_path: list[str], example: Example) -> Schema:
    request = example.get("request", {})
    if binding.body == "*":
        schema = schemas.message(rpc.request, Mode.INPUT, omit=in_path)
        outside = {_field(rpc, name).json_name for name in in_path}
        value = {name: part for name, part in request.items() if name not in outside}
        return {"required": True, "content": {"application/json": _media(schema, value)}}
    field = _field(rpc, binding.body)
    schema = schemas.field(field, Mode.INPUT)
    body: Schema = {"required": True, "description": schema.pop("description", "")}
    if _is_raw(field):
        return body | {"content": {media_type: {"schema": schema} for media_type in _media_types(example)}}
    return body | {"content": {"application/json": _media(schema, request.get(field.json_name))}}


def _answer(schemas: Schemas, rpc: Rpc, example: Example) -> Schema:
    schema = schemas.message(rpc.response, Mode.ANSWER)
    if rpc.response.full_name == HTTP_BODY:
        return {media_type: {"schema": schema} for media_type in _media_types(example)}
    if not rpc.server_streaming:
        return {"application/json": _media(schema, example.get("answer"))}
    name = schema["$ref"].rpartition("/")[2]
    text = f"Server-sent events without end; the `data` of each is one `{name}` as JSON."
    stream = _media({"type": "string", "description": text, "x-tulou-event": schema}, None)
    if "answer" in example:
        stream["example"] = f"data: {json.dumps(example['answer'], ensure_ascii=False)}\n\n"
    return {"text/event-stream": stream}


def _media(schema: Schema, example: Any) -> Schema:
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _media_types(example: Example) -> list[str]:
    return list(example.get("media_types", ["application/octet-stream"]))


def _headers() -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}


def _is_raw(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == HTTP_BODY


def _field(rpc: Rpc, name: str) -> FieldDescriptor:
    return rpc.request.fields_by_name[name]


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]
