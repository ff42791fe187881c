"""Every field rule is held, every breach is named, in both languages."""

import math
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from services.chassis.tests.house import ChangeRequest, Must, Part, Rules
from tulou_chassis.validation import MAX_VIOLATIONS, validate
from tulou_chassis.violations import InvalidFields


def broken(message: Message) -> dict[str, str]:
    """{path: rule} of what is wrong."""
    try:
        validate(message)
    except InvalidFields as error:
        return {one.field: one.rule for one in error.violations if one.zh and one.en}
    return {}


def struct(**content: Any) -> Struct:
    return ParseDict(content, Struct())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"plain": "字" * 10_000, "bounded": "四字以内", "digits": "123"},
        {"plain": "line\nline\ttab\r"},
        {"uuid": "0e2f1f6a-0000-4000-8000-000000000000", "day": "2024-02-29", "division": "3506"},
        {"division": "350602"},
        {"division": "350602001"},
        {"division": "350602001001"},
        {"number": -1, "maybe": 1, "colour": 1},
        {"number": 5},
        {"words": ["a", "b", "四个字啊"], "numbers": [1, 2, 3], "colours": [1, 0]},
        {"part": {"name": "a", "inner": {"name": "b"}}, "parts": [{"name": "a"}, {"name": "b"}]},
        {"form": {"a": {"b": [1, "x", None, True]}}},
        {"labels": {"a": "1", "b": "2"}},
        {"raw": "AAAA"},
        {"answer": "longer than one", "answered": {}},
    ],
    ids=str,
)
def test_what_keeps_to_the_rules_passes(fields: dict[str, Any]) -> None:
    assert broken(ParseDict(fields, Rules())) == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"plain": "字" * 10_001}, {"plain": "max_length"}),
        ({"plain": "a\x00b"}, {"plain": "no_control_characters"}),
        ({"plain": "a\x1b[31m"}, {"plain": "no_control_characters"}),
        ({"plain": "\x7f"}, {"plain": "no_control_characters"}),
        ({"bounded": "五个字以上"}, {"bounded": "max_length"}),
        ({"bounded": "一"}, {"bounded": "min_length"}),
        ({"digits": "12"}, {"digits": "pattern"}),
        ({"digits": "1234"}, {"digits": "pattern"}),
        ({"digits": "123\n"}, {"digits": "pattern"}),
        ({"digits": "一二三"}, {"digits": "pattern"}),
        ({"uuid": "0E2F1F6A-0000-4000-8000-000000000000"}, {"uuid": "format"}),
        ({"uuid": "0e2f1f6a000040008000000000000000"}, {"uuid": "format"}),
        ({"uuid": "0e2f1f6a-0000-4000-8000-000000000000\n"}, {"uuid": "format"}),
        ({"day": "2025-02-29"}, {"day": "format"}),
        ({"day": "20240229"}, {"day": "format"}),
        ({"day": "2024-W01-1"}, {"day": "format"}),
        ({"day": "2024-2-9"}, {"day": "format"}),
        ({"division": "35"}, {"division": "format"}),
        ({"division": "35060"}, {"division": "format"}),
        ({"division": "３５０６"}, {"division": "format"}),
        ({"division": "35060a"}, {"division": "format"}),
        ({"number": -2}, {"number": "minimum"}),
        ({"number": 6}, {"number": "maximum"}),
        ({"maybe": 0}, {"maybe": "minimum"}),
        ({"colour": 9}, {"colour": "enum"}),
        ({"words": ["a", "b", "c", "d"]}, {"words": "max_items"}),
        ({"words": ["a", "五个字以上", "\x01"]}, {"words[1]": "max_length", "words[2]": "no_control_characters"}),
        ({"numbers": [1, 0]}, {"numbers[1]": "minimum"}),
        ({"colours": [1, 9]}, {"colours[1]": "enum"}),
        ({"colours": [1, 1, 1]}, {"colours": "max_items"}),
        ({"part": {}}, {"part.name": "required"}),
        ({"part": {"name": "五个字以上"}}, {"part.name": "max_length"}),
        ({"part": {"name": "a", "inner": {"name": "五个字以上"}}}, {"part.inner.name": "max_length"}),
        ({"parts": [{"name": "a"}, {}]}, {"parts[1].name": "required"}),
        ({"parts": [{"name": "a"}] * 3}, {"parts": "max_items"}),
        ({"labels": {"a": "1", "b": "2", "c": "3"}}, {"labels": "max_items"}),
        ({"labels": {"a": "\x00"}}, {"labels": "no_control_characters"}),
        ({"labels": {"\x00": "a"}}, {"labels": "no_control_characters"}),
        ({"form": {"a": {"b": {"c": {}}}}}, {"form": "max_depth"}),
        ({"form": {"a": [[[1]]]}}, {"form": "max_depth"}),
        ({"form": {"a": "字" * 100}}, {"form": "max_bytes"}),
        ({"form": {"a": ["\x00"]}}, {"form": "no_control_characters"}),
        ({"form": {"a\x00": 1}}, {"form": "no_control_characters"}),
        ({"form": {"a": {"b": "\x02"}}}, {"form": "no_control_characters"}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_breaks_a_rule_is_named(fields: dict[str, Any], expected: dict[str, str]) -> None:
    assert broken(ParseDict(fields, Rules())) == expected


def levels(depth: int) -> Struct:
    """An object that holds an object, and so on."""
    top = node = Struct()
    for _ in range(depth - 1):
        node = node.fields["a"].struct_value
    node.fields["a"].number_value = 1
    return top


def test_a_struct_has_bounds_where_no_rule_gives_any() -> None:
    assert broken(Rules(free=levels(16))) == {}
    assert broken(Rules(free=levels(17))) == {"free": "max_depth"}
    assert broken(Rules(free=levels(30))) == {"free": "max_depth"}
    assert broken(Rules(free=struct(a="x" * 65_536))) == {"free": "max_bytes"}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_know_is_refused(number: float) -> None:
    form = Struct()
    form.fields["a"].list_value.values.append(Value(number_value=number))
    assert broken(Rules(form=form)) == {"form": "finite"}


def test_an_unknown_number_of_an_enum_is_refused_wherever_it_stands() -> None:
    message = Rules()
    message.ParseFromString(b"\x48\x63")
    assert message.colour == 99
    assert broken(message) == {"colour": "enum"}


def test_all_that_is_missing_is_named_at_once() -> None:
    expected = dict.fromkeys(["text", "number", "colour", "words", "part", "yes"], "required")
    assert broken(Must()) == expected
    assert broken(Must(text="a", number=1, colour=1, words=["a"], part=Part(name="a"), yes=False)) == {}


def test_what_an_update_leaves_out_is_not_missing_but_what_it_brings_keeps_the_rules() -> None:
    message = ChangeRequest(must=Must(number=1, part=Part(inner=Part(name="五个字以上"))))
    message.update_mask.paths.append("number")
    assert broken(message) == {"must.part.inner.name": "max_length"}
    assert broken(ChangeRequest()) == {"must": "required", "update_mask": "required"}


def test_the_violations_told_are_bounded() -> None:
    assert len(broken(Rules(many=[Part()] * 500))) == MAX_VIOLATIONS


def test_both_languages_say_the_bound() -> None:
    with pytest.raises(InvalidFields) as refused:
        validate(Rules(bounded="五个字以上", digits="x", number=9))
    told = {violation.field: (violation.zh, violation.en) for violation in refused.value.violations}
    assert told == {
        "bounded": ("不得超过 4 个字符。", "At most 4 characters."),
        "digits": ("应为3 位数字。", "Must be 3 digits."),
        "number": ("不得大于 5。", "At most 5."),
    }
