"""What a record may say, against the JSON Schema of its type."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "$schema"})


class SchemaInvalid(Exception):
    """Not a JSON Schema of an object all of whose fields are named."""


class ContentNotAllowed(Exception):
    """A record says what its type has no place for, or not what it must. Names the fields, never what they hold."""

    def __init__(self, type_code: str, fields: tuple[str, ...]) -> None:
        super().__init__(type_code, *fields)
        self.type_code = type_code
        self.fields = fields


def check_content(type_code: str, schema: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Raises ContentNotAllowed naming the fields."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    if not validator.is_valid(content):
        fields = {name for error in validator.iter_errors(content) for name in _fields(error)}
        raise ContentNotAllowed(type_code, tuple(sorted(fields)))


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises SchemaInvalid unless it is a JSON Schema (draft 2020-12) of an object, refers to nothing outside, and no
    object in it takes fields that it does not name."""
    own = {key: value for key, value in schema.items() if key != "$schema"}
    # Looked for first: to follow a reference, the validator would fetch whatever address it names.
    if schema.get("$schema", DIALECT) != DIALECT or schema.get("type") != "object" or _refers(own):
        raise SchemaInvalid
    if _is_open(schema) or not jsonschema_rs.meta.is_valid(dict(schema)):
        raise SchemaInvalid
    try:
        _validator(json.dumps(schema, sort_keys=True))
    except ValueError:
        raise SchemaInvalid from None


def _refers(node: object) -> bool:
    """Whether a keyword in it names another schema. A property may bear a keyword's name; then its value is no text."""
    if isinstance(node, Mapping):
        return any((key in _REFERENCES and isinstance(value, str)) or _refers(value) for key, value in node.items())
    return isinstance(node, list) and any(map(_refers, node))


def _is_open(node: object) -> bool:
    if isinstance(node, Mapping):
        types = node.get("type")
        is_object = types == "object" or (isinstance(types, list) and "object" in types) or "properties" in node
        if is_object and isinstance(types, str | list) and node.get("additionalProperties") is not False:
            return True
        return any(map(_is_open, node.values()))
    return isinstance(node, list) and any(map(_is_open, node))


@lru_cache(maxsize=100)
def _validator(schema: str) -> Any:
    return jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True)


def _fields(error: Any) -> list[str]:
    """The properties an error is about: those that are missing or unknown, else the one that breaks a rule."""
    path = ".".join(str(part) for part in error.instance_path)
    keyword = str(error.kind.name)
    if keyword == "required":
        return [str(error.kind.property)]
    if keyword == "additionalProperties":
        return [str(name) for name in error.kind.unexpected]
    return [path]
