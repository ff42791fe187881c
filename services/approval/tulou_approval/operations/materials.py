"""Uploaded files: bounded, checked against what they are declared to be, kept under their SHA-256."""

import uuid
from datetime import datetime
from typing import Any, Final

import filetype  # type: ignore[import-untyped]
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from tulou_approval.domain.states import Action, State, next_state
from tulou_approval.models import Case, MaterialFile
from tulou_approval.operations.acts import Desk, item_of, record
from tulou_approval.queries import get_case, own_cases
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation

MAX_FILE: Final = 20 * 1024 * 1024
MAX_FILES: Final = 200
DEFAULT_TYPES: Final = ("application/pdf", "image/jpeg", "image/png")
# Its name in the history.
UPLOAD_ACTION: Final = "UPLOAD"


class FileTooLarge(Exception):
    """The file is larger than the item or the service allows."""

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.max_size = max_size


class FileTypeRefused(Exception):
    """The content is not what it was declared to be, or the item does not accept the type."""

    def __init__(self, media_type: str) -> None:
        super().__init__(media_type)
        self.media_type = media_type


class TooManyFiles(Exception):
    """The case holds as many files as one case may."""

    def __init__(self, maximum: int) -> None:
        super().__init__(maximum)
        self.maximum = maximum


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


def check_upload(session: Session, *, principal: Principal, case_id: str, material_code: str) -> int:
    """Whether a file may be uploaded now, asked before its content is read; gives the largest size in bytes.

    Raises CaseNotFound, ActionNotAllowed, InvalidFields for a material the item does not ask for, TooManyFiles.
    """
    case = get_case(session, among=own_cases(principal), case_id=case_id)
    return _check_upload(session, case, material_code)


def _check_upload(session: Session, case: Case, material_code: str) -> int:
    rule = _rule(session, case, material_code)
    next_state(State(case.state), Action.UPDATE, instant=case.instant, extended=case.extended)
    count = session.exec(select(func.count()).where(MaterialFile.case_id == case.id)).one()
    if count >= MAX_FILES:
        raise TooManyFiles(MAX_FILES)
    return int(rule.get("max_size") or MAX_FILE)


def add_material(
    session: Session,
    *,
    desk: Desk,
    principal: Principal,
    case_id: str,
    material_code: str,
    filename: str,
    media_type: str,
    size: int,
    sha256: str,
    now: datetime,
) -> MaterialFile:
    """Writes down a file whose content is in the blob store; it supersedes the material's file before.

    Raises what `check_upload` raises, FileTooLarge, FileTypeRefused.
    """
    case = get_case(session, among=own_cases(principal), case_id=case_id, for_update=True)
    largest = _check_upload(session, case, material_code)
    if size > largest:
        raise FileTooLarge(largest)
    if media_type not in (_rule(session, case, material_code).get("media_types") or DEFAULT_TYPES):
        raise FileTypeRefused(media_type)
    session.execute(
        update(MaterialFile)
        .where(col(MaterialFile.case_id) == case_id, col(MaterialFile.material_code) == material_code)
        .values(superseded=True)
    )
    file = MaterialFile(
        id=str(uuid.uuid4()),
        case_id=case_id,
        material_code=material_code,
        filename=filename,
        media_type=media_type,
        size=size,
        sha256=sha256,
        uploaded_at=now,
    )
    session.add(file)
    details = {"material_code": material_code, "sha256": sha256}
    record(session, desk=desk, principal=principal, case=case, action=UPLOAD_ACTION, now=now, details=details)
    case.updated_at = now
    session.add(case)
    return file


def _rule(session: Session, case: Case, material_code: str) -> dict[str, Any]:
    for rule in item_of(session, case).content.get("materials", ()):
        if rule["code"] == material_code:
            return dict(rule)
    raise InvalidFields(
        [Violation("material_code", "of_item", "该事项没有此材料。", "The item asks for no such material.")]
    )
