"""Files that objections and requests for repair rest on."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from tulou_chassis.files import FileTooLarge, FileTypeRefused, check_filename
from tulou_chassis.principals import Principal
from tulou_credit.domain.privacy import masked_text
from tulou_credit.models import Evidence
from tulou_credit.proceedings_queries import EvidenceNotFound

MAX_FILE: Final = 10 * 1024 * 1024
# Of one proceeding, and as many that wait for one.
MAX_FILES: Final = 10
MEDIA_TYPES: Final = frozenset({"application/pdf", "image/jpeg", "image/png"})
_KEPT_UNUSED: Final = timedelta(days=1)


class TooManyFiles(Exception):
    """A proceeding has no more evidence, and no more waits for one of the same person."""

    def __init__(self, maximum: int) -> None:
        super().__init__(maximum)
        self.maximum = maximum


def add(
    session: Session,
    *,
    principal: Principal,
    filename: str,
    media_type: str,
    size: int,
    sha256: str,
    now: datetime,
) -> Evidence:
    """Writes down a file whose content is in the blob store and was found to be of its type.

    It waits a day for a proceeding of the caller's. Raises InvalidFields, FileTooLarge, FileTypeRefused, TooManyFiles.
    """
    check_filename(filename)
    if size > MAX_FILE:
        raise FileTooLarge(MAX_FILE)
    if media_type not in MEDIA_TYPES:
        raise FileTypeRefused(media_type)
    waiting = select(func.count()).where(
        Evidence.owner == principal.subject,
        col(Evidence.proceeding_id).is_(None),
        Evidence.created_at > now - _KEPT_UNUSED,
    )
    if session.exec(waiting).one() >= MAX_FILES:
        raise TooManyFiles(MAX_FILES)
    evidence = Evidence(
        id=str(uuid.uuid4()),
        owner=principal.subject,
        filename=masked_text(filename),
        media_type=media_type,
        size=size,
        sha256=sha256,
        created_at=now,
    )
    session.add(evidence)
    session.flush()
    return evidence


def use(session: Session, *, principal: Principal, evidence_ids: Collection[str], proceeding_id: str) -> None:
    """Gives files of the caller's that wait to a proceeding, for good. Raises EvidenceNotFound, TooManyFiles."""
    wanted = sorted(set(evidence_ids))
    if len(wanted) > MAX_FILES:
        raise TooManyFiles(MAX_FILES)
    for evidence_id in wanted:
        found = session.exec(select(Evidence).where(Evidence.id == evidence_id).with_for_update()).first()
        if found is None or found.owner != principal.subject or found.proceeding_id is not None:
            raise EvidenceNotFound(evidence_id)
        found.proceeding_id = proceeding_id
        session.add(found)
    session.flush()


def purge(session: Session, *, now: datetime, limit: int) -> int:
    """Forgets files that waited for a day and are used by nothing; gives how many, `limit` at most."""
    due = (
        select(Evidence.id)
        .where(col(Evidence.proceeding_id).is_(None), Evidence.created_at <= now - _KEPT_UNUSED)
        .order_by(col(Evidence.created_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.exec(due).all()
    session.execute(delete(Evidence).where(col(Evidence.id).in_(ids)))
    return len(ids)
