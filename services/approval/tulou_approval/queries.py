"""What the approval service reads. Who sees which rows is decided here: applicants theirs, staff their department's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, false, func, or_, tuple_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from tulou_approval.domain.states import TERMINAL
from tulou_approval.models import (
    Case,
    CaseDocument,
    Department,
    ItemVersion,
    MaterialFile,
    Notice,
    PublishedGrant,
)
from tulou_chassis.tables import HistoryRecord
from tulou_chassis.tokens import Principal
from tulou_civics.divisions import UnknownDivision, covers, current_code

APPLICANTS = frozenset({"citizen", "enterprise"})
HANDLERS = frozenset({"clerk", "approver"})
OVERSEERS = frozenset({"supervisor", "auditor"})


class CaseNotFound(Exception):
    """No such case, or not one the caller may see."""

    def __init__(self, case_id: str) -> None:
        super().__init__(case_id)
        self.case_id = case_id


class ItemNotFound(Exception):
    """No such item or version, or not one the caller may see."""

    def __init__(self, item_code: str) -> None:
        super().__init__(item_code)
        self.item_code = item_code


class MaterialNotFound(Exception):
    """No such file on the case."""

    def __init__(self, file_id: str) -> None:
        super().__init__(file_id)
        self.file_id = file_id


@dataclass(frozen=True, kw_only=True)
class CaseFilter:
    """Which cases to list; what is empty does not filter."""

    state: str = ""
    item_code: str = ""
    region_code: str = ""
    number: str = ""
    due_before: date | None = None
    open_only: bool = False


def own_cases(principal: Principal) -> ColumnElement[bool]:
    """The rows of `Case` the caller may act on as their applicant."""
    if not principal.roles & APPLICANTS:
        return false()
    return col(Case.owner) == principal.subject


def handled_cases(principal: Principal) -> ColumnElement[bool]:
    """The rows the caller may act on as staff: their department's, in their region. Who holds an applicant's role or
    one of oversight too does not gain by it."""
    if not (principal.roles & HANDLERS and principal.organisation):
        return false()
    return and_(_handed_in(principal.region), col(Case.department_code) == principal.organisation)


def visible_cases(principal: Principal) -> ColumnElement[bool]:
    """The rows the caller may see: those to act on, and in oversight all of the region."""
    overseen = _handed_in(principal.region) if principal.roles & OVERSEERS else false()
    return or_(own_cases(principal), handled_cases(principal), overseen)


def _handed_in(region: str) -> ColumnElement[bool]:
    # What was never handed in, a withdrawn draft too, is its owner's alone.
    return and_(col(Case.submitted_at).is_not(None), within(col(Case.region_code), region))


def within(column: SQLColumnExpression[str], region: str) -> ColumnElement[bool]:
    """Whether a division code lies in a region: the codes of what lies below begin with its own.

    Former codes count as today's; in what is no division code lies nothing.
    """
    try:
        return column.startswith(current_code(region), autoescape=True)
    except UnknownDivision:
        return false()


def get_case(session: Session, *, among: ColumnElement[bool], case_id: str, for_update: bool = False) -> Case:
    """The case, if it is among those rows. Raises CaseNotFound.

    `for_update` keeps others from writing it until the transaction ends, so that acts happen one after the other.
    """
    query = select(Case).where(Case.id == case_id, among)
    case = session.exec(query.with_for_update() if for_update else query).first()
    if case is None:
        raise CaseNotFound(case_id)
    return case


def list_cases(
    session: Session,
    *,
    principal: Principal,
    filter: CaseFilter,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Case]:
    """Newest first, behind `after` (creation time and id of the last one seen), without forms."""
    query = select(Case).where(visible_cases(principal)).options(defer(Case.form, raiseload=True))  # type: ignore[arg-type]
    if filter.state:
        query = query.where(Case.state == filter.state)
    if filter.item_code:
        query = query.where(Case.item_code == filter.item_code)
    if filter.region_code:
        query = query.where(within(col(Case.region_code), filter.region_code))
    if filter.number:
        query = query.where(Case.number == filter.number)
    if filter.due_before:
        query = query.where(col(Case.next_due) <= filter.due_before)
    if filter.open_only:
        query = query.where(col(Case.state).not_in([state.value for state in TERMINAL]))
    if after:
        query = query.where(tuple_(col(Case.created_at), col(Case.id)) < tuple_(*after))
    return session.exec(query.order_by(col(Case.created_at).desc(), col(Case.id).desc()).limit(limit)).all()


def list_history(session: Session, *, case_id: str, after: int, limit: int) -> Sequence[HistoryRecord]:
    """Entries of a case the caller was shown to see, behind the sequence number `after`."""
    return session.exec(
        select(HistoryRecord)
        .where(HistoryRecord.aggregate == case_id, HistoryRecord.sequence > after)
        .order_by(col(HistoryRecord.sequence))
        .limit(limit)
    ).all()


def list_documents(session: Session, *, case_id: str) -> Sequence[CaseDocument]:
    """Documents of a case, oldest first."""
    return session.exec(
        select(CaseDocument).where(CaseDocument.case_id == case_id).order_by(col(CaseDocument.id))
    ).all()


def list_materials(session: Session, *, case_id: str) -> Sequence[MaterialFile]:
    """Files of a case, oldest first."""
    return session.exec(
        select(MaterialFile)
        .where(MaterialFile.case_id == case_id)
        .order_by(col(MaterialFile.uploaded_at), col(MaterialFile.id))
    ).all()


def get_material(session: Session, *, case_id: str, file_id: str) -> MaterialFile:
    """One file of a case. Raises MaterialNotFound."""
    file = session.exec(select(MaterialFile).where(MaterialFile.id == file_id, MaterialFile.case_id == case_id)).first()
    if file is None:
        raise MaterialNotFound(file_id)
    return file


def list_notices(session: Session, *, owner: str, after: tuple[datetime, str] | None, limit: int) -> Sequence[Notice]:
    """Notices to one applicant, newest first."""
    query = select(Notice).where(Notice.owner == owner)
    if after:
        query = query.where(tuple_(col(Notice.time), col(Notice.id)) < tuple_(*after))
    return session.exec(query.order_by(col(Notice.time).desc(), col(Notice.id).desc()).limit(limit)).all()


def list_grants(
    session: Session, *, item_code: str, after: tuple[date, str] | None, limit: int
) -> Sequence[PublishedGrant]:
    """The public register, newest first."""
    query = select(PublishedGrant)
    if item_code:
        query = query.where(PublishedGrant.item_code == item_code)
    if after:
        query = query.where(tuple_(col(PublishedGrant.decision_date), col(PublishedGrant.case_number)) < tuple_(*after))
    order = (col(PublishedGrant.decision_date).desc(), col(PublishedGrant.case_number).desc())
    return session.exec(query.order_by(*order).limit(limit)).all()


def list_departments(session: Session) -> Sequence[tuple[Department, int]]:
    """All departments, each with the number of its published items."""
    return session.exec(
        select(Department, func.count(col(ItemVersion.code)))
        .outerjoin(
            ItemVersion,
            and_(col(ItemVersion.department_code) == Department.code, col(ItemVersion.state) == "PUBLISHED"),
        )
        .group_by(col(Department.code))
        .order_by(col(Department.code))
    ).all()


@dataclass(frozen=True, kw_only=True)
class ItemFilter:
    """Which items to list; what is empty does not filter."""

    department_code: str = ""
    region_code: str = ""
    subject_type: str = ""
    level: str = ""
    query: str = ""


def list_items(session: Session, *, filter: ItemFilter, after: str, limit: int) -> Sequence[ItemVersion]:
    """Published items behind the code `after`."""
    query = select(ItemVersion).where(ItemVersion.state == "PUBLISHED", ItemVersion.code > after)
    if filter.department_code:
        query = query.where(ItemVersion.department_code == filter.department_code)
    if filter.region_code:
        query = query.where(_offered_in(filter.region_code))
    if filter.subject_type:
        query = query.where(col(ItemVersion.subject_type).in_([filter.subject_type, "ANY"]))
    if filter.level:
        query = query.where(ItemVersion.level == filter.level)
    if filter.query:
        query = query.where(col(ItemVersion.name).contains(filter.query, autoescape=True))
    return session.exec(query.order_by(col(ItemVersion.code)).limit(limit)).all()


def _offered_in(region: str) -> ColumnElement[bool]:
    """Whether the item's region is the division itself or one above it."""
    try:
        code = current_code(region)
    except UnknownDivision:
        return false()
    return col(ItemVersion.region_code).in_([code[:length] for length in (4, 6, 9, 12) if length <= len(code)])


def get_item(session: Session, *, principal: Principal | None, code: str, version: int) -> ItemVersion:
    """The published version, or the one asked for; a draft only to admins of its region. Raises ItemNotFound."""
    query = select(ItemVersion).where(ItemVersion.code == code)
    query = query.where(ItemVersion.version == version if version else ItemVersion.state == "PUBLISHED")
    item = session.exec(query).first()
    if item is None or (item.state == "DRAFT" and not administers(principal, item.region_code)):
        raise ItemNotFound(code)
    return item


def administers(principal: Principal | None, region_code: str) -> bool:
    """Whether the caller maintains the catalogue of the region."""
    return principal is not None and "admin" in principal.roles and covers(principal.region, region_code)


def list_item_versions(session: Session, *, principal: Principal, code: str) -> Sequence[ItemVersion]:
    """All versions of an item, newest first; a draft only to admins of its region. Raises ItemNotFound."""
    query = select(ItemVersion).where(ItemVersion.code == code).order_by(col(ItemVersion.version).desc()).limit(100)
    versions = [
        item for item in session.exec(query).all() if item.state != "DRAFT" or administers(principal, item.region_code)
    ]
    if not versions:
        raise ItemNotFound(code)
    return versions
