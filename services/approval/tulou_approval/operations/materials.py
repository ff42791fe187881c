"""Uploaded files: bounded, checked against what they are declared to be, kept under their SHA-256."""

import uuid
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from tulou_approval.domain.states import Action, State, next_state
from tulou_approval.models import Case, MaterialFile
from tulou_approval.operations.acts import Desk, item_of, record
from tulou_approval.queries import get_case, own_cases
from tulou_chassis.files import FileTooLarge, FileTypeRefused
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, Violation

MAX_FILE: Final = 20 * 1024 * 1024
MAX_FILES: Final = 200
DEFAULT_TYPES: Final = ("application/pdf", "image/jpeg", "image/png")
# Its name in the history.
UPLOAD_ACTION: Final = "UPLOAD"


class TooManyFiles(Exception):
    """The case holds as many files as one case may."""

    def __init__(self, maximum: int) -> None:
        super().__init__(maximum)
        self.maximum = maximum


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
