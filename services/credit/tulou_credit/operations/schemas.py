"""What a record may say, against the JSON Schema of its type."""

from collections.abc import Mapping
from typing import Any

from tulou_chassis import schemas
from tulou_chassis.schemas import SchemaInvalid, errors_of, properties_of
from tulou_credit.domain.privacy import masked_text


class ContentNotAllowed(Exception):
    """A record says what its type has no place for, or not what it must. Names the fields, never what they hold."""

    def __init__(self, type_code: str, fields: tuple[str, ...]) -> None:
        super().__init__(type_code, *fields)
        self.type_code = type_code
        self.fields = fields


def check_content(type_code: str, schema: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Raises ContentNotAllowed naming the fields."""
    fields = {name for error in errors_of(schema, content) for name in properties_of(error) or [_path(error)]}
    if fields:
        # A sender may have taken a number for a name.
        raise ContentNotAllowed(type_code, tuple(sorted(map(masked_text, fields))))


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises SchemaInvalid unless it is a schema that chassis takes, and no object in it takes fields that it does not
    name."""
    schemas.check_schema(schema)
    if _is_open(schema):
        raise SchemaInvalid


def _path(error: Any) -> str:
    return ".".join(str(part) for part in error.instance_path)


def _is_open(node: object) -> bool:
    if isinstance(node, Mapping):
        types = node.get("type")
        is_object = types == "object" or (isinstance(types, list) and "object" in types) or "properties" in node
        if is_object and isinstance(types, str | list) and node.get("additionalProperties") is not False:
            return True
        return any(map(_is_open, node.values()))
    return isinstance(node, list) and any(map(_is_open, node))
