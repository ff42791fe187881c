"""The application form against the item's JSON Schema."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from tulou_chassis.errors import Violation

MAX_ERRORS: Final = 50

# What each broken keyword of the schema means. Other keywords are told by their name.
_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "required": ("必填。", "Required."),
    "type": ("类型不符。", "Of the wrong type."),
    "additionalProperties": ("表单中没有此字段。", "The form has no such field."),
    "enum": ("不是可选的取值。", "Not one of the choices."),
    "pattern": ("格式不符。", "Of the wrong form."),
    "format": ("格式不符。", "Of the wrong form."),
    "minLength": ("内容过短。", "Too short."),
    "maxLength": ("内容过长。", "Too long."),
    "minimum": ("数值过小。", "Too small."),
    "maximum": ("数值过大。", "Too large."),
    "minItems": ("项数过少。", "Too few entries."),
    "maxItems": ("项数过多。", "Too many entries."),
}


class FormInvalid(Exception):
    """The form does not fit the item's schema."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(f"{len(violations)} violations")
        self.violations = violations


class SchemaInvalid(Exception):
    """The form schema of an item is no JSON Schema of an object."""


def check_form(schema: Mapping[str, Any], form: Mapping[str, Any]) -> None:
    """Raises FormInvalid naming each field, in Chinese and English."""
    violations: list[Violation] = []
    for error in _validator(json.dumps(schema, sort_keys=True)).iter_errors(dict(form)):
        keyword = str(error.kind.name)
        path = "case.form" + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path
        )
        for missing in _missing(error, keyword):
            zh, en = _SENTENCES.get(keyword, (f"不符合规则 {keyword}。", f"Breaks the rule {keyword}."))
            violations.append(Violation(f"{path}.{missing}" if missing else path, keyword, zh, en))
        if len(violations) >= MAX_ERRORS:
            break
    if violations:
        raise FormInvalid(tuple(violations))


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises SchemaInvalid unless it is a JSON Schema (draft 2020-12) of an object that refers to nothing outside."""
    if schema.get("type") != "object" or not jsonschema_rs.meta.is_valid(dict(schema)) or "$ref" in json.dumps(schema):
        raise SchemaInvalid
    try:
        _validator(json.dumps(schema, sort_keys=True))
    except ValueError:
        raise SchemaInvalid from None


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    return jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True)


def _missing(error: Any, keyword: str) -> list[str]:
    """The properties a violation is about, where it is about properties that are missing or unknown."""
    if keyword == "required":
        return [str(error.kind.property)]
    if keyword == "additionalProperties":
        return [str(name) for name in error.kind.unexpected]
    return [""]
