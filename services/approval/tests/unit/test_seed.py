"""The catalogue a new city starts with."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from google.protobuf.json_format import ParseDict
from stdnum.cn import uscc

from tulou.approval.v1 import item_pb2
from tulou_approval.operations.forms import FormInvalid, check_form
from tulou_approval.seed import load
from tulou_approval.seed.load import SeedError, load_departments, load_items
from tulou_chassis.schemas import check_schema
from tulou_chassis.validation import violations_of
from tulou_civics import divisions

ITEMS = load_items()
BY_CODE = {item["code"]: item for item in ITEMS}
TYPES = {"XK": 1, "QR": 2, "JF": 3, "JL": 4, "CJ": 5, "QT": 6, "GG": 7}
FOOD = "SCJG-XK-0001"
CHINESE = re.compile("[一-龥]")
PERSONAL = re.compile("身份证号|身份号码|手机|电话|银行账号|银行卡号")


def properties_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of the form, those of its tables too."""
    for name, field in schema["properties"].items():
        yield name, field
        if field.get("items", {}).get("type") == "object":
            yield from properties_of(field["items"])


def objects_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The form and the rows of its tables."""
    yield schema
    for field in schema["properties"].values():
        if field.get("items", {}).get("type") == "object":
            yield from objects_of(field["items"])


def names_required_by(rules: Any) -> Iterator[str]:
    """Every property a rule (if/then) of the form speaks of."""
    if isinstance(rules, list):
        for rule in rules:
            yield from names_required_by(rule)
    elif isinstance(rules, dict):
        yield from rules.get("required", [])
        yield from rules.get("properties", {})
        for key in ("if", "then", "else", "allOf"):
            yield from names_required_by(rules.get(key))


def test_the_city_has_32_departments_and_435_items() -> None:
    assert len(load_departments()) == 32
    assert len(ITEMS) == 435


def test_no_code_and_no_name_of_an_item_is_used_twice() -> None:
    assert len(BY_CODE) == 435
    assert len({item["name"] for item in ITEMS}) == 435


def test_two_loads_are_equal_and_in_the_order_of_the_codes() -> None:
    assert load_items() == ITEMS
    assert [item["code"] for item in ITEMS] == sorted(BY_CODE)


def test_the_data_mean_the_same_where_yaml_was_built_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(load.yaml, "CSafeLoader", raising=False)
    assert load_items() == ITEMS


def test_every_department_handles_items_and_every_item_has_a_department() -> None:
    assert {item["department_code"] for item in ITEMS} == {department["code"] for department in load_departments()}


def test_departments_fit_their_message_and_have_valid_synthetic_credit_codes() -> None:
    codes = [department["credit_code"] for department in load_departments()]
    assert len(set(codes)) == 32
    for department in load_departments():
        ParseDict(department, item_pb2.Department())
        assert re.fullmatch("[A-Z]{2,6}", department["code"])
        assert department["credit_code"].startswith("11350600TUL")
        assert uscc.is_valid(department["credit_code"])


def test_every_item_fits_its_message_and_keeps_every_bound() -> None:
    for code, item in BY_CODE.items():
        proto = ParseDict(item, item_pb2.Item())
        assert (code, list(violations_of(proto))) == (code, [])
        department, kind, _ = code.split("-")
        assert (code, proto.department_code, proto.type) == (code, department, TYPES[kind])


def test_a_bound_that_is_broken_is_seen() -> None:
    broken = BY_CODE[FOOD] | {"name": "名" * 201, "statutory_days": 251, "results": []}
    fields = {violation.field for violation in violations_of(ParseDict(broken, item_pb2.Item()))}
    assert fields == {"name", "statutory_days", "results"}


def test_no_promise_is_longer_than_the_law_allows() -> None:
    assert [item["code"] for item in ITEMS if item["promised_days"] > item["statutory_days"]] == []


def test_simplified_handling_is_promised_within_the_ordinary_promise() -> None:
    simplified = {item["code"]: item["simplified_days"] for item in ITEMS if item["simplified_days"]}
    assert simplified[FOOD] == 4
    assert len(simplified) == 8
    assert all(days < BY_CODE[code]["promised_days"] for code, days in simplified.items())


def test_an_item_is_instant_if_and_only_if_it_promises_no_days() -> None:
    for item in ITEMS:
        assert (item["handling"] == "HANDLING_INSTANT") == (item["promised_days"] == 0), item["code"]


def test_what_two_people_look_at_is_not_decided_on_the_spot() -> None:
    # 行政许可法 art. 34
    assert [i["code"] for i in ITEMS if i["handling"] == "HANDLING_INSTANT" and i["substantive_check"]] == []


def test_every_region_is_a_division_of_zhangzhou() -> None:
    regions = {item["region_code"] for item in ITEMS}
    assert {"3506", "350627"} <= regions
    for region in regions:
        assert divisions.division(divisions.normalise(region)).code.startswith("3506")


def test_every_form_is_a_valid_schema_of_a_closed_object() -> None:
    for code, item in BY_CODE.items():
        schema = item["form_schema"]
        jsonschema_rs.meta.validate(schema)
        check_schema(schema)
        for node in objects_of(schema):
            assert node["additionalProperties"] is False, code
            assert node["required"], code
            assert set(node["required"]) <= set(node["properties"]), code
        assert set(names_required_by(schema)) <= set(schema["properties"]), code


def test_every_form_field_has_a_chinese_title_and_every_text_an_end() -> None:
    for item in ITEMS:
        for name, field in properties_of(item["form_schema"]):
            assert CHINESE.search(field["title"]), (item["code"], name)
            if field["type"] == "string":
                assert {"enum", "pattern", "maxLength"} & field.keys(), (item["code"], name)


def test_no_form_asks_for_identity_numbers_phones_or_accounts() -> None:
    asked = [(i["code"], f["title"]) for i in ITEMS for _, f in properties_of(i["form_schema"])]
    assert [pair for pair in asked if PERSONAL.search(pair[1])] == []


def test_at_least_60_items_have_materials_and_a_form_of_their_own() -> None:
    forms = Counter(json.dumps(item["form_schema"]["properties"]) for item in ITEMS)
    materials = Counter(json.dumps(item["materials"]) for item in ITEMS)
    own = [
        item["code"]
        for item in ITEMS
        if forms[json.dumps(item["form_schema"]["properties"])] == materials[json.dumps(item["materials"])] == 1
    ]
    assert len(own) >= 60


def test_every_item_asks_for_a_material_and_names_statutes() -> None:
    for item in ITEMS:
        assert any(material["necessity"] == "NECESSITY_REQUIRED" for material in item["materials"]), item["code"]
        assert all("《" in basis or "通知" in basis for basis in item["legal_basis"]), item["code"]
        for material in item["materials"]:
            conditional = material["necessity"] == "NECESSITY_CONDITIONAL"
            assert conditional == bool(material["condition"]), (item["code"], material["code"])


def test_licences_have_one_catalogue_code_each_and_other_results_none() -> None:
    results = [result for item in ITEMS for result in item["results"]]
    licences = {(result["name"], result["licence_code"]) for result in results if result["licence_code"]}
    assert len(licences) == len({name for name, _ in licences}) == len({code for _, code in licences})
    for result in results:
        if result["kind"] in {"RESULT_KIND_PERMIT", "RESULT_KIND_QUALIFICATION"}:
            assert result["licence_code"], result["name"]


def test_the_catalogue_has_every_level_subject_and_type() -> None:
    assert {item["level"] for item in ITEMS} == {"LEVEL_CITY", "LEVEL_COUNTY", "LEVEL_TOWN", "LEVEL_VILLAGE"}
    assert len({item["subject_type"] for item in ITEMS}) == 3
    assert len({item["type"] for item in ITEMS}) == len(TYPES)
    assert any(item["fees"] for item in ITEMS)


def test_the_food_business_licence_is_open_to_all_and_needs_a_visit() -> None:
    food = BY_CODE[FOOD]
    assert food["subject_type"] == "SUBJECT_TYPE_ANY"
    assert food["substantive_check"]
    assert 5 <= food["promised_days"] <= 10
    assert food["results"][0]["valid_months"] == 60


def test_birth_registration_is_instant_and_for_persons() -> None:
    item = BY_CODE["WJW-QR-0001"]
    assert item["handling"] == "HANDLING_INSTANT"
    assert item["subject_type"] == "SUBJECT_TYPE_PERSON"


def food_form(**changes: Any) -> dict[str, Any]:
    return {
        "business_name": "漳州市芗城区土楼小吃店",
        "business_address": "漳州市芗城区延安北路1号",
        "business_type": "餐饮服务经营者",
        "business_items": ["热食类食品制售"],
        "premises_area": 86.5,
        "staff_count": 4,
        "safety_manager": "林某某",
        "legal_representative": "陈某某",
        "online": False,
        **changes,
    }


def test_a_filled_food_form_is_accepted() -> None:
    check_form(BY_CODE[FOOD]["form_schema"], food_form())
    check_form(BY_CODE[FOOD]["form_schema"], food_form(online=True, website="https://shop.example.cn/1"))


@pytest.mark.parametrize(
    ("changes", "keyword"),
    [
        ({"business_type": "小卖部"}, "enum"),
        ({"business_items": []}, "minItems"),
        ({"premises_area": "86"}, "type"),
        ({"online": True}, "required"),
        ({"opening_date": "2026-13-01"}, "pattern"),
        ({"owner": "陈某某"}, "additionalProperties"),
    ],
)
def test_a_wrong_food_form_is_refused(changes: dict[str, Any], keyword: str) -> None:
    with pytest.raises(FormInvalid) as caught:
        check_form(BY_CODE[FOOD]["form_schema"], food_form(**changes))
    assert keyword in {violation.rule for violation in caught.value.violations}


GOOD = {
    "code": "SWJ-XK-0001",
    "name": "名称",
    "days": "20/5",
    "law": "《法》",
    "materials": ["material:photo"],
    "form": {"name": "姓名", "day?": "field:day"},
    "result": "licence:证",
    "conditions": "条件",
}
SHARED = {
    "types": {"XK": "LICENCE"},
    "fields": {"day": {"title": "日期", "type": "string"}},
    "materials": {"photo": {"name": "照片"}},
    "licences": {"证": ["001", "permit", 12]},
    "sets": {},
}


def load_one(monkeypatch: pytest.MonkeyPatch, item: dict[str, Any]) -> dict[str, Any]:
    content = {"defaults": {"level": "city", "who": "any"}, "items": [item]}
    monkeypatch.setattr(load, "_read", lambda name: SHARED if name == "shared.yaml" else content)
    return next(load._items_of("items/swj.yaml", SHARED))


def test_an_item_is_expanded_from_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    item = load_one(monkeypatch, GOOD)
    assert item["results"] == [{"name": "证", "kind": "RESULT_KIND_PERMIT", "licence_code": "001", "valid_months": 12}]
    assert item["materials"][0]["code"] == "M01"
    assert item["form_schema"]["required"] == ["name"]
    assert item["form_schema"]["properties"]["day"]["title"] == "日期"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"laws": "《法》"}, "laws"),
        ({"set": "nothing"}, "nothing"),
        ({"form": {"day": "field:dya"}}, "dya"),
        ({"materials": ["material:phto"]}, "phto"),
        ({"result": "licence:照"}, "照"),
        ({"form": {"day": {"field": "dya"}}}, "dya"),
        ({"days": "20"}, "SWJ-XK-0001"),
        ({"days": "20/5/3/1"}, "SWJ-XK-0001"),
    ],
)
def test_a_mistake_is_told_with_the_file_the_code_and_the_key(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(SeedError) as caught:
        load_one(monkeypatch, GOOD | wrong)
    assert str(caught.value).startswith("items/swj.yaml: SWJ-XK-0001:")
    assert named in str(caught.value)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without_law = {key: value for key, value in GOOD.items() if key != "law"}
    with pytest.raises(SeedError, match="law"):
        load_one(monkeypatch, without_law)
