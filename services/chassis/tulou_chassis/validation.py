"""Checks a request against the rules in the protos (`tulou.options.v1.rule`, REQUIRED) before anything else sees it.

Our own instead of protovalidate, because each violation is told in Chinese and in English with the rule it breaks.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from typing import Any, Final, NamedTuple

from google.api import field_behavior_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from tulou.options.v1 import field_pb2
from tulou_chassis.violations import InvalidFields, Violation

MAX_STRING: Final = 10_000
MAX_VIOLATIONS: Final = 50
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIVISION: Final = re.compile(r"[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12}")
_SKIPPED: Final = frozenset(
    {"google.api.HttpBody", "google.protobuf.FieldMask", "google.protobuf.Struct", "google.protobuf.Timestamp"}
)

# The rule that a value breaks, with what it says in Chinese and in English; None when it breaks none.
Breach = tuple[str, str, str]
Check = Callable[[Any], Breach | None]
_CONTROL_CHARACTERS: Final = ("no_control_characters", "不得含控制字符。", "No control characters.")


class _Field(NamedTuple):
    """What is to be done about a field."""

    number: int
    name: str
    required: bool
    repeated: bool
    nested: bool
    # Its message is an update, whose fields may be missing.
    masked: bool
    check: Check | None
    check_each: Check | None


def validate(message: Message, *, path: str = "") -> None:
    """Raises InvalidFields naming every field that is missing or breaks its rule, by its path behind `path`.

    Fields of a message that comes with an `update_mask` may be missing: the merged result is checked instead.
    """
    if violations := violations_of(message, path):
        raise InvalidFields(violations)


def violations_of(message: Message, path: str = "") -> list[Violation]:
    """What is wrong below `message`, in field order; at most MAX_VIOLATIONS."""
    found: list[Violation] = []
    _collect(found, message, path and f"{path}.", required=True)
    return found[:MAX_VIOLATIONS]


def _collect(found: list[Violation], message: Message, path: str, *, required: bool) -> None:
    # What is empty is not among them, except for fields that know whether they were set.
    given = {field.number: value for field, value in message.ListFields()}
    for field in _plan(message.DESCRIPTOR):
        value = given.get(field.number)
        if value is None:
            if field.required and required:
                found.append(Violation(f"{path}{field.name}", "required", "必填。", "Required."))
            continue
        where, below = f"{path}{field.name}", required and not field.masked
        if field.check and (breach := field.check(value)):
            found.append(Violation(where, *breach))
        elif field.repeated:
            _collect_entries(found, field, value, where, required=below)
        elif field.nested:
            _collect(found, value, f"{where}.", required=below)


def _collect_entries(
    found: list[Violation], field: _Field, entries: Sequence[Any], where: str, *, required: bool
) -> None:
    for index, entry in enumerate(entries):
        if len(found) >= MAX_VIOLATIONS:
            return
        if field.check_each and (breach := field.check_each(entry)):
            found.append(Violation(f"{where}[{index}]", *breach))
        elif field.nested:
            _collect(found, entry, f"{where}[{index}].", required=required)


@cache
def _plan(descriptor: Descriptor) -> tuple[_Field, ...]:
    fields = [_field_plan(field, descriptor) for field in descriptor.fields]
    return tuple(field for field in fields if field.required or field.nested or field.check or field.check_each)


def _field_plan(field: FieldDescriptor, message: Descriptor) -> _Field:
    options, kind = field.GetOptions(), field.message_type
    behaviours, rule = options.Extensions[field_behavior_pb2.field_behavior], options.Extensions[field_pb2.rule]
    output_only = field_behavior_pb2.OUTPUT_ONLY in behaviours
    is_map = kind is not None and kind.GetOptions().map_entry
    check = None if output_only or is_map else _value_check(field, rule)
    return _Field(
        number=field.number,
        name=field.name,
        required=field_behavior_pb2.REQUIRED in behaviours,
        repeated=field.is_repeated and not is_map,
        nested=kind is not None and not output_only and not is_map and kind.full_name not in _SKIPPED,
        masked="update_mask" in message.fields_by_name,
        check=check if not field.is_repeated else None if output_only else _count_check(rule, is_map=is_map),
        check_each=check if field.is_repeated else None,
    )


def _value_check(field: FieldDescriptor, rule: field_pb2.FieldRule) -> Check | None:
    """The check of one value of the field."""
    if field.type == field.TYPE_STRING:
        return _string_check(rule)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number
        unknown = ("enum", "不是已定义的取值。", "Not one of the defined values.")
        return lambda value: None if value in known else unknown
    if field.message_type is not None and field.message_type.full_name == Struct.DESCRIPTOR.full_name:
        return _struct_check(rule)
    if rule.HasField("minimum") or rule.HasField("maximum"):
        return _number_check(rule)
    return None


def _number_check(rule: field_pb2.FieldRule) -> Check:
    least = rule.minimum if rule.HasField("minimum") else -math.inf
    most = rule.maximum if rule.HasField("maximum") else math.inf

    def check(value: float) -> Breach | None:
        if value < least:
            return "minimum", f"不得小于 {least}。", f"At least {least}."
        if value > most:
            return "maximum", f"不得大于 {most}。", f"At most {most}."
        return None

    return check


def _count_check(rule: field_pb2.FieldRule, *, is_map: bool) -> Check | None:
    """The check of a repeated field or a map as a whole."""
    if not rule.max_items and not is_map:
        return None

    def check(values: Any) -> Breach | None:
        if rule.max_items and len(values) > rule.max_items:
            return "max_items", f"最多 {rule.max_items} 项。", f"At most {rule.max_items} entries."
        if is_map:
            texts = (text for pair in values.items() for text in pair if isinstance(text, str))
            if any(map(_CONTROL.search, texts)):
                return _CONTROL_CHARACTERS
        return None

    return check


def _string_check(rule: field_pb2.FieldRule) -> Check:
    longest = rule.max_length or MAX_STRING
    pattern = re.compile(rule.pattern) if rule.pattern else None

    def check(value: str) -> Breach | None:
        if len(value) > longest:
            return "max_length", f"不得超过 {longest} 个字符。", f"At most {longest} characters."
        if len(value) < rule.min_length:
            return "min_length", f"至少 {rule.min_length} 个字符。", f"At least {rule.min_length} characters."
        if _CONTROL.search(value):
            return _CONTROL_CHARACTERS
        if pattern is not None and not pattern.fullmatch(value):
            return "pattern", f"应为{rule.pattern_zh}。", f"Must be {rule.pattern_en}."
        if rule.format == field_pb2.FORMAT_UUID and not _UUID.fullmatch(value):
            return "format", "应为小写 UUID。", "Must be a UUID in lower case."
        if rule.format == field_pb2.FORMAT_DATE and not _is_date(value):
            return "format", "应为 YYYY-MM-DD 格式的日期。", "Must be a date as YYYY-MM-DD."
        if rule.format == field_pb2.FORMAT_DIVISION_CODE and not _DIVISION.fullmatch(value):
            return "format", "应为 4、6、9 或 12 位区划代码。", "Must be a division code of 4, 6, 9 or 12 digits."
        return None

    return check


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _struct_check(rule: field_pb2.FieldRule) -> Check:
    deepest = rule.max_depth or 16
    largest = rule.max_bytes or 65_536

    def check(value: Struct) -> Breach | None:
        if value.ByteSize() > largest:
            return "max_bytes", f"不得超过 {largest} 字节。", f"At most {largest} bytes."
        entries: list[tuple[Struct | ListValue | Value, int]] = [(value, 1)]
        while entries:
            node, depth = entries.pop()
            if depth > deepest:
                return "max_depth", f"嵌套不得超过 {deepest} 层。", f"At most {deepest} levels of nesting."
            if isinstance(node, Struct):
                if any(map(_CONTROL.search, node.fields)):
                    return _CONTROL_CHARACTERS
                entries.extend((child, depth) for child in node.fields.values())
                continue
            if isinstance(node, ListValue):
                entries.extend((child, depth) for child in node.values)
                continue
            match node.WhichOneof("kind"):
                case "struct_value":
                    entries.append((node.struct_value, depth + 1))
                case "list_value":
                    entries.append((node.list_value, depth + 1))
                case "number_value" if not math.isfinite(node.number_value):
                    return "finite", "数值须为有限数。", "Numbers must be finite."
                case "string_value" if _CONTROL.search(node.string_value):
                    return _CONTROL_CHARACTERS
        return None

    return check
