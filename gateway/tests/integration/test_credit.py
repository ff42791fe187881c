"""What the credit service brought: data files, operations, maps, numbers in paths, instants in queries."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from google.longrunning import operations_pb2
from google.protobuf import any_pb2

from gateway.tests.integration.conftest import UNLIMITED, Gateway, assert_refused, at, running_gateway
from tulou.credit.v1 import (
    credit_service_pb2,
    import_pb2,
    import_service_pb2,
    import_service_pb2_grpc,
    report_service_pb2,
)

MIB = 1024 * 1024
UPLOAD = "/credit/v1/imports:upload"
CSV = {"content-type": "text/csv"}


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * MIB


def size_of(upstream: Any) -> int:
    ((_, requests, _),) = upstream.calls
    return sum(len(request.file.data) for request in requests)


def test_a_data_file_may_be_larger_than_other_uploads(http, issuer, upstream):
    headers = {**CSV, **issuer.header("clerk")}
    answer = http.post(f"{UPLOAD}?filename=a.csv&encoding=TEXT_ENCODING_GB18030", content=pieces(24), headers=headers)
    assert answer.status_code == 200, answer.text
    assert size_of(upstream) == 24 * MIB
    first = upstream.calls[0][1][0]
    assert (first.filename, first.encoding) == ("a.csv", import_service_pb2.TEXT_ENCODING_GB18030)
    other = http.post("/credit/v1/evidence:upload", content=pieces(24), headers={**CSV, **issuer.header("citizen")})
    assert_refused(other, 413, 8, "TOO_LARGE")


def test_a_data_file_may_be_as_large_over_grpc(channel, issuer, upstream):
    stub = import_service_pb2_grpc.ImportServiceStub(channel)
    requests = (
        import_service_pb2.UploadImportRequest(file=httpbody_pb2.HttpBody(content_type="text/csv", data=piece))
        for piece in pieces(24)
    )
    stub.UploadImport(requests, metadata=tuple(issuer.header("clerk").items()))
    assert size_of(upstream) == 24 * MIB


@pytest.mark.parametrize(("size", "refused"), [(512 * MIB, False), (514 * MIB, True)])
def test_a_data_file_has_a_bound_too(gateway, issuer, size, refused):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        head = f"POST {UPLOAD} HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\ncontent-length: {size}\r\n"
        head += f"expect: 100-continue\r\nauthorization: Bearer {issuer.token('clerk')}\r\n\r\n"
        connection.sendall(head.encode())
        heads = connection.recv(100)
        if refused:
            heads += connection.recv(100)
        # Nothing of the body is sent: what is let in, is waited for.
        assert heads.startswith(b"HTTP/1.1 100 Continue")
        assert (b"HTTP/1.1 413" in heads) == refused


def test_who_may_not_send_data_files_sends_nothing(http, issuer, upstream):
    answer = http.post(UPLOAD, content=pieces(2), headers={**CSV, **issuer.header("citizen")})
    assert_refused(answer, 403, 7, "ROLE_NOT_ALLOWED")
    assert not upstream.calls


def test_an_operation_shows_what_it_holds(http, issuer, upstream):
    operation = operations_pb2.Operation(name="imports/i1", done=True)
    operation.metadata.Pack(import_pb2.ImportMetadata(rows_done=12, state=import_pb2.IMPORT_STATE_DONE))
    operation.response.Pack(import_pb2.ImportResult(rows_created=11, rows_quarantined=1))
    upstream.answers["GetImport"] = lambda _, __: import_service_pb2.GetImportResponse(operation=operation)
    shown = http.get("/credit/v1/imports/i1", headers=issuer.header("clerk")).json()["operation"]
    assert (shown["name"], shown["done"]) == ("imports/i1", True)
    assert shown["metadata"]["@type"] == "type.googleapis.com/tulou.credit.v1.ImportMetadata"
    assert (shown["metadata"]["rowsDone"], shown["metadata"]["state"]) == ("12", "IMPORT_STATE_DONE")
    assert shown["response"]["rowsCreated"] == "11"


def test_a_row_is_named_by_its_number_and_its_cells_by_column(http, issuer, upstream):
    body = {"requestId": "r1", "cells": {"行政相对人名称": "甲公司", "any column": ""}}
    path = "/credit/v1/imports/i1/rows/4711:correct"
    http.post(path, json=body, headers=issuer.header("clerk")).raise_for_status()
    ((_, (request,), _),) = upstream.calls
    assert (request.import_id, request.row, dict(request.cells)) == ("i1", 4711, body["cells"])
    for wrong, field in (({"cells": {"a": 1}}, "cells.a"), ({"cell": {}}, "cell"), ({"row": "1"}, "row")):
        (violation,) = assert_refused(
            http.post(path, json=wrong, headers=issuer.header("clerk")), 400, 3, "INVALID_FIELD"
        )
        assert violation["field"] == field
    answer = http.post("/credit/v1/imports/i1/rows/first:correct", json={}, headers=issuer.header("clerk"))
    assert_refused(answer, 400, 3, "INVALID_FIELD")


def test_a_time_is_asked_for_in_the_query(http, upstream):
    http.get("/credit/v1/subjects/s1/records?on=2026-05-01&knownTime=2026-05-02T08:00:00Z").raise_for_status()
    ((_, (request,), _),) = upstream.calls
    assert (request.subject_id, request.on) == ("s1", "2026-05-01")
    assert request.known_time.ToJsonString() == "2026-05-02T08:00:00Z"


def test_a_report_comes_as_a_file(http, issuer, upstream):
    piece = httpbody_pb2.HttpBody(content_type="application/pdf", data=b"%PDF-")
    upstream.answers["DownloadReport"] = lambda _, __: iter([piece, httpbody_pb2.HttpBody(data=b"1.7")])
    answer = http.get("/credit/v1/reports/r1:download", headers=issuer.header("citizen"))
    assert (answer.headers["content-type"], answer.content) == ("application/pdf", b"%PDF-1.7")


def test_anyone_may_verify_a_report(http, upstream):
    upstream.answers["VerifyReport"] = lambda _, __: report_service_pb2.VerifyReportResponse(subject_name="甲公司")
    assert http.get("/credit/v1/reports:verify?code=ABCD-2345").json()["subjectName"] == "甲公司"
    assert_refused(http.get("/credit/v1/reports/r1"), 401, 16, "TOKEN_MISSING")


def test_the_operations_service_of_google_is_not_served(http, channel, issuer, upstream):
    answer = http.get("/v1/operations/imports", headers=issuer.header("clerk", "admin"))
    assert_refused(answer, 404, 5, "UNKNOWN_METHOD")
    call = channel.unary_unary(
        "/google.longrunning.Operations/GetOperation", any_pb2.Any.SerializeToString, any_pb2.Any.FromString
    )
    with pytest.raises(grpc.RpcError) as refused:
        call(any_pb2.Any(), metadata=tuple(issuer.header("clerk", "admin").items()))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert not upstream.calls


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory, issuer: Any, running_upstream: Any) -> Iterator[Gateway]:
    """A gateway that waits a second for what a gateway waits three minutes for."""
    folder = Path(tmp_path_factory.mktemp("hurried"))
    shorter = ("max_stream_duration: 180s", "max_stream_duration: 1s")
    with running_gateway(folder, issuer, *at(running_upstream.port), *UNLIMITED, instead=shorter) as found:
        yield found


def slowly(parts: int, seconds: float) -> Iterator[bytes]:
    for _ in range(parts):
        time.sleep(seconds)
        yield b" "


def test_a_json_body_must_arrive_in_time(hurried, issuer):
    headers = {"content-type": "application/json", **issuer.header("clerk")}
    with httpx.Client(base_url=hurried.url, timeout=20) as client:
        answer = client.post("/credit/v1/records", content=slowly(6, 0.5), headers=headers)
    assert_refused(answer, 408, 4, "DEADLINE_EXCEEDED")


def test_uploads_and_streams_have_longer(hurried, issuer, upstream):
    with httpx.Client(base_url=hurried.url, timeout=20) as client:
        for path, role in ((UPLOAD, "clerk"), ("/credit/v1/evidence:upload", "citizen")):
            answer = client.post(path, content=slowly(4, 0.5), headers={**CSV, **issuer.header(role)})
            assert answer.status_code == 200
        upstream.answers["WatchEvents"] = lambda _, __: (
            credit_service_pb2.WatchEventsResponse() for _ in slowly(4, 0.5)
        )
        stream = client.get("/credit/v1/events:watch", headers=issuer.header("partner"))
    assert stream.text.count("data:") == 4
