"""Checks a request against the rules in the protos (`tulou.options.v1.rule`, REQUIRED) before anything else sees it.

Our own instead of protovalidate, because each violation is told in Chinese and in English with the rule it breaks.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple

from google.api import field_behavior_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from tulou.options.v1 import field_pb2
from tulou_chassis.errors import InvalidFields, Violation

MAX_STRING: Final = 10_000
MAX_VIOLATIONS: Final = 50
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DIVISION: Final = re.compile(r"[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12}")
_SKIPPED: Final = frozenset({"google.api.HttpBody", "google.protobuf.FieldMask", "google.protobuf.Timestamp"})

Check = Callable[[Any, str], Iterator[Violation]]


def validate(message: Message, *, path: str = "") -> None:
    """Raises InvalidFields naming every field that is missing or breaks its rule, by its path behind `path`.

    Fields of a message that comes with an `update_mask` may be missing: the merged result is checked instead.
    """
    violations = list(islice(violations_of(message, path), MAX_VIOLATIONS))
    if violations:
        raise InvalidFields(violations)


def violations_of(message: Message, path: str = "", *, required: bool = True) -> Iterator[Violation]:
    """All violations below `message`, in field order."""
    # What is empty is not among them, except for fields that know whether they were set.
    given = {field.number: value for field, value in message.ListFields()}
    for field in _plan(message.DESCRIPTOR):
        value = given.get(field.number)
        if value is None and not (field.required and required):
            continue
        where = f"{path}.{field.name}" if path else field.name
        if value is None:
            yield Violation(where, "required", "必填。", "Required.")
            continue
        yield from field.check(value, where)
        if field.nested:
            whole = required and "update_mask" not in message.DESCRIPTOR.fields_by_name
            for index, entry in enumerate(value) if field.repeated else ((None, value),):
                yield from violations_of(entry, where if index is None else f"{where}[{index}]", required=whole)


class _Field(NamedTuple):
    """What is to be done about a field."""

    number: int
    name: str
    required: bool
    repeated: bool
    nested: bool
    check: Check


@cache
def _plan(descriptor: Descriptor) -> tuple[_Field, ...]:
    fields = map(_field_plan, descriptor.fields)
    return tuple(field for field in fields if field.required or field.nested or field.check is not _unchecked)


def _field_plan(field: FieldDescriptor) -> _Field:
    options = field.GetOptions()
    behaviours = options.Extensions[field_behavior_pb2.field_behavior]
    output_only = field_behavior_pb2.OUTPUT_ONLY in behaviours
    kind = field.message_type
    nested = (
        kind is not None
        and not output_only
        and not kind.full_name.startswith("google.protobuf.Struct")
        and kind.full_name not in _SKIPPED
        and not kind.GetOptions().map_entry
    )
    check = _unchecked if output_only else _field_check(field, options.Extensions[field_pb2.rule])
    required = field_behavior_pb2.REQUIRED in behaviours
    return _Field(field.number, field.name, required, field.is_repeated, nested, check)


def _unchecked(_value: Any, _where: str) -> Iterator[Violation]:
    return iter(())


def _field_check(field: FieldDescriptor, rule: field_pb2.FieldRule) -> Check:
    checks = list(_checks(field, rule))
    if not field.is_repeated:

        def check(value: Any, where: str) -> Iterator[Violation]:
            for one in checks:
                yield from one(value, where)

        return check

    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry

    def check_all(values: Any, where: str) -> Iterator[Violation]:
        if rule.max_items and len(values) > rule.max_items:
            zh, en = f"最多 {rule.max_items} 项。", f"At most {rule.max_items} entries."
            yield Violation(where, "max_items", zh, en)
        elif is_map:
            texts = (text for pair in values.items() for text in pair if isinstance(text, str))
            if any(map(_CONTROL.search, texts)):
                yield _control_characters(where)
        elif checks:
            for index, value in enumerate(values):
                for one in checks:
                    yield from one(value, f"{where}[{index}]")

    return check_all


def _checks(field: FieldDescriptor, rule: field_pb2.FieldRule) -> Iterable[Check]:
    """The checks of one value of the field."""
    if field.type == field.TYPE_STRING:
        yield _string_check(rule)
    elif field.enum_type is not None:
        known = field.enum_type.values_by_number
        yield _bound(lambda value: value not in known, "enum", "不是已定义的取值。", "Not one of the defined values.")
    elif field.message_type is not None and field.message_type.full_name == Struct.DESCRIPTOR.full_name:
        yield _struct_check(rule)
    else:
        if rule.HasField("minimum"):
            yield _bound(
                lambda value: value < rule.minimum, "minimum", f"不得小于 {rule.minimum}。", f"At least {rule.minimum}."
            )
        if rule.HasField("maximum"):
            yield _bound(
                lambda value: value > rule.maximum, "maximum", f"不得大于 {rule.maximum}。", f"At most {rule.maximum}."
            )


def _bound(breaks: Callable[[Any], bool], name: str, zh: str, en: str) -> Check:
    def check(value: Any, where: str) -> Iterator[Violation]:
        if breaks(value):
            yield Violation(where, name, zh, en)

    return check


def _control_characters(where: str) -> Violation:
    return Violation(where, "no_control_characters", "不得含控制字符。", "No control characters.")


def _string_check(rule: field_pb2.FieldRule) -> Check:
    longest = rule.max_length or MAX_STRING
    pattern = re.compile(rule.pattern) if rule.pattern else None

    def check(value: str, where: str) -> Iterator[Violation]:
        if len(value) > longest:
            yield Violation(where, "max_length", f"不得超过 {longest} 个字符。", f"At most {longest} characters.")
        elif len(value) < rule.min_length:
            yield Violation(
                where, "min_length", f"至少 {rule.min_length} 个字符。", f"At least {rule.min_length} characters."
            )
        elif _CONTROL.search(value):
            yield _control_characters(where)
        elif pattern is not None and not pattern.fullmatch(value):
            yield Violation(where, "pattern", f"应为{rule.pattern_zh}。", f"Must be {rule.pattern_en}.")
        elif rule.format == field_pb2.FORMAT_UUID and not _UUID.fullmatch(value):
            yield Violation(where, "format", "应为小写 UUID。", "Must be a UUID in lower case.")
        elif rule.format == field_pb2.FORMAT_DATE and not _is_date(value):
            yield Violation(where, "format", "应为 YYYY-MM-DD 格式的日期。", "Must be a date as YYYY-MM-DD.")
        elif rule.format == field_pb2.FORMAT_DIVISION_CODE and not _DIVISION.fullmatch(value):
            yield Violation(
                where, "format", "应为 4、6、9 或 12 位区划代码。", "Must be a division code of 4, 6, 9 or 12 digits."
            )

    return check


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _struct_check(rule: field_pb2.FieldRule) -> Check:
    deepest = rule.max_depth or 16
    largest = rule.max_bytes or 65_536

    def check(value: Struct, where: str) -> Iterator[Violation]:
        if value.ByteSize() > largest:
            yield Violation(where, "max_bytes", f"不得超过 {largest} 字节。", f"At most {largest} bytes.")
            return
        entries: list[tuple[Struct | ListValue | Value, int]] = [(value, 1)]
        while entries:
            node, depth = entries.pop()
            if depth > deepest:
                yield Violation(
                    where, "max_depth", f"嵌套不得超过 {deepest} 层。", f"At most {deepest} levels of nesting."
                )
                return
            if isinstance(node, Struct):
                if any(_CONTROL.search(key) for key in node.fields):
                    yield _control_characters(where)
                    return
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
                    yield Violation(where, "finite", "数值须为有限数。", "Numbers must be finite.")
                    return
                case "string_value" if _CONTROL.search(node.string_value):
                    yield _control_characters(where)
                    return

    return check
