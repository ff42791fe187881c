"""The application form against the item's JSON Schema."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from tulou_chassis.violations import Violation

MAX_ERRORS: Final = 50
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "$schema"})

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
    own = {key: value for key, value in schema.items() if key != "$schema"}
    # Looked for first: to follow a reference, the validator would fetch whatever address it names.
    if schema.get("$schema", DIALECT) != DIALECT or schema.get("type") != "object" or _refers(own):
        raise SchemaInvalid
    if not _library().meta.is_valid(dict(schema)):
        raise SchemaInvalid
    try:
        _validator(json.dumps(schema, sort_keys=True))
    except ValueError:
        raise SchemaInvalid from None


def _refers(node: object) -> bool:
    """Whether a keyword in it names another schema. A property may bear a keyword's name; then its value is no text."""
    if isinstance(node, Mapping):
        return any((key in REFERENCES and isinstance(value, str)) or _refers(value) for key, value in node.items())
    return isinstance(node, list) and any(map(_refers, node))


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    return _library().Draft202012Validator(json.loads(schema), validate_formats=True)


def _library() -> Any:
    # Loaded with the first form: it holds 3 MB, which the worker never needs.
    import jsonschema_rs

    return jsonschema_rs


def _missing(error: Any, keyword: str) -> list[str]:
    """The properties a violation is about, where it is about properties that are missing or unknown."""
    if keyword == "required":
        return [str(error.kind.property)]
    if keyword == "additionalProperties":
        return [str(name) for name in error.kind.unexpected]
    return [""]
