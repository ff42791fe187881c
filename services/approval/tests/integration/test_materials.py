"""Files are what they say they are, no larger than allowed, handed in while they may be, and fetched as they were."""

import hashlib
import io
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
import pytest

from services.approval.tests.office import (
    CITIZEN,
    CLERK,
    ON_THE_SPOT,
    PDF,
    PNG,
    Office,
    Refused,
    elsewhere,
    item,
)
from tulou.approval.v1 import approval_service_pb2 as pb
from tulou.approval.v1 import case_pb2
from tulou_approval.operations import materials
from tulou_approval.operations.items import seed

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(64)
GIF = b"GIF89a" + bytes(64)
PICTURES = "SCJG-XK-9101"


def zipped() -> bytes:
    """A package, the same at every call: its bytes are part of a test's name, and a bare `ZipInfo` carries no time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("[Content_Types].xml"), "<Types/>")
    return buffer.getvalue()


def files(office: Office, case_id: str) -> list[case_pb2.MaterialFile]:
    return list(office.ask("ListMaterials", by=CITIZEN, case_id=case_id).files)


def fetched(office: Office, case_id: str, file_id: str) -> tuple[str, bytes]:
    pieces = list(office.stream("FetchMaterial", by=CLERK, case_id=case_id, file_id=file_id))
    return pieces[0].content_type, b"".join(piece.data for piece in pieces)


def test_a_file_is_kept_and_fetched_as_it_was(office: Office) -> None:
    content = PDF + bytes(range(256)) * 380
    draft = office.draft()
    kept = office.upload(draft.id, content=content, filename="平面图 1:100.pdf", piece=1_000)
    assert (kept.size, kept.media_type, kept.material_code) == (len(content), "application/pdf", "M01")
    assert kept.filename == "平面图 1:100.pdf"
    assert kept.sha256 == hashlib.sha256(content).hexdigest()
    assert not kept.superseded
    assert kept.upload_time.seconds > 0
    assert files(office, draft.id) == [kept]
    office.act("SubmitCase", office.case(draft.id, CITIZEN))
    assert fetched(office, draft.id, kept.id) == ("application/pdf", content)


def test_what_is_fetched_is_saved_and_not_shown(office: Office) -> None:
    draft = office.draft()
    kept = office.upload(draft.id, filename='a"b；名.pdf')
    call = office._callable("FetchMaterial")(
        pb.FetchMaterialRequest(case_id=draft.id, file_id=kept.id), metadata=office.metadata(CITIZEN)
    )
    headers = dict(call.initial_metadata())
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''a%22b%EF%BC%9B%E5%90%8D.pdf"
    assert headers["x-content-type-options"] == "nosniff"
    assert b"".join(piece.data for piece in call) == PDF


def test_a_later_file_takes_the_place_of_an_earlier_one(office: Office) -> None:
    draft = office.draft()
    first = office.upload(draft.id)
    second = office.upload(draft.id, content=PDF + b"again")
    assert [(file.id, file.superseded) for file in files(office, draft.id)] == [(first.id, True), (second.id, False)]
    assert len(list(office.stream("FetchMaterial", by=CITIZEN, case_id=draft.id, file_id=first.id))) == 1


def test_equal_files_are_kept_once(office: Office) -> None:
    content = PDF + uuid.uuid4().bytes
    for _ in range(2):
        office.upload(office.draft().id, content=content)
    sha256 = hashlib.sha256(content).hexdigest()
    found = [path for path in office.settings.blob_dir.rglob("*") if path.is_file() and path.name.endswith(sha256)]
    assert len(found) == 1
    assert not [path for path in office.settings.blob_dir.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("media_type", ["application/pdf", "APPLICATION/PDF", "application/pdf; charset=binary"])
def test_the_declared_type_may_be_written_in_several_ways(office: Office, media_type: str) -> None:
    assert office.upload(office.draft().id, media_type=media_type).media_type == "application/pdf"


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (PDF, "image/png"),
        (PDF, "image/jpeg"),
        (PNG, "application/pdf"),
        (JPEG, "image/png"),
        (b"MZ\x90\x00" + bytes(100), "application/pdf"),
        (b"\x7fELF" + bytes(100), "application/pdf"),
        (b"#!/bin/sh\nrm -rf /\n", "application/pdf"),
        (b"<html><script>alert(1)</script></html>", "application/pdf"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png"),
        (zipped(), "application/pdf"),
        (PDF[5:], "application/pdf"),
        (b" " + PNG, "image/png"),
        (b"", "application/pdf"),
        (PDF, ""),
        (PDF, "application/octet-stream"),
        (PDF, "*/*"),
        # What they are, and not what the item takes.
        (GIF, "image/gif"),
        (zipped(), "application/zip"),
        (b"plain words", "text/plain"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_a_disguised_file_is_refused(office: Office, content: bytes, declared: str) -> None:
    draft = office.draft()
    with pytest.raises(Refused) as refused:
        office.upload(draft.id, content=content, media_type=declared)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FILE_TYPE")
    assert refused.value.metadata == {"media_type": declared}
    assert files(office, draft.id) == []


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"  \n\t<!DOCTYPE html><script>",
        b"\xef\xbb\xbf<html><script>alert(1)</script>",
        b"\xef\xbb\xbf \n<svg onload=alert(1)>",
        b"<?xml version='1.0'?>",
        "<html>".encode("utf-16"),
        b"text with a \x00 in it",
        b"\xff\xfe\xfd not utf-8",
        b"",
        b" \n ",
        PDF,
        PNG,
    ],
    ids=lambda value: repr(value[:24]),
)
def test_only_plain_text_passes_for_text(office: Office, content: bytes) -> None:
    with pytest.raises(Refused, match="FILE_TYPE"):
        office.upload(office.draft().id, "M02", content, "text/plain")


@pytest.mark.parametrize("content", [b"plain words", "中文说明，5 < 6\n".encode(), b"\xef\xbb\xbfwith a mark"])
def test_plain_text_passes_where_the_item_takes_it(office: Office, content: bytes) -> None:
    kept = office.upload(office.draft().id, "M02", content, "text/plain; charset=utf-8")
    assert (kept.media_type, kept.size) == ("text/plain", len(content))


def test_a_file_larger_than_the_material_allows_is_refused(office: Office) -> None:
    draft = office.draft()
    head = b"%PDF-1.4\n"
    assert office.upload(draft.id, content=head + bytes(100_000 - len(head))).size == 100_000
    for piece in (1_000_000, 30_000):
        with pytest.raises(Refused) as refused:
            office.upload(draft.id, content=head + bytes(100_001 - len(head)), piece=piece)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FILE_TOO_LARGE")
        assert refused.value.metadata == {"max_size": "100000"}
    assert len(files(office, draft.id)) == 1


def test_a_file_larger_than_the_service_allows_is_refused_while_it_comes(office: Office) -> None:
    own = item(PICTURES, materials=[{"code": "M01", "name": "图", "necessity": "NECESSITY_REQUIRED"}])
    office.database.write(lambda session: seed(session, departments=[], items=[own], now=datetime.now(UTC)))
    draft = office.draft(item_code=PICTURES)
    with pytest.raises(Refused) as refused:
        office.upload(draft.id, content=PDF + bytes(materials.MAX_FILE), piece=3_000_000)
    assert refused.value.metadata == {"max_size": str(20 * 1024 * 1024)}
    whole = PDF + bytes(materials.MAX_FILE - len(PDF))
    assert office.upload(draft.id, content=whole, piece=3_000_000).size == materials.MAX_FILE


def test_a_material_that_the_item_does_not_ask_for_is_refused(office: Office) -> None:
    for code in ("M99", "m01", "M1"):
        with pytest.raises(Refused) as refused:
            office.upload(office.draft().id, code)
        assert refused.value.fields == {"material_code": "of_item"}


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "a/b.pdf", "C:\\a.pdf", "a\x00.pdf", "a\n.pdf\x1b", "", "名" * 201]
)
def test_a_name_is_a_name(office: Office, filename: str) -> None:
    with pytest.raises(Refused) as refused:
        office.upload(office.draft().id, filename=filename)
    assert list(refused.value.fields) == ["filename"]


def test_an_upload_without_a_word_is_refused(office: Office) -> None:
    call = office._callable("UploadMaterial")
    with pytest.raises(grpc.RpcError) as refused:
        call(iter([]), metadata=office.metadata(CITIZEN), timeout=10)
    fields = Refused(refused.value).fields
    assert set(fields) == {"case_id", "material_code", "request_id", "filename"}


def test_files_are_taken_while_the_applicant_may_change_the_case(office: Office) -> None:
    for state in ("SUBMITTED", "PRE_REVIEW", "ACCEPTED", "GRANTED", "WITHDRAWN"):
        case = office.in_state(state)
        with pytest.raises(Refused, match="ACTION_NOT_ALLOWED"):
            office.upload(case.id)
    case = office.in_state("NEED_SUPPLEMENT")
    office.upload(case.id, content=PDF + b"better")
    assert [file.superseded for file in files(office, case.id)] == [True, False]


def test_one_case_holds_a_bounded_number_of_files(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materials, "MAX_FILES", 2)
    draft = office.draft()
    first = [office.upload(draft.id, request_id=str(uuid.uuid4())) for _ in range(2)]
    with pytest.raises(Refused) as refused:
        office.upload(draft.id)
    assert (refused.value.reason, refused.value.metadata) == ("TOO_MANY_FILES", {"maximum": "2"})
    assert len(files(office, draft.id)) == len(first)


def test_files_that_come_at_once_are_all_kept(office: Office) -> None:
    draft = office.draft()
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda n: office.upload(draft.id, content=PDF + b"%d" % n), range(8)))
    assert len({file.id for file in kept}) == 8
    held = files(office, draft.id)
    assert sum(not file.superseded for file in held) == 1
    history = office.ask("ListCaseHistory", by=CITIZEN, case_id=draft.id).entries
    assert [entry.sequence for entry in history] == list(range(1, 10))


def test_a_replayed_upload_gets_its_first_answer(office: Office) -> None:
    draft, request_id = office.draft(), str(uuid.uuid4())
    first = office.upload(draft.id, request_id=request_id)
    assert office.upload(draft.id, request_id=request_id, piece=100) == first
    assert len(files(office, draft.id)) == 1
    office.act("SubmitCase", office.case(draft.id, CITIZEN))
    assert office.upload(draft.id, request_id=request_id) == first
    for changes in ({"content": PDF + b"x"}, {"filename": "b.pdf"}):
        with pytest.raises(Refused) as refused:
            office.upload(draft.id, request_id=request_id, **changes)  # type: ignore[arg-type]
        assert refused.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(Refused, match="CASE_NOT_FOUND"):
        office.upload(draft.id, request_id=request_id, by=elsewhere(CITIZEN, subject="citizen-2"))


def test_uploads_of_one_id_at_once_keep_one_file(office: Office) -> None:
    draft, request_id = office.draft(), str(uuid.uuid4())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: office.upload(draft.id, request_id=request_id), range(8)))
    assert len({answer.id for answer in answers}) == 1
    assert len(files(office, draft.id)) == 1


def test_a_file_of_another_case_is_not_fetched(office: Office) -> None:
    mine, other = office.draft(), office.draft()
    file = office.upload(other.id)
    for case_id, file_id in ((mine.id, file.id), (mine.id, str(uuid.uuid4()))):
        with pytest.raises(Refused) as refused:
            list(office.stream("FetchMaterial", by=CITIZEN, case_id=case_id, file_id=file_id))
        assert (refused.value.reason, refused.value.metadata) == ("MATERIAL_NOT_FOUND", {"file_id": file_id})


def test_content_that_was_lost_is_said_to_be(office: Office) -> None:
    case = office.submitted(item_code=ON_THE_SPOT)
    assert files(office, case.id) == []
    draft = office.draft()
    file = office.upload(draft.id, content=PDF + uuid.uuid4().bytes)
    [path] = [path for path in office.settings.blob_dir.rglob("*") if path.name == file.sha256]
    path.unlink()
    with pytest.raises(Refused) as refused:
        list(office.stream("FetchMaterial", by=CITIZEN, case_id=draft.id, file_id=file.id))
    assert refused.value.code is grpc.StatusCode.DATA_LOSS
