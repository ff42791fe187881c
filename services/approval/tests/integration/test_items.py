"""Items from draft to retirement; a case keeps the version it was filed under."""

import itertools
from typing import Any

import pytest
from sqlmodel import col, select

from services.approval.tests.office import (
    ADMIN,
    AUDITOR,
    CITIZEN,
    CLERK,
    FOOD,
    FORM,
    SUPERVISOR,
    Office,
    Refused,
    Who,
    elsewhere,
    item,
    state_of,
)
from tulou.approval.v1 import events_pb2, item_pb2
from tulou_chassis.events import envelope
from tulou_chassis.tables import OutboxEvent

_codes = itertools.count(5000)


def fresh() -> str:
    """A code that no other test has."""
    return f"SCJG-XK-{next(_codes)}"


def plain(code: str, **changes: Any) -> dict[str, Any]:
    """An item that a case can be filed under at once."""
    return item(code, materials=[], **changes)


def created(office: Office, code: str = "", **changes: Any) -> item_pb2.Item:
    return office.ask("CreateItem", by=ADMIN, item=plain(code or fresh(), **changes)).item


def published(office: Office, code: str = "", **changes: Any) -> item_pb2.Item:
    draft = created(office, code, **changes)
    return office.ask("PublishItem", by=ADMIN, code=draft.code, etag=draft.etag).item


def update(office: Office, draft: item_pb2.Item, mask: str, by: Who = ADMIN, **fields: Any) -> item_pb2.Item:
    return office.ask("UpdateItem", by=by, code=draft.code, etag=draft.etag, item=fields, update_mask=mask).item


def get(office: Office, code: str, by: Who | None = None, version: int = 0) -> item_pb2.Item:
    return office.ask("GetItem", by=by, code=code, version=version).item


def told(office: Office, code: str) -> list[tuple[str, int]]:
    """Type and version of each event about an item."""
    rows = office.database.read(
        lambda session: session.exec(
            select(OutboxEvent).where(OutboxEvent.subject == code).order_by(col(OutboxEvent.id))
        ).all()
    )
    found = []
    for row in rows:
        payload = getattr(events_pb2, row.type)()
        assert envelope(row, source="approval").data.Unpack(payload)
        found.append((row.type, payload.item_version))
    return found


def test_an_item_goes_from_draft_to_retirement(office: Office) -> None:
    draft = created(office)
    assert (draft.version, draft.state) == (1, item_pb2.ITEM_STATE_DRAFT)
    assert not draft.HasField("publish_time")
    live = office.ask("PublishItem", by=ADMIN, code=draft.code, etag=draft.etag).item
    assert live.state == item_pb2.ITEM_STATE_PUBLISHED
    assert live.publish_time.seconds > 0
    assert get(office, draft.code) == live
    retired = office.ask("RetireItem", by=ADMIN, code=draft.code, etag=live.etag).item
    assert retired.state == item_pb2.ITEM_STATE_RETIRED
    assert retired.retire_time.seconds > 0
    with pytest.raises(Refused) as refused:
        get(office, draft.code)
    assert (refused.value.reason, refused.value.metadata) == ("ITEM_NOT_FOUND", {"item_code": draft.code})
    assert get(office, draft.code, version=1).state == item_pb2.ITEM_STATE_RETIRED
    assert told(office, draft.code) == [("ItemPublished", 1), ("ItemRetired", 1)]


def test_an_item_comes_back_as_it_was_written(office: Office) -> None:
    code = fresh()
    fees = [{"name": "工本费", "amount_fen": "1000", "basis": "闽价费〔2020〕1号"}]
    written = item(code, fees=fees, conditions="条件", simplified_days=3)
    made = office.ask("CreateItem", by=ADMIN, item=written).item
    for field in ("name", "statutory_days", "promised_days", "simplified_days", "conditions", "department_code"):
        assert getattr(made, field) == written[field]
    assert made.fees[0].amount_fen == 1000
    assert made.materials[0].max_size == 100_000
    assert made.form_schema["properties"]["area"]["maximum"] == 5000
    assert made.results[0].licence_code == "016"


def test_an_update_takes_what_the_mask_names(office: Office) -> None:
    draft = created(office)
    changed = update(office, draft, "name,legalBasis", name="改过的名称", legal_basis=["新依据"], promised_days=1)
    assert changed.name == "改过的名称"
    assert list(changed.legal_basis) == ["新依据"]
    assert changed.promised_days == draft.promised_days
    assert changed.form_schema == draft.form_schema
    assert changed.etag != draft.etag
    emptied = update(office, changed, "conditions,materials", conditions="", materials=[])
    assert not emptied.materials
    instant = update(
        office, emptied, "handling,promisedDays,substantiveCheck", handling="HANDLING_INSTANT", promised_days=0
    )
    assert (instant.handling, instant.promised_days, instant.substantive_check) == (1, 0, False)


@pytest.mark.parametrize("mask", ["code", "version", "state", "etag", "publishTime", "name,state", "nothing", ""])
def test_what_cannot_be_changed_is_refused(office: Office, mask: str) -> None:
    with pytest.raises(Refused) as refused:
        update(office, created(office), mask, name="x")
    assert refused.value.fields in ({"update_mask": "known_paths"}, {"update_mask": "required"})


def test_a_stale_change_is_refused(office: Office) -> None:
    draft = created(office)
    current = update(office, draft, "name", name="第一次")
    for call in (
        lambda: update(office, draft, "name", name="第二次"),
        lambda: office.ask("PublishItem", by=ADMIN, code=draft.code, etag=draft.etag),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert (refused.value.reason, refused.value.metadata) == ("ETAG_STALE", {"etag": current.etag})


def test_a_case_keeps_the_version_it_was_filed_under(office: Office) -> None:
    live = published(office)
    draft_case = office.draft(item_code=live.code)
    running = office.submitted(item_code=live.code)
    draft = office.ask("DraftItem", by=ADMIN, code=live.code).item
    assert (draft.version, draft.state) == (2, item_pb2.ITEM_STATE_DRAFT)
    assert draft.name == live.name
    draft = update(
        office,
        draft,
        "name,promisedDays,formSchema,materials",
        **{
            "name": "第二版",
            "promised_days": 3,
            "form_schema": {"type": "object", "required": ["new"]},
            "materials": [{"code": "N1", "name": "新材料", "necessity": "NECESSITY_REQUIRED"}],
        },
    )
    assert get(office, live.code) == live
    second = office.ask("PublishItem", by=ADMIN, code=live.code, etag=draft.etag).item
    assert get(office, live.code) == second
    assert get(office, live.code, version=1).state == item_pb2.ITEM_STATE_RETIRED
    # What was filed before goes by what was in force then, whether it was handed in or not.
    assert state_of(office.act("SubmitCase", draft_case)) == "SUBMITTED"
    accepted = office.act("AcceptCase", running)
    assert (accepted.item_version, accepted.item_name) == (1, live.name)
    clocks = office.ask("ExplainClock", by=CLERK, case_id=running.id).clocks
    assert {clock.allowed_days for clock in clocks} == {5, 8, 20}
    newer = office.draft(item_code=live.code)
    assert (newer.item_version, newer.item_name) == (2, "第二版")
    with pytest.raises(Refused, match="MATERIALS_MISSING"):
        office.act("SubmitCase", newer)
    assert told(office, live.code) == [("ItemPublished", 1), ("ItemPublished", 2)]


def test_a_retired_items_cases_go_on_and_no_new_one_is_filed(office: Office) -> None:
    live = published(office)
    draft, running = office.draft(item_code=live.code), office.submitted(item_code=live.code)
    office.ask("RetireItem", by=ADMIN, code=live.code, etag=live.etag)
    with pytest.raises(Refused, match="ITEM_NOT_PUBLISHED"):
        office.draft(item_code=live.code)
    assert state_of(office.act("SubmitCase", draft)) == "SUBMITTED"
    assert state_of(office.act("AcceptCase", running)) == "ACCEPTED"


def test_each_state_allows_what_it_allows(office: Office) -> None:
    draft = created(office)
    with pytest.raises(Refused) as refused:
        office.ask("DraftItem", by=ADMIN, code=draft.code)
    assert (refused.value.reason, refused.value.metadata) == ("ITEM_STATE", {"item_code": draft.code, "state": "DRAFT"})
    with pytest.raises(Refused, match="ITEM_STATE"):
        office.ask("RetireItem", by=ADMIN, code=draft.code, etag=draft.etag)
    with pytest.raises(Refused, match="ITEM_EXISTS"):
        created(office, draft.code)
    live = office.ask("PublishItem", by=ADMIN, code=draft.code, etag=draft.etag).item
    for rpc, fields in (
        ("PublishItem", {"etag": live.etag}),
        ("UpdateItem", {"etag": live.etag, "item": {"name": "x"}, "update_mask": "name"}),
    ):
        with pytest.raises(Refused, match="ITEM_STATE"):
            office.ask(rpc, by=ADMIN, code=live.code, **fields)
    office.ask("DraftItem", by=ADMIN, code=live.code)
    with pytest.raises(Refused, match="ITEM_STATE"):
        office.ask("DraftItem", by=ADMIN, code=live.code)


SCHEMA = item("SCJG-XK-0000")["form_schema"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"promised_days": 21}, {"item.promised_days": "promise"}),
        ({"simplified_days": 9}, {"item.simplified_days": "promise"}),
        ({"promised_days": 0}, {"item.promised_days": "instant"}),
        ({"handling": "HANDLING_INSTANT", "substantive_check": False}, {"item.promised_days": "instant"}),
        ({"handling": "HANDLING_INSTANT", "promised_days": 0}, {"item.handling": "two_reviewers"}),
        ({"department_code": "NONE"}, {"item.department_code": "known"}),
        ({"region_code": "350699"}, {"item.region_code": "known"}),
        ({"region_code": "350681"}, {"item.region_code": "known"}),
        ({"region_code": "0506"}, {"item.region_code": "known"}),
        ({"statutory_days": 0}, {"item.statutory_days": "required"}),
        ({"statutory_days": 251}, {"item.statutory_days": "maximum"}),
        ({"legal_basis": []}, {"item.legal_basis": "required"}),
        ({"results": []}, {"item.results": "required"}),
        ({"results": [{"name": "证", "kind": 1, "licence_code": "16"}]}, {"item.results[0].licence_code": "pattern"}),
        ({"code": "scjg-xk-1"}, {"item.code": "pattern"}),
        (
            {"materials": [{"code": "A", "name": "a", "necessity": 1}, {"code": "A", "name": "b", "necessity": 1}]},
            {"item.materials": "unique"},
        ),
        ({"form_schema": {"type": "array"}}, {"item.form_schema": "json_schema"}),
        ({"form_schema": {"properties": {}}}, {"item.form_schema": "json_schema"}),
        ({"form_schema": {"type": "object", "properties": []}}, {"item.form_schema": "json_schema"}),
        ({"form_schema": {"type": "object", "required": "x"}}, {"item.form_schema": "json_schema"}),
        ({"form_schema": {"type": "object", "minProperties": -1}}, {"item.form_schema": "json_schema"}),
        (
            {"form_schema": {"type": "object", "properties": {"a": {"pattern": "("}}}},
            {"item.form_schema": "json_schema"},
        ),
        ({"form_schema": {"type": "object", "$ref": "http://127.0.0.1:1/x"}}, {"item.form_schema": "json_schema"}),
        ({"form_schema": {"type": "object", "$ref": "#/$defs/a"}}, {"item.form_schema": "json_schema"}),
        (
            {"form_schema": {"type": "object", "properties": {"a": {"$dynamicRef": "http://127.0.0.1:1/x"}}}},
            {"item.form_schema": "json_schema"},
        ),
        ({"form_schema": {"type": "object", "$schema": "http://127.0.0.1:1/x"}}, {"item.form_schema": "json_schema"}),
        ({"form_schema": {"type": "object", "$id": "http://127.0.0.1:1/x"}}, {"item.form_schema": "json_schema"}),
    ],
    ids=lambda value: str(value)[:70],
)
def test_rules_of_an_item_are_held(office: Office, changes: dict[str, Any], expected: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        office.ask("CreateItem", by=ADMIN, item=plain(fresh()) | changes)
    assert refused.value.reason == "INVALID_FIELD"
    assert refused.value.fields == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {**SCHEMA, "$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"type": "object", "properties": {"$ref": {"type": "string"}}},
        {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}, "title": "申请表"},
    ],
    ids=lambda value: str(value)[:50],
)
def test_usual_schemas_pass(office: Office, schema: dict[str, Any]) -> None:
    live = published(office, form_schema=schema)
    assert state_of(office.submitted(item_code=live.code, form=dict(FORM))) == "SUBMITTED"


def test_a_change_is_held_against_all_rules(office: Office) -> None:
    draft = created(office)
    with pytest.raises(Refused) as refused:
        update(office, draft, "statutoryDays", statutory_days=5)
    assert refused.value.fields == {"item.promised_days": "promise"}
    with pytest.raises(Refused) as refused:
        update(office, draft, "name,results", name="")
    assert set(refused.value.fields) == {"item.name", "item.results"}
    assert get(office, draft.code, by=ADMIN, version=1) == draft


def test_drafts_are_shown_to_the_admins_of_their_region(office: Office) -> None:
    live = published(office)
    draft = office.ask("DraftItem", by=ADMIN, code=live.code).item
    county_admin = elsewhere(ADMIN, region="350602")
    for who in (None, CITIZEN, CLERK, SUPERVISOR, county_admin):
        with pytest.raises(Refused, match="ITEM_NOT_FOUND"):
            get(office, live.code, by=who, version=2)
    assert get(office, live.code, by=ADMIN, version=2) == draft
    for who, versions in ((ADMIN, [2, 1]), (AUDITOR, [1]), (SUPERVISOR, [1]), (county_admin, [1])):
        shown = office.ask("ListItemVersions", by=who, code=live.code).items
        assert [one.version for one in shown] == versions
        assert not any(one.materials or one.HasField("form_schema") for one in shown)
    only_draft = created(office)
    with pytest.raises(Refused, match="ITEM_NOT_FOUND"):
        office.ask("ListItemVersions", by=AUDITOR, code=only_draft.code)


def test_a_county_admin_keeps_the_countys_catalogue(office: Office) -> None:
    admin = elsewhere(ADMIN, region="350602")
    made = office.ask("CreateItem", by=admin, item=plain(fresh(), region_code="350602001", level="LEVEL_TOWN")).item
    assert made.region_code == "350602001"
    with pytest.raises(Refused) as refused:
        update(office, made, "regionCode", by=admin, region_code="3506")
    assert (refused.value.reason, refused.value.metadata) == ("NOT_COMPETENT", {"region_code": "3506"})
    with pytest.raises(Refused, match="NOT_COMPETENT"):
        office.ask("CreateItem", by=admin, item=plain(fresh(), region_code="350603"))
    assert update(office, made, "name", by=ADMIN, name="市里改的").name == "市里改的"


def test_items_are_listed_by_code_and_filtered(office: Office) -> None:
    def codes(**filters: Any) -> list[str]:
        return [one.code for one in office.ask("ListItems", page_size=100, **filters).items]

    everything = codes()
    assert everything == sorted(everything)
    assert FOOD in everything
    assert codes(department_code="SWJ") == ["SWJ-QT-9001"]
    assert "SWJ-QT-9001" not in codes(subject_type="SUBJECT_TYPE_PERSON")
    assert {FOOD, "SWJ-QT-9001"} <= set(codes(subject_type="SUBJECT_TYPE_ORGANISATION"))
    assert codes(level="LEVEL_COUNTY") == ["SCJG-XK-9003"]
    assert codes(query="9001") == [FOOD, "SWJ-QT-9001"]
    assert codes(query="9001", department_code="SWJ") == ["SWJ-QT-9001"]
    assert codes(query="%") == codes(query="_") == []
    draft = created(office)
    assert draft.code not in codes()
    one = office.ask("ListItems", query="9001").items[0]
    assert not one.materials
    assert not one.HasField("form_schema")
    pages, token = [], ""
    while True:
        page = office.ask("ListItems", page_size=2, page_token=token)
        pages += [one.code for one in page.items]
        token = page.next_page_token
        if not token:
            break
    assert pages == codes()


def test_a_search_takes_small_letters_for_capitals(office: Office) -> None:
    code = published(office, name="医用CT机配置许可").code
    assert [one.code for one in office.ask("ListItems", query="ct机").items] == [code]


def test_departments_are_listed_with_what_they_handle(office: Office) -> None:
    departments = {one.code: one for one in office.ask("ListDepartments").departments}
    assert len(departments) == 32
    assert list(departments) == sorted(departments)
    swj = departments["SWJ"]
    assert (swj.name, swj.region_code, swj.item_count) == ("漳州市商务局", "3506", 1)
    assert len(swj.credit_code) == 18
    assert departments["DAJ"].item_count == 0
