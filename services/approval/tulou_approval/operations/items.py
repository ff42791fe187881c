"""The catalogue: items from draft to retirement, version after version."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from tulou_approval.models import Department, ItemVersion
from tulou_approval.queries import ItemNotFound, administers
from tulou_chassis.etags import check_etag
from tulou_chassis.events import emit
from tulou_chassis.principals import Principal
from tulou_chassis.schemas import SchemaInvalid, check_schema
from tulou_chassis.violations import InvalidFields, Violation
from tulou_civics import divisions


class ItemExists(Exception):
    """The item's code is taken."""

    def __init__(self, item_code: str) -> None:
        super().__init__(item_code)
        self.item_code = item_code


class ItemStateForbids(Exception):
    """The item has no version in the state the call is for, or one already in the state it would make."""

    def __init__(self, item_code: str, state: str) -> None:
        super().__init__(item_code, state)
        self.item_code = item_code
        self.state = state


class NotCompetentForItem(Exception):
    """The caller does not maintain the catalogue of the item's region."""

    def __init__(self, region_code: str) -> None:
        super().__init__(region_code)
        self.region_code = region_code


@dataclass(frozen=True, kw_only=True)
class ItemEvent:
    """Something that happened to an item: the event's name in events.proto."""

    name: str
    item: ItemVersion


def create_item(session: Session, *, principal: Principal, content: Mapping[str, Any]) -> ItemVersion:
    """Makes the first draft of an item from the proto's JSON with snake_case names.

    Raises ItemExists, NotCompetentForItem, InvalidFields.
    """
    code = content["code"]
    if session.exec(select(ItemVersion.code).where(ItemVersion.code == code).limit(1)).first():
        raise ItemExists(code)
    item = ItemVersion(code=code, version=1, state="DRAFT", **_columns(session, principal, content))
    session.add(item)
    try:
        session.flush()
    except IntegrityError:
        # Someone else took the code since it was looked up.
        raise ItemExists(code) from None
    return item


def draft_item(session: Session, *, principal: Principal, code: str) -> ItemVersion:
    """Makes a draft of the next version from the published one. Raises ItemNotFound, ItemStateForbids."""
    published = _version(session, principal, code, "PUBLISHED")
    if session.exec(select(ItemVersion.code).where(ItemVersion.code == code, ItemVersion.state == "DRAFT")).first():
        raise ItemStateForbids(code, "DRAFT")
    newest = session.exec(select(func.max(ItemVersion.version)).where(ItemVersion.code == code)).one()
    columns = published.model_dump(exclude={"version", "state", "published_at", "retired_at", "revision"})
    item = ItemVersion(version=newest + 1, state="DRAFT", **columns)
    session.add(item)
    return item


def update_item(
    session: Session, *, principal: Principal, code: str, etag: str, content: Mapping[str, Any]
) -> ItemVersion:
    """Takes the whole new content of the draft.

    Raises ItemNotFound, ItemStateForbids, StaleEtag, NotCompetentForItem, InvalidFields.
    """
    item = _version(session, principal, code, "DRAFT")
    check_etag(etag, version=item.revision)
    for name, value in _columns(session, principal, content).items():
        setattr(item, name, value)
    session.add(item)
    return item


def publish_item(session: Session, *, principal: Principal, code: str, etag: str, now: datetime) -> ItemVersion:
    """Publishes the draft and retires the version before. Raises ItemNotFound, ItemStateForbids, StaleEtag."""
    item = _version(session, principal, code, "DRAFT")
    check_etag(etag, version=item.revision)
    before = session.exec(select(ItemVersion).where(ItemVersion.code == code, ItemVersion.state == "PUBLISHED")).first()
    if before is not None:
        before.state, before.retired_at = "RETIRED", now
        session.add(before)
        # The index allows one published version, so the old one must be out first.
        session.flush()
    item.state, item.published_at = "PUBLISHED", now
    session.add(item)
    emit(session, ItemEvent(name="ItemPublished", item=item))
    return item


def retire_item(session: Session, *, principal: Principal, code: str, etag: str, now: datetime) -> ItemVersion:
    """Takes the published version out of force; running cases go on.

    Raises ItemNotFound, ItemStateForbids, StaleEtag.
    """
    item = _version(session, principal, code, "PUBLISHED")
    check_etag(etag, version=item.revision)
    item.state, item.retired_at = "RETIRED", now
    session.add(item)
    emit(session, ItemEvent(name="ItemRetired", item=item))
    return item


def draft_content(session: Session, *, principal: Principal, code: str) -> Mapping[str, Any]:
    """The draft's content, to be merged with what an update brings. Raises ItemNotFound, ItemStateForbids."""
    return _version(session, principal, code, "DRAFT").content


def seed(
    session: Session, *, departments: list[dict[str, Any]], items: list[dict[str, Any]], now: datetime
) -> tuple[int, int]:
    """Loads departments and items that are not there yet, items as published; gives how many of each were new."""
    known = set(session.exec(select(Department.code)).all())
    fresh = [Department(**each) for each in departments if each["code"] not in known]
    session.add_all(fresh)
    session.flush()
    codes = set(session.exec(select(ItemVersion.code)).all())
    new = [
        ItemVersion(code=each["code"], version=1, state="PUBLISHED", published_at=now, **_searchable(each))
        for each in items
        if each["code"] not in codes
    ]
    session.add_all(new)
    return len(fresh), len(new)


def _version(session: Session, principal: Principal, code: str, state: str) -> ItemVersion:
    versions = session.exec(
        select(ItemVersion).where(ItemVersion.code == code).order_by(col(ItemVersion.version).desc()).with_for_update()
    ).all()
    if not versions or not administers(principal, versions[0].region_code):
        raise ItemNotFound(code)
    for version in versions:
        if version.state == state:
            return version
    raise ItemStateForbids(code, versions[0].state)


def _columns(session: Session, principal: Principal, content: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an item's content. Raises InvalidFields, NotCompetentForItem."""
    violations = []
    if session.get(Department, content["department_code"]) is None:
        violations.append(Violation("item.department_code", "known", "没有此部门。", "No such department."))
    try:
        divisions.division(divisions.normalise(content["region_code"]))
    except divisions.UnknownDivision:
        violations.append(Violation("item.region_code", "known", "没有此区划代码。", "No such division."))
    if content.get("promised_days", 0) > content["statutory_days"]:
        violations.append(
            Violation("item.promised_days", "promise", "承诺时限不得超过法定时限。", "No more than statutory_days.")
        )
    if content.get("simplified_days", 0) > content.get("promised_days", 0):
        zh, en = "简化办理时限不得超过承诺时限。", "No more than promised_days."
        violations.append(Violation("item.simplified_days", "promise", zh, en))
    instant = content["handling"] == "HANDLING_INSTANT"
    if instant != (content.get("promised_days", 0) == 0):
        violations.append(
            Violation(
                "item.promised_days", "instant", "即办件为 0，承诺件至少 1。", "0 for an instant item, else at least 1."
            )
        )
    if instant and content.get("substantive_check"):
        # Two people have to review (行政许可法 art. 34), which nobody can do on the spot.
        zh, en = "需要实质核查的事项不能即办。", "An item with a check on the facts cannot be instant."
        violations.append(Violation("item.handling", "two_reviewers", zh, en))
    codes = [material["code"] for material in content.get("materials", ())]
    if len(codes) != len(set(codes)):
        violations.append(Violation("item.materials", "unique", "材料代码重复。", "Material codes repeat."))
    try:
        check_schema(content["form_schema"])
    except SchemaInvalid:
        violations.append(
            Violation("item.form_schema", "json_schema", "不是对象的 JSON Schema。", "Not a JSON Schema of an object.")
        )
    if violations:
        raise InvalidFields(violations)
    if not administers(principal, content["region_code"]):
        raise NotCompetentForItem(content["region_code"])
    return _searchable(content)


def _searchable(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": content["name"],
        "department_code": content["department_code"],
        "level": content["level"].removeprefix("LEVEL_"),
        "region_code": divisions.normalise(content["region_code"]),
        "subject_type": content["subject_type"].removeprefix("SUBJECT_TYPE_"),
        "instant": content["handling"] == "HANDLING_INSTANT",
        "promised_days": content.get("promised_days", 0),
        "statutory_days": content["statutory_days"],
        "content": dict(content),
    }
