"""The tables of lua/body_check.lua: which JSON names a body may hold, from the descriptors, and the words of its refusals."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tulou_gateway.access import HTTP_BODY
from tulou_gateway.descriptors import Binding, Rpc
from tulou_gateway.replies import LANGUAGES, REPLIES

# What the check finds: (rule, Chinese, English).
RULES: Final = (
    ("unknown_field", "没有这个字段。", "There is no such field."),
    ("duplicate_field", "字段重复。", "The field stands twice."),
    ("max_depth", "嵌套不得超过 32 层。", "At most 32 levels of nesting."),
    ("json", "不是有效的 JSON。", "Not valid JSON."),
)


def lua_tables(rpcs: Iterable[Rpc]) -> str:
    """Lua source of the tables that body_check.lua describes."""
    bodies = [(binding, message) for rpc in rpcs for binding in rpc.http if (message := _body(rpc, binding))]
    messages: dict[str, Descriptor] = {}
    for _, message in bodies:
        _collect(message, messages)
    return "\n".join(
        [
            "-- Generated: the tables, then lua/body_check.lua as it stands.",
            "local MESSAGES = {",
            *(f"  [{_quote(name)}] = {{{', '.join(_fields(message))}}}," for name, message in messages.items()),
            "}",
            "local BINDINGS = {",
            *(
                f"  {{{_quote(binding.verb)}, {_quote(binding.template)}, {_quote(message.full_name)}}},"
                for binding, message in bodies
            ),
            "}",
            *_replies(),
            "",
        ]
    )


def _body(rpc: Rpc, binding: Binding) -> Descriptor | None:
    """The message that the body of a call holds; None where there is no body, or one that is no JSON."""
    if binding.body == "*":
        return rpc.request
    field = rpc.request.fields_by_name[binding.body] if binding.body else None
    if field is None or field.message_type is None or field.message_type.full_name == HTTP_BODY:
        return None
    return field.message_type


def _collect(message: Descriptor, into: dict[str, Descriptor]) -> None:
    if message.full_name in into:
        return
    into[message.full_name] = message
    for field in message.fields:
        if nested := _nested(field):
            _collect(nested, into)


def _nested(field: FieldDescriptor) -> Descriptor | None:
    """The message whose fields an object in this field must have; None for a value and for free JSON."""
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        message = message.fields_by_name["value"].message_type
    # The well-known types have a JSON form of their own: one value, or free JSON.
    return None if message is None or message.full_name.startswith("google.protobuf.") else message


def _fields(message: Descriptor) -> Iterator[str]:
    for field in message.fields:
        nested = _nested(field)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        entry = [_quote(field.name), _quote(nested.full_name) if nested else "false", "true" if is_map else "false"]
        for name in dict.fromkeys((field.name, field.json_name)):
            yield f"[{_quote(name)}] = {{{', '.join(entry)}}}"


def _replies() -> Iterator[str]:
    by_status = {reply.http: reply for reply in REPLIES}
    for language in LANGUAGES:
        refusal = replace(by_status[400], violation=("@field@", "@rule@", "@what@", "@what@")).body(language)
        media_type = by_status[415].body(language)
        words = {rule: en if language == "en" else zh for rule, zh, en in RULES}
        name = "EN" if language == "en" else "ZH"
        yield f"local {name} = {{"
        yield f"  refusal = {_quote(json.dumps(refusal, ensure_ascii=False))},"
        yield f"  media_type = {_quote(json.dumps(media_type, ensure_ascii=False))},"
        yield f"  words = {{{', '.join(f'{rule} = {_quote(text)}' for rule, text in words.items())}}},"
        yield "}"


def _quote(text: str) -> str:
    # A Lua string is written like a JSON one as long as nothing is escaped but quotes and backslashes.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
