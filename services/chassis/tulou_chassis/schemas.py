"""JSON Schemas that come from outside: which of them are taken, what breaks them, and JSON as they judge it."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "$schema"})


class SchemaInvalid(Exception):
    """Not a JSON Schema of an object as it is asked for."""


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


def errors_of(schema: Mapping[str, Any], value: Mapping[str, Any]) -> Iterable[Any]:
    """What breaks the schema, as the library tells it."""
    found: Iterable[Any] = _validator(json.dumps(schema, sort_keys=True)).iter_errors(dict(value))
    return found


def properties_of(error: Any) -> list[str]:
    """The properties an error is about, where it is about properties that are missing or unknown."""
    match str(error.kind.name):
        case "required":
            return [str(error.kind.property)]
        case "additionalProperties":
            return [str(name) for name in error.kind.unexpected]
        case _:
            return []


def _refers(node: object) -> bool:
    """Whether a keyword in it names another schema. A property may bear a keyword's name; then its value is no text."""
    if isinstance(node, Mapping):
        return any((key in _REFERENCES and isinstance(value, str)) or _refers(value) for key, value in node.items())
    return isinstance(node, list) and any(map(_refers, node))


@lru_cache(maxsize=512)
def _validator(schema: str) -> Any:
    return _library().Draft202012Validator(json.loads(schema), validate_formats=True)


def _library() -> Any:
    # Loaded with the first schema: it holds 3 MB, which not every process needs.
    import jsonschema_rs

    return jsonschema_rs


def whole(value: Any) -> Any:
    """JSON numbers that are whole, as integers: a Struct knows only fractions."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [whole(entry) for entry in value]
    return value
