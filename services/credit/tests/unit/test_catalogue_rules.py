"""What may be collected: forbidden fields by name, schemas, and the first catalogue."""

from typing import Any

import pytest

from services.credit.tests.store import licence, penalty
from tulou_chassis.schemas import SchemaInvalid
from tulou_credit.domain.catalogue import Category, Openness, forbidden_fields
from tulou_credit.intake.columns import LICENCE_790, PENALTY_790
from tulou_credit.operations.content import content_of
from tulou_credit.operations.schemas import ContentNotAllowed, check_content, check_schema
from tulou_credit.seed.load import load_catalogue

TEXT = {"type": "string"}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


@pytest.mark.parametrize(
    "name",
    [
        *("religion", "religious_belief", "宗教信仰", "gene", "geneticData", "DNA", "基因信息", "fingerprint"),
        *("finger_print", "指纹", "bloodType", "blood-group", "血型", "illness", "disease_name", "medicalHistory"),
        *("medical_record", "既往病史", "疾病", "宗 教"),
    ],
)
def test_what_may_never_be_collected_is_found_by_its_name(name: str) -> None:
    (found,) = forbidden_fields(closed(**{name: TEXT}))
    assert (found.path, found.with_consent) == (name, False)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "income",
            "annualIncome",
            "月收入",
            "bank_deposit",
            "存款余额",
            "securities",
            "有价证券",
            "insurance",
            "商业保险",
        ),
        *("real_estate", "realEstate", "不动产", "tax_amount", "纳税数额"),
    ],
)
def test_what_needs_consent_is_found_by_its_name(name: str) -> None:
    (found,) = forbidden_fields(closed(**{name: TEXT}))
    assert (found.path, found.with_consent) == (name, True)


@pytest.mark.parametrize(
    "name", ["general_remark", "generation", "depository", "taxpayer_grade", "name", "地址", "证书"]
)
def test_other_names_are_not_taken_for_them(name: str) -> None:
    assert forbidden_fields(closed(**{name: TEXT})) == []


def test_they_are_found_in_depth_and_in_titles() -> None:
    schema = closed(
        person=closed(religion=TEXT),
        remark={"type": "string", "title": "血型"},
        lists={"type": "array", "items": closed(income=TEXT)},
        either={"anyOf": [closed(指纹=TEXT), TEXT]},
    )
    assert [found.path for found in forbidden_fields(schema)] == [
        "person.religion",
        "remark",
        "lists.income",
        "either.指纹",
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        closed(part={"type": "object", "properties": {}}),
        closed(parts={"type": "array", "items": {"type": ["object", "null"]}}),
        {**closed(), "$ref": "https://example.org/schema"},
        {**closed(), "$schema": "http://json-schema.org/draft-07/schema#"},
        closed(a={"type": "text"}),
        closed(a={"type": "string", "pattern": "("}),
    ],
)
def test_a_schema_that_lets_in_what_it_does_not_name_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaInvalid):
        check_schema(schema)


def test_content_is_refused_by_the_names_of_its_fields() -> None:
    schema = {**closed(a=TEXT, b={"type": "integer"}), "required": ["a"]}
    check_content("T", schema, {"a": "x", "b": 1})
    with pytest.raises(ContentNotAllowed) as refused:
        check_content("T", schema, {"b": "geheim", "c": 1})
    assert refused.value.fields == ("a", "b", "c")
    assert "geheim" not in str(refused.value)


def test_the_first_catalogue_has_every_category_and_nothing_forbidden() -> None:
    entries = load_catalogue()
    assert {entry.category for entry in entries} == set(Category)
    assert len({entry.code for entry in entries}) == len(entries) == 14
    for entry in entries:
        check_schema(entry.content_schema)
        assert forbidden_fields(entry.content_schema) == []
        assert entry.openness is Openness.PUBLIC or entry.publicity == "NONE"


def test_full_rows_of_the_standard_fit_the_first_catalogue() -> None:
    schemas = {entry.code: entry.content_schema for entry in load_catalogue()}
    full_licence = licence(
        XKZS="证书", XKBH="JY1", BZ="备注", FRDB="张三", GSZC="1", ZZJG="2", SWDJ="3", SYDW="4", SHZZ="5"
    )
    full_penalty = penalty(
        CFLB="罚款；没收违法所得",
        NR_FK="1",
        NR_WFFF="2",
        NR_ZKDX="证1",
        YXQ="2024-02-01",
        GSJZQ="2024-06-01",
        BZ="备注",
    )
    for decision, columns in ((full_licence, LICENCE_790), (full_penalty, PENALTY_790)):
        content, _ = content_of(decision)
        check_content(columns.kind, schemas[columns.kind], content)
        assert schemas[columns.kind]["properties"].keys() >= content.keys()
