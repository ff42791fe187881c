"""Calls that reach the service: JSON, gRPC and gRPC-Web, streams, uploads and downloads, retries."""

import base64
import json
import struct
import time
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from gateway.tests.integration.conftest import assert_refused
from tulou.approval.v1 import approval_service_pb2 as service
from tulou.approval.v1 import approval_service_pb2_grpc, case_pb2
from tulou.type.v1 import event_pb2


def refusal(code: grpc.StatusCode, reason: str) -> Any:
    status = status_pb2.Status(code=code.value[0], message="No.")
    violation = error_details_pb2.BadRequest.FieldViolation(field="case.title", reason="max_length", description="长")
    for detail in (
        error_details_pb2.ErrorInfo(reason=reason, domain="approval.tulou", metadata={"case_id": "c1"}),
        error_details_pb2.LocalizedMessage(locale="zh-CN", message="不行。"),
        error_details_pb2.BadRequest(field_violations=[violation]),
    ):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return lambda _, context: context.abort_with_status(rpc_status.to_status(status))


def test_a_json_call_becomes_grpc_and_its_answer_json(http, issuer, upstream):
    upstream.answers["CreateCase"] = lambda request, _: service.CreateCaseResponse(
        case=case_pb2.Case(id="c1", title=request.case.title, state=case_pb2.CASE_STATE_DRAFT)
    )
    body = {"requestId": "r1", "case": {"title": "小吃店", "form": {"面积": 30, "tables": [1, {"x": None}]}}}
    answer = http.post("/approval/v1/cases", json=body, headers=issuer.header("citizen"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    case = answer.json()["case"]
    assert (case["id"], case["title"], case["state"]) == ("c1", "小吃店", "CASE_STATE_DRAFT")
    # 0, false, "" and [] are there.
    assert (case["itemVersion"], case["extended"], case["number"], case["allowedActions"]) == (0, False, "", [])
    (name, (request,), _) = upstream.calls[0]
    assert (name, request.request_id, request.case.form["面积"]) == ("CreateCase", "r1", 30)


def test_path_and_query_fill_the_request(http, issuer, upstream):
    http.get("/approval/v1/cases/c7", headers=issuer.header("clerk")).raise_for_status()
    http.get("/approval/v1/cases?pageSize=5&due_before=2026-05-01", headers=issuer.header("clerk")).raise_for_status()
    first, second = (requests[0] for _, requests, _ in upstream.calls)
    assert first.case_id == "c7"
    assert (second.page_size, second.due_before) == (5, "2026-05-01")


def test_the_service_gets_token_trace_and_request_id(http, issuer, upstream):
    header = issuer.header("clerk")
    parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    answer = http.get("/approval/v1/cases/c1", headers={**header, "traceparent": parent})
    _, _, metadata = upstream.calls[0]
    assert metadata["authorization"] == header["authorization"]
    assert metadata["traceparent"].split("-")[1] == parent.split("-")[1]
    assert metadata["traceparent"] != parent, "the gateway's span stands between"
    assert metadata["x-request-id"] == answer.headers["x-request-id"]
    assert answer.headers["traceparent"].split("-")[1] == parent.split("-")[1]


@pytest.mark.parametrize(
    ("code", "http_status"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.NOT_FOUND, 404),
        (grpc.StatusCode.ALREADY_EXISTS, 409),
        (grpc.StatusCode.ABORTED, 409),
        (grpc.StatusCode.FAILED_PRECONDITION, 400),
        (grpc.StatusCode.INTERNAL, 500),
    ],
)
def test_a_services_refusal_arrives_as_json_with_all_its_details(http, issuer, upstream, code, http_status):
    upstream.answers["GetCase"] = refusal(code, "SOME_REASON")
    answer = http.get("/approval/v1/cases/c1", headers=issuer.header("clerk"))
    assert (answer.status_code, answer.headers["content-type"]) == (http_status, "application/json")
    error = answer.json()
    assert (error["code"], error["message"]) == (code.value[0], "No.")
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    assert details["ErrorInfo"]["reason"] == "SOME_REASON"
    assert details["ErrorInfo"]["metadata"] == {"case_id": "c1"}
    assert details["LocalizedMessage"]["message"] == "不行。"
    assert details["BadRequest"]["fieldViolations"][0]["field"] == "case.title"


def test_grpc_passes_through_with_details(channel, issuer, upstream):
    stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
    upstream.answers["GetCase"] = lambda request, _: service.GetCaseResponse(case=case_pb2.Case(id=request.case_id))
    metadata = tuple(issuer.header("clerk").items())
    assert stub.GetCase(service.GetCaseRequest(case_id="c1"), metadata=metadata).case.id == "c1"
    upstream.answers["GetCase"] = refusal(grpc.StatusCode.NOT_FOUND, "CASE_NOT_FOUND")
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetCase(service.GetCaseRequest(case_id="c1"), metadata=metadata)
    status = rpc_status.from_call(caught.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "CASE_NOT_FOUND"


def test_a_partner_can_reflect_without_a_token(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([ask]))
    assert [one.name for one in answer.list_services_response.service] == ["grpc.reflection.v1alpha.ServerReflection"]


def web_frames(body: bytes) -> list[tuple[int, bytes]]:
    frames = []
    while body:
        flag, size = struct.unpack(">BI", body[:5])
        frames.append((flag, body[5 : 5 + size]))
        body = body[5 + size :]
    return frames


def web_call(http: httpx.Client, method: str, request: Any, text: bool = False, **headers: str) -> httpx.Response:
    message = request.SerializeToString()
    body = struct.pack(">BI", 0, len(message)) + message
    kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
    return http.post(
        f"/tulou.approval.v1.ApprovalService/{method}",
        content=base64.b64encode(body) if text else body,
        headers={"content-type": kind, "accept": kind, "x-grpc-web": "1", **headers},
    )


@pytest.mark.parametrize("text", [False, True])
def test_grpc_web_gets_message_and_trailers(http, issuer, upstream, text):
    upstream.answers["GetCase"] = lambda request, _: service.GetCaseResponse(case=case_pb2.Case(id=request.case_id))
    answer = web_call(http, "GetCase", service.GetCaseRequest(case_id="c1"), text, **issuer.header("clerk"))
    # As text, each piece is padded for itself.
    fours = [answer.content[i : i + 4] for i in range(0, len(answer.content), 4)]
    body = b"".join(map(base64.b64decode, fours)) if text else answer.content
    (flag, message), (trailer_flag, trailers) = web_frames(body)
    assert (flag, service.GetCaseResponse.FromString(message).case.id) == (0, "c1")
    assert trailer_flag == 0x80
    assert b"grpc-status:0" in trailers


def test_events_come_as_server_sent_events_one_by_one(http, issuer, upstream):
    def watch(request: Any, _: grpc.ServicerContext) -> Any:
        for position in (request.after + 1, request.after + 2):
            event = event_pb2.Event(position=position, type="CaseSubmitted")
            yield service.WatchEventsResponse(event=event)
            time.sleep(0.2)

    upstream.answers["WatchEvents"] = watch
    with http.stream("GET", "/approval/v1/events:watch?after=6", headers=issuer.header("partner")) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        pieces = list(answer.iter_text())
    assert len(pieces) >= 2, "each event leaves at once"
    events = [json.loads(line.removeprefix("data: ")) for line in "".join(pieces).splitlines() if line]
    assert [event["event"]["position"] for event in events] == ["7", "8"]


def test_an_upload_is_streamed_with_its_type_and_parameters(http, issuer, upstream):
    content = bytes(range(256)) * 12_000
    answer = http.post(
        "/approval/v1/cases/c1/materials/M01:upload",
        params={"filename": "营业 执照+1.pdf", "request_id": "r1"},
        content=content,
        headers={"content-type": "application/pdf", **issuer.header("citizen")},
    )
    assert answer.status_code == 200
    _, requests, _ = upstream.calls[0]
    assert len(requests) > 1, "in pieces"
    assert b"".join(request.file.data for request in requests) == content
    first = requests[0]
    assert (first.case_id, first.material_code, first.filename) == ("c1", "M01", "营业 执照+1.pdf")
    assert first.file.content_type == "application/pdf"


def test_a_download_is_the_file_itself(http, issuer, upstream):
    upstream.answers["FetchMaterial"] = lambda *_: (
        httpbody_pb2.HttpBody(content_type="application/pdf", data=bytes([piece]) * 200_000) for piece in range(10)
    )
    answer = http.get("/approval/v1/cases/c1/files/f1:download", headers=issuer.header("clerk"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content == b"".join(bytes([piece]) * 200_000 for piece in range(10))


def test_an_answer_may_be_large_but_not_boundless(http, issuer, upstream):
    case = case_pb2.Case(title="x" * 3 * 1024 * 1024)
    upstream.answers["GetCase"] = lambda *_: service.GetCaseResponse(case=case)
    answer = http.get("/approval/v1/cases/c1", headers=issuer.header("clerk"))
    assert answer.json()["case"]["title"] == case.title
    case.title *= 3
    assert_refused(http.get("/approval/v1/cases/c1", headers=issuer.header("clerk")), 500, 13, "INTERNAL")


def failing_first(times: int, response: Any) -> Any:
    left = [times]

    def answer(_: Any, context: grpc.ServicerContext) -> Any:
        if left[0]:
            left[0] -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return response

    return answer


def test_reads_and_writes_with_a_request_id_are_tried_again(http, issuer, upstream):
    upstream.answers["GetCase"] = failing_first(1, service.GetCaseResponse())
    upstream.answers["CreateCase"] = failing_first(2, service.CreateCaseResponse())
    assert http.get("/approval/v1/cases/c1", headers=issuer.header("citizen")).status_code == 200
    body = {"requestId": "r1", "case": {"title": "店"}}
    assert http.post("/approval/v1/cases", json=body, headers=issuer.header("citizen")).status_code == 200
    assert [name for name, _, _ in upstream.calls] == ["GetCase"] * 2 + ["CreateCase"] * 3
    assert {request.request_id for name, (request,), _ in upstream.calls if name == "CreateCase"} == {"r1"}


def test_a_call_that_could_count_twice_is_not_tried_again(http, upstream):
    upstream.answers["TrackCase"] = failing_first(1, service.TrackCaseResponse())
    answer = http.post("/approval/v1/cases:track", json={"number": "1", "identityTail": "1234"})
    assert answer.status_code == 503
    assert len(upstream.calls) == 1
