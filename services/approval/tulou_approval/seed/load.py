"""Reads the YAML beside this file and expands it into plain dicts; shared.yaml says how they are written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent
_CITY = "3506"
_REQUIRED = {"code", "name", "law", "days", "level", "who", "materials", "form", "result", "conditions"}
_OPTIONAL = {"site", "set", "form_rules", "fees", "region"}


class SeedError(ValueError):
    """The seed data are wrong; the message names the file and the key."""


def load_departments() -> list[dict[str, Any]]:
    """The city's departments in the order of departments.yaml, as `Department` messages in proto3 JSON."""
    return [{**department, "region_code": _CITY} for department in _read("departments.yaml")]


def load_items() -> list[dict[str, Any]]:
    """All items by code, as `Item` messages in proto3 JSON. Raises `SeedError` where the data are wrong."""
    shared = _read("shared.yaml")
    items = [item for file in (_HERE / "items").glob("*.yaml") for item in _items_of(f"items/{file.name}", shared)]
    return sorted(items, key=lambda item: str(item["code"]))


def _read(name: str) -> Any:
    # libyaml is several times as fast, but PyYAML may have been built without it; both loaders are safe.
    return yaml.load((_HERE / name).read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _items_of(file: str, shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = _read(file)
    for own in content["items"]:
        try:
            if unknown := own.keys() - _REQUIRED - _OPTIONAL:
                raise SeedError(f"unknown keys {sorted(unknown)}")
            chosen = _resolve(f"set:{own['set']}", shared) if "set" in own else {}
            yield _item({**content["defaults"], **chosen, **own}, shared)
        except (KeyError, TypeError, ValueError) as error:
            raise SeedError(f"{file}: {own.get('code')}: {error}") from error


def _item(source: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    department, kind, _ = source["code"].split("-")
    days = [int(number) for number in source["days"].split("/")]
    statutory, promised, simplified = days if len(days) == 3 else [*days, 0]
    form = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"{source['name']}申请表"}
    return {
        **{key: source[key] for key in ("code", "name", "conditions")},
        "type": f"ITEM_TYPE_{shared['types'][kind]}",
        "department_code": department,
        "level": f"LEVEL_{source['level'].upper()}",
        "region_code": source.get("region", _CITY),
        "subject_type": f"SUBJECT_TYPE_{source['who'].upper()}",
        "legal_basis": [source["law"]] if isinstance(source["law"], str) else source["law"],
        "statutory_days": statutory,
        "promised_days": promised,
        "simplified_days": simplified,
        "handling": "HANDLING_PROMISED" if promised else "HANDLING_INSTANT",
        "substantive_check": source.get("site", False),
        "materials": [_material(f"M{n:02}", _resolve(m, shared)) for n, m in enumerate(source["materials"], 1)],
        "form_schema": form | _object(source["form"], shared) | source.get("form_rules", {}),
        "fees": [{"name": f["name"], "amount_fen": f["fen"], "basis": f["basis"]} for f in source.get("fees", [])],
        "results": [_result(source["result"], shared)],
    }


def _resolve(value: Any, shared: dict[str, Any]) -> Any:
    """The entry of shared.yaml that a text like "field:date" names; anything else as it is."""
    if not isinstance(value, str) or ":" not in value:
        return value
    part, name = value.split(":")
    if name not in shared[f"{part}s"]:
        raise SeedError(f"shared.yaml has no {part} '{name}'")
    return shared[f"{part}s"][name]


def _material(code: str, source: dict[str, Any]) -> dict[str, Any]:
    necessity = "CONDITIONAL" if "when" in source else "OPTIONAL" if source.get("optional") else "REQUIRED"
    return {
        "code": code,
        "name": source["name"],
        "necessity": f"NECESSITY_{necessity}",
        "condition": source.get("when", ""),
        "copies": source.get("copies", 1),
        "source": f"MATERIAL_SOURCE_{source.get('from', 'applicant').upper()}",
        **{key: source[key] for key in ("original", "media_types", "max_size", "note") if key in source},
    }


def _result(value: Any, shared: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = {"name": value.removeprefix("licence:")} if isinstance(value, str) else value
    found = _resolve(value, shared)
    code, kind, months = found if isinstance(found, list) else ["", own.get("kind", "approval"), own.get("months", 0)]
    return {"name": own["name"], "kind": f"RESULT_KIND_{kind.upper()}", "licence_code": code, "valid_months": months}


def _object(fields: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in fields if not key.endswith("?")],
        "properties": {key.removesuffix("?"): _field(_resolve(value, shared), shared) for key, value in fields.items()},
    }


def _field(source: Any, shared: dict[str, Any]) -> dict[str, Any]:
    if isinstance(source, str):
        return {"title": source, "type": "string", "minLength": 1, "maxLength": 100}
    base = _resolve(f"field:{source['field']}", shared) if "field" in source else {}
    schema = {"type": "string", **base, **{key: source[key] for key in source if key != "field"}}
    if "many" in schema:
        schema |= {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": schema.pop("many")}}
    if "rows" in schema:
        schema = {"minItems": 1, **schema, "type": "array", "items": _object(schema.pop("rows"), shared)}
    return schema
