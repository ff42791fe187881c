"""Reads what a city begins with: the catalogue, whose fields expand into JSON Schema, and the list of measures."""

from datetime import date
from pathlib import Path
from typing import Any

import yaml

from tulou_civics.durations import Duration, Unit
from tulou_credit.domain.catalogue import Category, Openness, PublicityRule
from tulou_credit.domain.measures import Measure, MeasureKind, Standing
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.operations.catalogue import Entry

_FILE = Path(__file__).parent / "catalogue.yaml"
_MEASURES = Path(__file__).parent / "measures.yaml"
_FORMS: dict[str, dict[str, Any]] = {
    "day": {"type": "string", "format": "date"},
    "flag": {"type": "boolean"},
    "amount": {"type": "integer", "minimum": 0},
    "list": {"type": "array", "minItems": 1, "maxItems": 50, "items": {"type": "string", "maxLength": 256}},
    # The registration numbers of before the credit code.
    "numbers": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"type": "string", "maxLength": 64}
            for name in (
                "business_number",
                "organisation_code",
                "tax_number",
                "institution_number",
                "association_number",
            )
        },
    },
}


def load_catalogue() -> list[Entry]:
    """The entries in the order of the file. Raises KeyError and ValueError where the file is wrong."""
    return [_entry(each) for each in yaml.safe_load(_FILE.read_text("utf-8"))["types"]]


def load_measures(*, published_on: date) -> list[Measure]:
    """The measures in the order of the file, published on a day. Raises MeasureNotConfigurable where it is wrong."""
    return [
        Measure(
            code=each["code"],
            kind=MeasureKind(each["kind"]),
            standing=Standing(each["standing"]),
            purposes=frozenset(each["purposes"]),
            zh=each["zh"],
            en=each["en"],
            legal_basis=each["legal_basis"],
            published_on=published_on,
        )
        for each in yaml.safe_load(_MEASURES.read_text("utf-8"))["measures"]
    ]


def _entry(source: dict[str, Any]) -> Entry:
    amount, unit = source["retention"].split()
    return Entry(
        code=source["code"],
        name=source["name"],
        category=Category(source["category"]),
        openness=Openness(source["openness"]),
        sources=tuple(source["sources"]),
        subject_kinds=tuple(SubjectKind(kind) for kind in source["subjects"]),
        by_consent=False,
        content_schema=_schema(source["fields"]),
        retention=Duration(int(amount), Unit(unit)),
        publicity=PublicityRule(source["publicity"]),
    )


def _schema(fields: dict[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, (_, form) in fields.items() if form.endswith("*")],
        "properties": {name: {"title": title, **_form(form.rstrip("*"))} for name, (title, form) in fields.items()},
    }


def _form(form: str) -> dict[str, Any]:
    kind, _, length = form.partition(" ")
    return {"type": "string", "maxLength": int(length)} if kind == "text" else _FORMS[kind]
