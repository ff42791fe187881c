"""The tables of lua/body_check.lua: which names and types a JSON body may hold, from the descriptors."""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tulou_gateway.access import HTTP_BODY
from tulou_gateway.descriptors import Binding, Rpc
from tulou_gateway.replies import BODY_CHECK

# Well-known types whose JSON is no object with their fields. The wrappers are left to the transcoder.
_OWN_JSON = {
    "google.protobuf.Duration": "string",
    "google.protobuf.FieldMask": "string",
    "google.protobuf.ListValue": "array",
    "google.protobuf.Struct": "object",
    "google.protobuf.Timestamp": "string",
}


def lua_tables(rpcs: Iterable[Rpc]) -> str:
    """Lua source of the tables that body_check.lua describes."""
    bodies = [(binding, message) for rpc in rpcs for binding in rpc.http if (message := _body(rpc, binding))]
    messages: dict[str, Descriptor] = {}
    for _, message in bodies:
        _collect(message, messages)
    lines = [
        "-- Generated tables, then lua/body_check.lua as it stands.",
        f"local NAMESPACE = {_quote(BODY_CHECK)}",
        "local MESSAGES = {",
        *(f"  [{_quote(name)}] = {{{', '.join(_fields(message))}}}," for name, message in messages.items()),
        "}",
        "local BINDINGS = {",
        *(
            f"  {{{_quote(binding.verb)}, {_quote(binding.template)}, {_quote(message.full_name)}}},"
            for binding, message in bodies
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _body(rpc: Rpc, binding: Binding) -> Descriptor | None:
    """The message that the body of a call holds; None where there is no body, or one that is no JSON."""
    if binding.body == "*":
        return rpc.request
    field = rpc.request.fields_by_name[binding.body] if binding.body else None
    message = field.message_type if field else None
    return None if message is None or message.full_name == HTTP_BODY else message


def _collect(message: Descriptor, into: dict[str, Descriptor]) -> None:
    if message.full_name not in into:
        into[message.full_name] = message
        for field in message.fields:
            nested = _element(field).message_type
            if nested is not None and not nested.full_name.startswith("google.protobuf."):
                _collect(nested, into)


def _element(field: FieldDescriptor) -> FieldDescriptor:
    """The field itself, or the values of a map field."""
    entry = field.message_type
    return entry.fields_by_name["value"] if entry is not None and entry.GetOptions().map_entry else field


def _fields(message: Descriptor) -> Iterator[str]:
    for field in message.fields:
        element = _element(field)
        around = "map" if element is not field else "list" if field.is_repeated else ""
        entry = ", ".join(_quote(text) for text in (field.name, _kind(element), around))
        for name in dict.fromkeys((field.name, field.json_name)):
            yield f"[{_quote(name)}] = {{{entry}}}"


def _kind(field: FieldDescriptor) -> str:
    """The full name of a message, else what the JSON value is: string, number, bool, enum, object, array or any."""
    if field.message_type is not None:
        name = field.message_type.full_name
        return _OWN_JSON.get(name, "any") if name.startswith("google.protobuf.") else name
    if field.enum_type is not None:
        return "enum"
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        return "string"
    return "bool" if field.type == field.TYPE_BOOL else "number"


def _quote(text: str) -> str:
    # Names and path templates have no quotes, backslashes or control characters.
    return f'"{text}"'
