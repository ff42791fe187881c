"""Uploaded files: what they are is found in them, not believed."""

import filetype  # type: ignore[import-untyped]

from tulou_chassis.violations import InvalidFields, Violation


class FileTooLarge(Exception):
    """The file is larger than allowed."""

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.max_size = max_size


class FileTypeRefused(Exception):
    """The content is not what it was declared to be, or the type is not accepted."""

    def __init__(self, media_type: str) -> None:
        super().__init__(media_type)
        self.media_type = media_type


def check_content(content: bytes, *, declared: str) -> str:
    """The media type, if the content's own signature agrees. Raises FileTypeRefused.

    Types without a signature (plain text, CSV) must be UTF-8 text that is no markup.
    """
    media_type = declared.partition(";")[0].strip().lower()
    found = filetype.guess_mime(content)
    if found is None and media_type.startswith("text/") and _is_plain_text(content):
        return media_type
    if found != media_type:
        raise FileTypeRefused(media_type)
    return media_type


def _is_plain_text(content: bytes) -> bool:
    try:
        # A mark of the byte order must not hide what comes behind it.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    # What begins like a tag may be taken for a page.
    return text.strip() != "" and "\0" not in text and not text.lstrip().startswith("<")


def check_filename(filename: str) -> None:
    """Raises InvalidFields for a name that holds a path."""
    if "/" in filename or "\\" in filename:
        raise InvalidFields([Violation("filename", "no_path", "不得含路径。", "Without a path.")])
