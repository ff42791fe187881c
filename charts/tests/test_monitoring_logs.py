"""docs/logs.md against the code: every event that is logged, with its levels and fields, and no other."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tulou_city.layout import ROOT

PAGE: Final = (ROOT / "docs/logs.md").read_text()
ROW: Final = re.compile(r"^\| `(\w+)` \| (-|[\w, ]+) \| (.+?) \| (.+) \|$", re.MULTILINE)
LEVELS: Final = {"debug", "info", "warning", "error", "exception", "critical"}
# On every line: what is bound, and what makes the traceback.
COMMON: Final = {"service", "exc_info"}
# What is logged with `**`, where the code does not show the names.
SPREAD: Final = {
    "cleaned": {"idempotency", "inbox", "outbox"},
    "event_failed": {"handler"},
    "event_buried": {"handler"},
}


@cache
def logged() -> dict[str, tuple[set[str], set[str]]]:
    """The levels and fields of every event in the code."""
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for path in _sources():
        tree = ast.parse(path.read_text(), str(path))
        for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
            for call in _log_calls(function):
                for event in _names(call, function, tree):
                    levels, fields = found[event]
                    levels |= _levels(call)
                    fields |= {keyword.arg for keyword in call.keywords if keyword.arg} - COMMON
                    fields |= SPREAD.get(event, set())
    return found


def _sources() -> list[Path]:
    folders = [*ROOT.glob("services/*/tulou_*"), *ROOT.glob("gateway/tulou_*"), *ROOT.glob("city/tulou_*")]
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*.py"))]


def _log_calls(function: ast.AST) -> Iterator[ast.Call]:
    """Those of the function itself; a function inside it has its own turn."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
            and node.func.attr in LEVELS | {"log"}
        ):
            yield node
        yield from _log_calls(node)


def _levels(call: ast.Call) -> set[str]:
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr == "log":
        return {
            node.attr.lower()
            for node in ast.walk(call.args[0])
            if isinstance(node, ast.Attribute) and node.attr.lower() in LEVELS
        }
    return {"error" if call.func.attr == "exception" else call.func.attr}


def _names(call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> set[str]:
    """The event, or where it is an argument of the function, those that the module calls the function with."""
    assert isinstance(call.func, ast.Attribute)
    told = call.args[1 if call.func.attr == "log" else 0]
    if isinstance(told, ast.Name):
        place = [argument.arg for argument in function.args.args if argument.arg != "self"].index(told.id)
        callers = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == function.name
        ]
        return {_constant(caller.args[place]) for caller in callers}
    return {_constant(told)}


def _constant(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant), f"line {node.lineno}: an event's name is a constant"
    return str(node.value)


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """The same as the page tells it."""
    return {
        event: (set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields)))
        for event, levels, fields, _ in ROW.findall(PAGE)
        if event != "request"
    }


def test_every_event_in_the_code_is_documented_and_every_documented_one_is_in_the_code() -> None:
    assert set(documented()) == set(logged())
    assert len(logged()) > 30


@pytest.mark.parametrize("event", documented())
def test_levels_and_fields_are_those_of_the_code(event: str) -> None:
    assert documented()[event] == logged()[event]


def test_events_are_named_once_and_in_one_way() -> None:
    names = [event for event, *_ in ROW.findall(PAGE)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)


def test_the_access_log_is_documented_field_by_field() -> None:
    source = (ROOT / "gateway/envoy.yaml").read_text()
    block = re.search(r"json_format:\n((?: +\w+: .+\n)+)", source)
    assert block
    in_code = re.findall(r"^ +(\w+):", block[1], flags=re.MULTILINE)
    (fields,) = [fields for event, _, fields, _ in ROW.findall(PAGE) if event == "request"]
    assert ["event", *re.findall(r"`(\w+)`", fields)] == sorted(in_code, key=lambda name: name != "event")


def test_an_undocumented_event_would_be_found(tmp_path: Path) -> None:
    tree = ast.parse("def act(self, name):\n    log.info(name)\ndef run(self):\n    self.act('new_thing')\n")
    (function, _) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    (call,) = _log_calls(function)
    assert _names(call, function, tree) == {"new_thing"}
