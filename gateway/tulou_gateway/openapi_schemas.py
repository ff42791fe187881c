"""JSON Schemas of proto messages, as proto3 JSON and the gateway's transcoder write and read them."""

from collections.abc import Collection
from enum import Enum
from typing import Any

from google.api import field_behavior_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from tulou.options.v1 import field_pb2
from tulou_gateway.descriptors import Api

Schema = dict[str, Any]


class Mode(Enum):
    """Which way a message goes; the value is the suffix of its schema's name. The same message promises different
    things: an answer may leave fields out, a request may not, and what goes with an update_mask may again."""

    ANSWER = ""
    INPUT = "Input"
    PATCH = "Patch"


UUID = "^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
_FORMATS: dict[int, Schema] = {
    field_pb2.FORMAT_UUID: {"format": "uuid", "pattern": UUID},
    field_pb2.FORMAT_DATE: {"format": "date", "pattern": "^(?:[0-9]{4}-[0-9]{2}-[0-9]{2})$"},
    field_pb2.FORMAT_DIVISION_CODE: {"pattern": "^(?:[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})$"},
}

_INT32: Schema = {"type": "integer", "format": "int32"}
_UINT32: Schema = {"type": "integer", "minimum": 0}
_INT64: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,20}$"}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    **dict.fromkeys((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), _UINT32),
    **dict.fromkeys((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64), _INT64),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), _INT64),
}

FIELD_MASK = "google.protobuf.FieldMask"
HTTP_BODY = "google.api.HttpBody"
TIMESTAMP = "google.protobuf.Timestamp"
# What the fields of type google.protobuf.Any hold in our answers, where that is one message.
_HELD = {
    "google.longrunning.Operation.metadata": "tulou.credit.v1.ImportMetadata",
    "google.longrunning.Operation.response": "tulou.credit.v1.ImportResult",
}
_WELL_KNOWN: dict[str, Schema] = {
    TIMESTAMP: {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string", "description": "Names the message, as type.googleapis.com/NAME."}},
        "required": ["@type"],
        "additionalProperties": True,
    },
    FIELD_MASK: {"type": "string", "description": "Field names in lowerCamelCase, joined by commas."},
    HTTP_BODY: {"type": "string", "format": "binary"},
}


class Schemas:
    """Makes the schemas of one API; each named one is kept once in `components`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.components: dict[str, Schema] = {}

    def message(self, message: Descriptor, mode: Mode, omit: Collection[str] = ()) -> Schema:
        """A reference to the schema of `message`, without the fields in `omit`. Raises ValueError on a google.protobuf
        type whose JSON form is not known here."""
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        if message.full_name.startswith("google.protobuf."):
            raise ValueError(f"no JSON form is known for {message.full_name}")
        suffix = "" if message.name.endswith("Request") else mode.value
        name = message.full_name.removeprefix("tulou.") + suffix
        if name not in self.components:
            self.components[name] = {}  # A message may hold itself.
            self.components[name] = self._object(message, mode, omit)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Descriptor, mode: Mode, omit: Collection[str]) -> Schema:
        fields = [field for field in message.fields if field.name not in omit]
        masked = mode is Mode.INPUT and any(_type_name(field) == FIELD_MASK for field in fields)
        schema: Schema = {"type": "object", **self._text(message.full_name)}
        schema["properties"] = {
            field.json_name: self.field(field, Mode.PATCH if masked and field.message_type else mode)
            for field in fields
        }
        if mode is not Mode.ANSWER:
            schema["additionalProperties"] = False
        required = [field.json_name for field in fields if is_required(field)]
        if mode is Mode.INPUT and required:
            schema["required"] = required
        return schema

    def field(self, field: FieldDescriptor, mode: Mode) -> Schema:
        """The schema of one field with its comment and, where it is sent, its bounds."""
        read_only = field_behavior_pb2.OUTPUT_ONLY in _behaviors(field)
        if read_only:
            mode = Mode.ANSWER
        elif mode is Mode.PATCH and field.is_repeated:
            mode = Mode.INPUT  # A mask names a list as a whole, so its entries must be complete.
        one = self._value(field, mode)
        bounds, notes = ({}, []) if mode is Mode.ANSWER else _bounds(field)
        if is_map(field):
            words = {"minItems": "minProperties", "maxItems": "maxProperties"}
            count = {word: bounds[key] for key, word in words.items() if key in bounds}
            schema: Schema = {"type": "object", "additionalProperties": one} | count
        elif field.is_repeated:
            # Bounds of length and form hold for each entry, the count for the whole.
            count = {key: bounds.pop(key) for key in ("minItems", "maxItems") if key in bounds}
            schema = {"type": "array", "items": one | bounds} | count
        else:
            schema = one | bounds
        # What is written there of any operation, our own message says of ours.
        text = [self.api.comments.get(_HELD.get(field.full_name, field.full_name), ""), *notes]
        if is_sensitive(field):
            text.append("Personal data: encrypted at rest, masked in answers, never logged.")
            schema["x-tulou-sensitive"] = True
        if description := "\n\n".join(filter(None, [*text, schema.get("description", "")])):
            schema["description"] = description
        if read_only:
            schema["readOnly"] = True
        return schema

    def enum(self, enum: EnumDescriptor, strip: str = "") -> Schema:
        """A reference to the schema of an enum, which lists what each value means. `strip` is cut off their names."""
        name = enum.full_name.removeprefix("tulou.")
        values = [value.name.removeprefix(strip) for value in enum.values]
        lines = [
            f"- `{shown}`: {' '.join(self.api.comments.get(f'{enum.full_name}.{value.name}', '').split())}"
            for shown, value in zip(values, enum.values, strict=True)
        ]
        text = "\n\n".join(filter(None, [self.api.comments.get(enum.full_name, ""), "\n".join(lines)]))
        self.components[name] = {"type": "string", "enum": values, "description": text}
        return {"$ref": f"#/components/schemas/{name}"}

    def _value(self, field: FieldDescriptor, mode: Mode) -> Schema:
        kind = field.message_type
        if kind and kind.GetOptions().map_entry:
            return self._value(kind.fields_by_name["value"], mode)
        if held := _HELD.get(field.full_name):
            return self._any(self.api.pool.FindMessageTypeByName(held))
        if kind:
            return self.message(kind, mode)
        if field.enum_type:
            return self.enum(field.enum_type)
        return dict(_SCALARS[field.type])

    def _any(self, held: Descriptor) -> Schema:
        """A google.protobuf.Any that holds this message: its fields beside its name."""
        name = {"const": f"type.googleapis.com/{held.full_name}"}
        return {
            **self.message(held, Mode.ANSWER),
            "type": "object",
            "properties": {"@type": name},
            "required": ["@type"],
        }

    def _text(self, full_name: str) -> Schema:
        text = self.api.comments.get(full_name)
        return {"description": text} if text else {}


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request without it is refused."""
    return field_behavior_pb2.REQUIRED in _behaviors(field)


def is_sensitive(field: FieldDescriptor) -> bool:
    """Whether it holds personal data."""
    return bool(field.GetOptions().Extensions[field_pb2.sensitive])


def is_map(field: FieldDescriptor) -> bool:
    """Whether it is written as a JSON object with free keys."""
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _type_name(field: FieldDescriptor) -> str:
    return field.message_type.full_name if field.message_type else ""


def _behaviors(field: FieldDescriptor) -> Collection[int]:
    behaviors: Collection[int] = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return behaviors


def _bounds(field: FieldDescriptor) -> tuple[Schema, list[str]]:
    """JSON Schema's words for the field's rule, and sentences for what it has no words for."""
    rule = field.GetOptions().Extensions[field_pb2.rule]
    required, text = is_required(field), field.type == FieldDescriptor.TYPE_STRING
    bounds: Schema = dict(_FORMATS.get(rule.format, {}))
    notes = []
    if rule.pattern:
        bounds["pattern"] = f"^(?:{rule.pattern})$"
        notes.append(f"Form: {rule.pattern_en}.")
    if rule.min_length:
        bounds["minLength"] = rule.min_length
    elif text and required and "pattern" not in bounds:
        bounds["minLength"] = 1
    if rule.max_length:
        bounds["maxLength"] = rule.max_length
    if "pattern" in bounds and not required and not field.is_repeated:
        # The service takes an empty optional field for an absent one.
        bounds["pattern"] = f"{bounds['pattern'][:-1]}?$"
    if field.is_repeated:
        bounds |= {"minItems": 1} if required else {}
        bounds |= {"maxItems": rule.max_items} if rule.max_items else {}
    limits = {"minimum": rule.minimum} if rule.HasField("minimum") else {}
    limits |= {"maximum": rule.maximum} if rule.HasField("maximum") else {}
    if limits and _SCALARS[field.type] is _INT64:
        notes.append(", ".join(f"{word} {number}" for word, number in limits.items()).capitalize() + ".")
    else:
        bounds |= limits
    if rule.max_depth or rule.max_bytes:
        notes.append(f"At most {rule.max_depth} levels deep and {rule.max_bytes} bytes as JSON.")
    return bounds, notes
