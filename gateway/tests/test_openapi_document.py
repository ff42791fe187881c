"""The whole OpenAPI document and its examples, as they are served."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tulou_gateway import openapi
from tulou_gateway.access import cluster_of
from tulou_gateway.descriptors import Rpc, load
from tulou_gateway.openapi_schemas import HTTP_BODY

API = load()
EXAMPLES = openapi.examples()
DOCUMENT = openapi.build(API, EXAMPLES)
OPERATIONS = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}
EXPOSED = [rpc for rpc in API.rpcs if rpc.http]


def operation_of(rpc: Rpc) -> dict[str, Any]:
    found: dict[str, Any] = OPERATIONS[f"{rpc.service.rpartition('.')[2]}_{rpc.name}"]
    return found


def errors(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with `value`, references resolved within the document."""
    validator = Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [error.message for error in validator.iter_errors(value)]


def body_schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = OPERATIONS[name]["requestBody"]["content"]["application/json"]["schema"]
    return found


def each_rpc(rpc: Rpc) -> str:
    return rpc.path


def test_the_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_only_our_services_are_in_it_and_an_operation_says_what_it_holds() -> None:
    assert {path.split("/")[1] for path in DOCUMENT["paths"]} == {cluster_of(service) for service in API.services}
    operation = DOCUMENT["components"]["schemas"]["google.longrunning.Operation"]["properties"]
    assert operation["metadata"]["$ref"] == "#/components/schemas/credit.v1.ImportMetadata"
    assert operation["response"]["$ref"] == "#/components/schemas/credit.v1.ImportResult"
    other = {"@type": "type.googleapis.com/tulou.credit.v1.ImportResult"}
    assert errors(operation["response"], other) == []
    assert errors(operation["metadata"], other) != []


def test_it_can_be_written_as_json(tmp_path: Path) -> None:
    openapi.main(["--out", str(tmp_path / "openapi.json")])
    assert json.loads((tmp_path / "openapi.json").read_text(encoding="utf-8")) == DOCUMENT


@pytest.mark.parametrize("rpc", EXPOSED, ids=each_rpc)
def test_every_rpc_is_there_with_words_and_roles(rpc: Rpc) -> None:
    operation = operation_of(rpc)
    assert operation["summary"]
    assert rpc.access is not None
    assert operation["x-tulou-roles"] == list(rpc.access.roles)


def test_every_property_has_a_description() -> None:
    silent = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, value in schema.get("properties", {}).items()
        if not value.get("description") and not name.startswith("google.rpc.")
    ]
    assert silent == []


@pytest.mark.parametrize("rpc", EXPOSED, ids=each_rpc)
def test_every_rpc_has_examples_that_its_messages_can_hold(rpc: Rpc) -> None:
    example = EXAMPLES[f"{rpc.service}.{rpc.name}"]
    parts = [(rpc.request, example["request"])]
    if rpc.response.full_name != HTTP_BODY:
        parts.append((rpc.response, example["answer"]))
    for descriptor, value in parts:
        json_format.ParseDict(value, GetMessageClass(descriptor)(), descriptor_pool=API.pool)


@pytest.mark.parametrize("rpc", EXPOSED, ids=each_rpc)
def test_every_example_fits_its_schema(rpc: Rpc) -> None:
    operation = operation_of(rpc)
    for parameter in operation.get("parameters", []):
        if "example" in parameter:
            assert errors(parameter["schema"], parameter["example"]) == []
        else:
            assert "required" not in parameter
    contents = [operation.get("requestBody", {}), operation["responses"]["200"]]
    for media in (content.get("content", {}).get("application/json", {}) for content in contents):
        if "example" in media:
            assert errors(media["schema"], media["example"]) == []
    if "text/event-stream" in (content := operation["responses"]["200"]["content"]):
        event = json.loads(content["text/event-stream"]["example"].removeprefix("data: "))
        assert errors(content["text/event-stream"]["schema"]["x-tulou-event"], event) == []


def test_the_examples_of_errors_fit_their_schema() -> None:
    for response in DOCUMENT["components"]["responses"].values():
        media = response["content"]["application/json"]
        assert errors(media["schema"], media["example"]) == []


@pytest.mark.parametrize("rpc", EXPOSED, ids=each_rpc)
def test_every_write_uses_the_one_request_id_the_docs_page_replaces(rpc: Rpc) -> None:
    if "request_id" in rpc.request.fields_by_name:
        assert EXAMPLES[f"{rpc.service}.{rpc.name}"]["request"]["requestId"] == openapi.EXAMPLE_REQUEST_ID


def test_no_example_is_left_over() -> None:
    assert set(EXAMPLES) == {f"{rpc.service}.{rpc.name}" for rpc in EXPOSED}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extra": 1}, "Additional properties are not allowed"),
        ({"requestId": "not a uuid"}, "does not match"),
        ({"case": {}}, "'itemCode' is a required property"),
    ],
)
def test_a_bad_request_does_not_fit_its_schema(change: dict[str, Any], why: str) -> None:
    good = EXAMPLES["tulou.approval.v1.ApprovalService.CreateCase"]["request"]
    schema = body_schema("ApprovalService_CreateCase")
    assert errors(schema, good) == []
    assert any(why in error for error in errors(schema, {**good, **change}))


def test_a_title_of_300_characters_does_not_fit() -> None:
    good = EXAMPLES["tulou.approval.v1.ApprovalService.CreateCase"]["request"]
    long = {**good, "case": {**good["case"], "title": "土" * 300}}
    assert any("is too long" in error for error in errors(body_schema("ApprovalService_CreateCase"), long))


def test_a_case_that_was_read_can_be_sent_back_whole() -> None:
    case = EXAMPLES["tulou.approval.v1.ApprovalService.GetCase"]["answer"]["case"]
    request = EXAMPLES["tulou.approval.v1.ApprovalService.UpdateCase"]["request"]
    # The answer shows the phone masked; that it cannot be sent back is meant.
    applicant = {name: value for name, value in case["applicant"].items() if name != "phone"}
    body = {name: value for name, value in request.items() if name != "caseId"}
    whole = {**body, "case": {**case, "applicant": applicant}}
    assert errors(body_schema("ApprovalService_UpdateCase"), whole) == []
