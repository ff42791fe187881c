"""What README and schema say of the values is what values.yaml says."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from charts.readme import CHART, comments, described, layout, readme, table

VALUES = (CHART / "values.yaml").read_text()
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def test_the_readme_is_current() -> None:
    page = (CHART / "README.md").read_text()
    assert page == readme(page, VALUES), "run: python charts/readme.py"


def test_the_schemas_descriptions_are_current() -> None:
    text = (CHART / "values.schema.json").read_text()
    assert text == layout(described(json.loads(text), VALUES)) + "\n", "run: python charts/readme.py"


def test_a_comment_belongs_to_the_key_right_below_it() -> None:
    text = "# Of the file.\n\n# Of a,\n# still.\na:\n  b: 1\n  # Of c\n  c: {d: 2}\ne: 3\n"
    assert comments(text) == {"a": "Of a, still.", "a.b": "", "a.c": "Of c", "e": ""}
    assert table(text).splitlines()[2:] == [
        "| `a` |  | Of a, still. |",
        "| `a.b` | `1` |  |",
        '| `a.c` | `{"d": 2}` | Of c |',
        "| `e` | `3` |  |",
    ]


def test_every_value_can_be_read_about() -> None:
    rows = [row.split(" | ") for row in table(VALUES).splitlines()[2:]]
    keys = {row[0].strip("| `") for row in rows}
    values = yaml.safe_load(VALUES)
    del values["services"]
    for section, content in values.items():
        for key in content if isinstance(content, dict) else []:
            assert f"{section}.{key}" in keys or any(each.startswith(f"{section}.{key}.") for each in keys)


def test_no_unknown_key_passes_the_schema() -> None:
    """Every object says which keys it has: by name, by a pattern, or any as long as their values are text."""
    objects = list(_objects(SCHEMA))
    assert len(objects) > 40
    for each in objects:
        # `global` is Helm's own, for charts that hold this one.
        if each is not SCHEMA["properties"]["global"]:
            assert each.get("additionalProperties") in (False, {"type": "string"}), each


def _objects(place: object) -> Iterator[dict[str, Any]]:
    if isinstance(place, dict):
        if place.get("type") == "object":
            yield place
        yield from (each for inner in place.values() for each in _objects(inner))
    if isinstance(place, list):
        yield from (each for inner in place for each in _objects(inner))
