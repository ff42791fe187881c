"""What a file says it is must be what is found in it."""

import pytest

from tulou_chassis.files import FileTypeRefused, check_content, check_filename
from tulou_chassis.violations import InvalidFields

PDF = b"%PDF-1.7\n" + bytes(64)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (PDF, "application/pdf", "application/pdf"),
        (PDF, " Application/PDF ; charset=binary", "application/pdf"),
        (PNG, "image/png", "image/png"),
        ("名称,代码\n".encode(), "text/csv; charset=utf-8", "text/csv"),
        (b"\xef\xbb\xbfplain", "text/plain", "text/plain"),
    ],
)
def test_a_type_that_the_content_bears_out_is_taken(content: bytes, declared: str, found: str) -> None:
    assert check_content(content, declared=declared) == found


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (PNG, "application/pdf"),
        (PDF, "text/plain"),
        (b"%PD", "application/pdf"),
        (b"", "text/plain"),
        (b"<script>", "text/plain"),
        (b"\xef\xbb\xbf  <html>", "text/plain"),
        (b"a\0b", "text/plain"),
        ("名称".encode("gbk"), "text/plain"),
        (b"text", "application/json"),
    ],
)
def test_a_type_that_the_content_belies_is_refused(content: bytes, declared: str) -> None:
    with pytest.raises(FileTypeRefused):
        check_content(content, declared=declared)


@pytest.mark.parametrize("filename", ["../a.pdf", "a/b.pdf", "a\\b.pdf"])
def test_a_name_with_a_path_is_refused(filename: str) -> None:
    check_filename("a.pdf")
    with pytest.raises(InvalidFields):
        check_filename(filename)
