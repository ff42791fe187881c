"""What the approval service reads. Who sees which rows is decided here: applicants theirs, staff their department's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Final

from sqlalchemy import ColumnElement, Integer, String, and_, bindparam, false, func, or_, tuple_
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

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
from tulou_chassis.hot import Hot
from tulou_chassis.principals import Principal
from tulou_chassis.tables import HistoryRecord, UtcDateTime
from tulou_civics.divisions import UnknownDivision, covers, current_code

_CASES: Final = Case.__table__  # type: ignore[attr-defined]
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
    handling: str = ""
    due_before: date | None = None
    open_only: bool = False


@dataclass(frozen=True)
class Sight:
    """Which of the rules let a caller have rows of `Case`."""

    own: bool = False
    handled: bool = False
    overseen: bool = False


@dataclass(frozen=True)
class Among:
    """Some rows of `Case`: the rules for them, and the values that the rules compare with."""

    sight: Sight
    values: Mapping[str, str]


def own_cases(principal: Principal) -> Among:
    """The rows the caller may act on as their applicant."""
    return Among(Sight(own=_sight(principal).own), _values(principal))


def handled_cases(principal: Principal) -> Among:
    """The rows the caller may act on as staff: their department's, in their region. Who holds an applicant's role or
    one of oversight too does not gain by it."""
    return Among(Sight(handled=_sight(principal).handled), _values(principal))


@lru_cache(maxsize=1024)
def visible_cases(principal: Principal) -> Among:
    """The rows the caller may see: those to act on, and in oversight all of the region."""
    return Among(_sight(principal), _values(principal))


def _sight(principal: Principal) -> Sight:
    here = bool(_prefix(principal.region))
    return Sight(
        own=bool(principal.roles & APPLICANTS),
        handled=here and bool(principal.roles & HANDLERS and principal.organisation),
        overseen=here and bool(principal.roles & OVERSEERS),
    )


def _values(principal: Principal) -> dict[str, str]:
    return {
        "caller": principal.subject,
        "caller_organisation": principal.organisation,
        "caller_region": _prefix(principal.region),
    }


def _prefix(region: str) -> str:
    """What the codes of all that lies in a region match: they begin with its own. Empty when it is no division code;
    former codes count as today's."""
    try:
        return f"{current_code(region)}%"
    except UnknownDivision:
        return ""


# Expressions and statements are built once for each sight: to build one takes as long as to run it.
@cache
def _rule(sight: Sight) -> ColumnElement[bool]:
    # What was never handed in, a withdrawn draft too, is its owner's alone.
    columns = _CASES.c
    handed_in = and_(columns.submitted_at.is_not(None), columns.region_code.like(bindparam("caller_region")))
    handled = and_(handed_in, columns.department_code == bindparam("caller_organisation"))
    own = columns.owner == bindparam("caller")
    rules = ((sight.own, own), (sight.handled, handled), (sight.overseen, handed_in))
    return or_(false(), *(rule for applies, rule in rules if applies))


def get_case(session: Session, *, among: Among, case_id: str, for_update: bool = False) -> Case:
    """The case, if it is among those rows. Raises CaseNotFound.

    `for_update` keeps others from writing it until the transaction ends, so that acts happen one after the other.
    """
    statement = _one_case(among.sight, for_update)
    case = session.exec(statement, params={"case_id": case_id, **among.values}).first()
    if case is None:
        raise CaseNotFound(case_id)
    return case


@cache
def _one_case(sight: Sight, for_update: bool) -> SelectOfScalar[Case]:
    query = select(Case).where(col(Case.id) == bindparam("case_id"), _rule(sight))
    return query.with_for_update() if for_update else query


# What is shown of a case; what is sealed and what only the clock needs stays in the database.
_HIDDEN: Final = {
    *("identity_sealed", "phone_sealed", "identity_tail_index", "promised_days", "statutory_days", "next_due"),
    *("calendar_version", "reviewers", "history_sequence", "history_hash"),
}
_SHOWN: Final = tuple(column for column in _CASES.c if column.name not in _HIDDEN)


def show_case(session: Session, *, principal: Principal, case_id: str) -> Case:
    """What is shown of a case: a row to read, with those fields of `Case`. Raises CaseNotFound."""
    among = visible_cases(principal)
    found: list[Case] = _shown_case(among.sight).run(session, {"case_id": case_id, **among.values})
    if not found:
        raise CaseNotFound(case_id)
    return found[0]


@cache
def _shown_case(sight: Sight) -> Hot:
    return Hot(select_columns(*_SHOWN).where(_CASES.c.id == bindparam("case_id"), _rule(sight)))


def list_cases(
    session: Session,
    *,
    principal: Principal,
    filter: CaseFilter,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Case]:
    """What is shown of cases, without forms: rows to read. Newest first, behind `after` (creation time and id)."""
    among = visible_cases(principal)
    given = {name: value for name, value in vars(filter).items() if value}
    if filter.region_code:
        given["region_code"] = _prefix(filter.region_code)
    if after:
        given["after_time"], given["after_id"] = after
    statement = _listed_cases(among.sight, frozenset(given))
    cases: list[Case] = statement.run(session, {"limit": limit, **given, **among.values})
    return cases


@cache
def _listed_cases(sight: Sight, given: frozenset[str]) -> Hot:
    columns = _CASES.c
    filters = {
        "state": columns.state == bindparam("state"),
        "item_code": columns.item_code == bindparam("item_code"),
        "region_code": columns.region_code.like(bindparam("region_code")),
        "number": columns.number == bindparam("number"),
        "handling": columns.handling == bindparam("handling"),
        "due_before": columns.next_due <= bindparam("due_before"),
        "open_only": and_(*(columns.state != state.value for state in TERMINAL)),
        "after_time": tuple_(columns.created_at, columns.id)
        < tuple_(bindparam("after_time", type_=UtcDateTime), bindparam("after_id", type_=String)),
    }
    return Hot(
        select_columns(*(column for column in _SHOWN if column.name != "form"))
        .where(_rule(sight), *(rule for name, rule in filters.items() if name in given))
        .order_by(columns.created_at.desc(), columns.id.desc())
        .limit(bindparam("limit", type_=Integer))
    )


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
        query = query.where(col(ItemVersion.name).icontains(filter.query, autoescape=True))
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
