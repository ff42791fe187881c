"""Files up and down: in pieces, refused for what is wrong with them, and nothing left behind."""

import csv
import io
import uuid

import grpc
import pytest

from services.credit.tests.edge import CITIZEN, CLERK, OFFICE, PARTNER, PDF, Edge, Refused, elsewhere, penalties
from services.credit.tests.store import firm
from tulou.credit.v1 import import_service_pb2
from tulou_chassis.tables import IdempotencyRecord
from tulou_credit import blobs
from tulou_credit.models import Evidence, Import
from tulou_credit.operations import evidence

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(64)


def kept(edge: Edge) -> set[str]:
    """The names of all files that are kept, drafts among them."""
    return {str(file) for file in edge.settings.blob_dir.rglob("*") if file.is_file()}


def test_a_file_of_rows_comes_in_pieces(each_edge: Edge) -> None:
    codes = [firm() for _ in range(40)]
    rows = [{"CF_XDR_SHXYM": code, "CF_XDR_LB": "法人及非法人组织"} for code in codes]
    content = penalties(*rows)
    taken = each_edge.taken(content, piece=1000)
    assert (taken.rows_created, taken.rows_done, taken.size) == (40, 40, len(content))
    assert each_edge.taken(content, piece=len(content)).rows_unchanged == 40
    # Another may not correct what this one sent.
    corrected = each_edge.taken(penalties(*(row | {"BZ": "更正"} for row in rows)), by=PARTNER)
    assert (corrected.rows_quarantined, corrected.rows_superseded) == (40, 0)
    assert len(each_edge.ask("SearchSubjects", code=codes[0]).subjects) == 1


def test_an_empty_file_is_an_import_that_fails(edge: Edge) -> None:
    for content in (b"", b" ", b"\xef\xbb\xbf"):
        taken = edge.taken(content)
        assert [breach.reason for breach in taken.failure], content
        operation = edge.ask("GetImport", by=CLERK, import_id=taken.import_id).operation
        assert (operation.done, operation.WhichOneof("result")) == (True, "error")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": "x"}, "request_id"),
        ({"filename": ""}, "filename"),
        ({"filename": "../../x.csv"}, "filename"),
        ({"filename": "a\\b.csv"}, "filename"),
        ({"filename": "长" * 201}, "filename"),
    ],
)
@pytest.mark.parametrize("rpc", ["UploadImport", "UploadEvidence"])
def test_what_comes_with_the_first_piece_is_checked(edge: Edge, rpc: str, wrong: dict[str, str], field: str) -> None:
    before = kept(edge)
    by = CLERK if rpc == "UploadImport" else CITIZEN
    with pytest.raises(Refused) as refused:
        edge.upload(rpc, PDF * 10, "application/pdf", by=by, piece=100, **wrong)
    assert (refused.value.reason, set(refused.value.fields)) == ("INVALID_FIELD", {field})
    assert kept(edge) == before


@pytest.mark.parametrize("rpc", ["UploadImport", "UploadEvidence"])
def test_a_stream_without_messages_is_refused(edge: Edge, rpc: str) -> None:
    with pytest.raises(Refused) as refused:
        edge.send(rpc, [], by=CLERK if rpc == "UploadImport" else CITIZEN)
    assert refused.value.reason == "INVALID_FIELD"


def test_a_file_of_rows_that_is_too_large_is_refused_and_forgotten(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "MAX_FILE_BYTES", 3_000_000)
    before, imports = kept(edge), edge.rows(Import)
    with pytest.raises(Refused) as refused:
        edge.upload("UploadImport", bytes(3_000_001), "text/csv", by=CLERK, filename="一.csv")
    assert (refused.value.reason, refused.value.metadata) == ("FILE_TOO_LARGE", {"max_size": "3000000"})
    assert (kept(edge), edge.rows(Import)) == (before, imports)
    edge.upload("UploadImport", bytes(3_000_000), "text/csv", by=CLERK, filename="一.csv")


def test_an_upload_that_is_broken_off_leaves_nothing(edge: Edge) -> None:
    before, imports = kept(edge), edge.rows(Import)
    first = edge.request("UploadImport", filename="一.csv")

    def pieces() -> object:
        yield first
        raise ConnectionError

    method = edge.methods["UploadImport"]
    call = edge.channel.stream_unary(
        f"/{method.containing_service.full_name}/UploadImport",
        request_serializer=lambda message: message.SerializeToString(),
    )
    with pytest.raises(grpc.RpcError):
        call(pieces(), metadata=[("authorization", f"Bearer {edge.token(CLERK)}")], timeout=20)
    assert edge.rows(Import) == imports
    # What the server still had to put away.
    for _ in range(200):
        if kept(edge) == before:
            break
        edge.ask("ListRecordTypes")
    assert kept(edge) == before


def test_a_file_of_rows_that_is_sent_again_is_the_same_import(each_edge: Edge) -> None:
    request_id = str(uuid.uuid4())
    imports = each_edge.rows(Import)
    content = penalties({"CF_XDR_SHXYM": firm(), "CF_XDR_LB": "法人及非法人组织"})
    how = {"by": CLERK, "filename": "一.csv", "request_id": request_id}
    first, second = (each_edge.upload("UploadImport", content, "text/csv", piece=n, **how) for n in (10_000, 77))
    assert first == second
    assert each_edge.rows(Import) == imports + 1
    for changed in ({"filename": "二.csv"}, {"encoding": "TEXT_ENCODING_UTF_8"}):
        with pytest.raises(Refused, match="REQUEST_ID_REUSED"):
            each_edge.upload("UploadImport", content, "text/csv", **how | changed)
    with pytest.raises(Refused, match="REQUEST_ID_REUSED"):
        each_edge.upload("UploadImport", content + b"\n", "text/csv", **how)
    assert each_edge.rows(Import) == imports + 1


def test_an_encoding_that_is_told_is_taken(edge: Edge) -> None:
    content = penalties({"CF_XDR_SHXYM": firm(), "CF_XDR_LB": "法人及非法人组织"}).decode()
    for encoding in import_service_pb2.TextEncoding.DESCRIPTOR.values[1:]:
        name = encoding.name.removeprefix("TEXT_ENCODING_").replace("_", "-")
        sent = edge.taken(content.encode(name), encoding=encoding.name)
        assert (list(sent.failure), sent.rows_done) == ([], 1), name


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PDF, "image/png"),
        (PNG, "application/pdf"),
        (b"PK\x03\x04" + bytes(60), "application/zip"),
        (b"<html></html>", "text/html"),
        ("文本".encode(), "text/plain"),
        (b"MZ" + bytes(60), "application/x-msdownload"),
        (b"", "application/pdf"),
        (PDF, ""),
    ],
    ids=["no png", "no pdf", "zip", "page", "text", "program", "empty", "untold"],
)
def test_evidence_is_what_it_says_it_is(edge: Edge, content: bytes, media_type: str) -> None:
    rows = edge.rows(Evidence)
    with pytest.raises(Refused) as refused:
        edge.upload("UploadEvidence", content, media_type, by=CITIZEN)
    assert (refused.value.reason, refused.value.code) == ("FILE_TYPE", grpc.StatusCode.INVALID_ARGUMENT)
    assert edge.rows(Evidence) == rows


@pytest.mark.parametrize(
    ("content", "media_type"), [(PDF, "application/pdf"), (PNG, "image/png"), (JPEG, "image/jpeg")]
)
def test_evidence_comes_back_as_it_was(edge: Edge, content: bytes, media_type: str) -> None:
    who = elsewhere(CITIZEN, subject=f"citizen-{media_type}")
    content += bytes(range(256)) * 3000
    sent = edge.upload("UploadEvidence", content, media_type, by=who, piece=100_000)
    assert sent.size == len(content)
    pieces = edge.ask("DownloadEvidence", by=who, evidence_id=sent.evidence_id)
    assert {piece.content_type for piece in pieces} == {media_type}
    assert b"".join(piece.data for piece in pieces) == content
    assert len(pieces) > 1


def test_evidence_of_the_largest_size_is_taken_and_one_byte_more_is_not(edge: Edge) -> None:
    who = elsewhere(CITIZEN, subject="citizen-large")
    largest = PDF + bytes(evidence.MAX_FILE - len(PDF))
    assert edge.upload("UploadEvidence", largest, by=who).size == evidence.MAX_FILE
    for piece in (1_000_000, 4_000_000):
        with pytest.raises(Refused, match="FILE_TOO_LARGE"):
            edge.upload("UploadEvidence", largest + b"\0", by=who, piece=piece)
    # And much more of it is not waited for.
    with pytest.raises(Refused, match="FILE_TOO_LARGE"):
        edge.upload("UploadEvidence", largest * 3, by=who)


def test_evidence_that_is_sent_again_is_the_same_file(each_edge: Edge) -> None:
    who = elsewhere(CITIZEN, subject="citizen-again")
    request_id = str(uuid.uuid4())
    first = each_edge.upload("UploadEvidence", by=who, request_id=request_id)
    assert each_edge.upload("UploadEvidence", by=who, request_id=request_id, piece=50) == first
    assert each_edge.rows(Evidence, Evidence.owner == who.subject) == 1
    with pytest.raises(Refused, match="REQUEST_ID_REUSED"):
        each_edge.upload("UploadEvidence", PNG, "image/png", by=who, request_id=request_id)


def test_a_quarantine_of_many_pages_has_one_heading(each_edge: Edge) -> None:
    count = 1201
    wrong = [{"CF_JDRQ": "2024-02-30", "CF_WSH": f"漳市监罚〔2024〕{number}号"} for number in range(count)]
    taken = each_edge.taken(penalties(*wrong))
    assert taken.rows_quarantined == count
    pieces = each_edge.ask("DownloadQuarantine", by=CLERK, import_id=taken.import_id)
    assert len(pieces) == 3
    content = b"".join(piece.data for piece in pieces).decode("utf-8-sig")
    assert "\ufeff" not in content
    heading, *rows = csv.reader(io.StringIO(content))
    assert len(rows) == count
    assert heading not in rows
    numbers = [row[heading.index("CF_WSH")] for row in rows]
    assert numbers == [each["CF_WSH"] for each in wrong]
    for each in pieces:
        assert each.content_type == "text/csv; charset=utf-8"


def test_a_quarantine_without_rows_is_empty(edge: Edge) -> None:
    taken = edge.taken(penalties({"CF_XDR_SHXYM": firm(), "CF_XDR_LB": "法人及非法人组织"}))
    assert edge.ask("DownloadQuarantine", by=CLERK, import_id=taken.import_id) == []


def test_what_a_spreadsheet_would_run_is_defused(edge: Edge) -> None:
    taken = edge.taken(penalties({"CF_JDRQ": "2024-02-30", "CF_SY": "=HYPERLINK(1)", "BZ": "+1", "CF_NR": "@x"}))
    [piece] = edge.ask("DownloadQuarantine", by=CLERK, import_id=taken.import_id)
    for cell in next(csv.DictReader(io.StringIO(piece.data.decode("utf-8-sig")))).values():
        assert cell[:1] not in "=+-@\t\r" or not cell


def test_a_row_is_corrected_once_and_a_dropped_one_never(each_edge: Edge) -> None:
    wrong = {"CF_JDRQ": "2024-02-30", "CF_XDR_LB": "法人及非法人组织"}
    content = penalties(*(wrong | {"CF_XDR_SHXYM": firm()} for _ in range(3)))
    import_id = each_edge.taken(content).import_id
    right = {"import_id": import_id, "cells": {"CF_JDRQ": "2024-02-29"}}
    corrected = each_edge.request("CorrectRow", row=2, **right)
    first = each_edge.send("CorrectRow", corrected, by=CLERK)
    assert each_edge.send("CorrectRow", corrected, by=CLERK) == first
    keys = IdempotencyRecord.request_id
    assert each_edge.rows(IdempotencyRecord, keys == corrected.request_id) == 1  # type: ignore[attr-defined]
    each_edge.ask("DropRow", by=CLERK, import_id=import_id, row=3)
    each_edge.ask("DropRow", by=CLERK, import_id=import_id, row=3)
    assert each_edge.refused("CorrectRow", by=CLERK, row=3, **right).reason == "ROW_SETTLED"
    assert each_edge.refused("DropRow", by=CLERK, import_id=import_id, row=2).reason == "ROW_SETTLED"
    rerun = each_edge.ask("RerunQuarantine", by=CLERK, import_id=import_id)
    assert (rerun.taken, rerun.still_wrong, rerun.last) == (0, 1, 4)
    assert [row.row for row in each_edge.ask("ListQuarantinedRows", by=CLERK, import_id=import_id).rows] == [4]


def test_an_import_that_waits_is_cancelled_and_stays_so(each_edge: Edge) -> None:
    sent = each_edge.upload("UploadImport", penalties({}), "text/csv", by=OFFICE, filename="一.csv").operation
    import_id = sent.name.removeprefix("imports/")
    assert not sent.done
    cancelled = each_edge.ask("CancelImport", by=OFFICE, import_id=import_id).operation
    assert (cancelled.done, cancelled.error.code) == (True, grpc.StatusCode.CANCELLED.value[0])
    assert each_edge.ask("CancelImport", by=OFFICE, import_id=import_id).operation == cancelled
