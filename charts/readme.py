"""Writes what values.yaml says of its keys into the chart's README and into its schema: `python charts/readme.py`."""

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parent / "tulou"
BEGIN: Final = "<!-- Made from values.yaml by charts/readme.py -->\n"
WIDTH: Final = 120


def comments(text: str) -> dict[str, str]:
    """The comment right above each key of a YAML file of two spaces' indent, by the key's dotted path."""
    found: dict[str, str] = {}
    path: list[str] = []
    waiting: list[str] = []
    for line in text.splitlines():
        if comment := re.match(r" *# (.*)", line):
            waiting.append(comment[1])
            continue
        if key := re.match(r"( *)([\w.]+):", line):
            path[len(key[1]) // 2 :] = [key[2]]
            found[".".join(path)] = " ".join(waiting)
        waiting = []
    return found


def table(text: str) -> str:
    """One row for each key: its path, its default, its comment. `server` speaks for what has none."""
    told, values = comments(text), yaml.safe_load(text)
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    for path, comment in told.items():
        meaning = comment or told.get(f"server.{path.partition('.')[2]}", "")
        value = values
        for key in path.split("."):
            value = value[key]
        # A section's own row has no default: its keys follow.
        section = any(other.startswith(f"{path}.") for other in told)
        if meaning or not (section or path.startswith("services.")):
            default = "" if section else f"`{json.dumps(value, ensure_ascii=False)}`"
            rows.append(f"| `{path}` | {default} | {meaning.replace('<', '&lt;').replace('|', '&#124;')} |")
    return "\n".join(rows) + "\n"


def readme(current: str, text: str) -> str:
    """The README with a fresh table behind the mark."""
    return current.partition(BEGIN)[0] + BEGIN + "\n" + table(text)


def described(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """The schema, with each key's comment as its description."""
    for path, comment in comments(text).items():
        place: dict[str, Any] | None = schema
        for key in path.split("."):
            place = place and _inner(schema, place, key)
        if place and comment:
            place["description"] = comment
    return schema


def _inner(schema: dict[str, Any], place: dict[str, Any], key: str) -> dict[str, Any] | None:
    """The schema of a key; of a service, where all are alike, but of no other key that the user names."""
    for part in [place, *place.get("allOf", [])]:
        whole = schema["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        inner: dict[str, Any] | None = whole.get("properties", {}).get(key)
        if inner is None and place is schema["properties"]["services"]:
            (inner,) = place["patternProperties"].values()
        if inner is not None:
            return inner
    return None


def layout(value: object, indent: int = 0) -> str:
    """JSON in which what fits on a line stands on one."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or len(flat) + 2 * indent + 20 <= WIDTH:
        return flat
    inner = ",\n".join(f"{'  ' * (indent + 1)}{json.dumps(k)}: {layout(v, indent + 1)}" for k, v in value.items())
    return f"{{\n{inner}\n{'  ' * indent}}}"


def main() -> None:
    """Writes both files."""
    text = (CHART / "values.yaml").read_text()
    page, schema = CHART / "README.md", CHART / "values.schema.json"
    page.write_text(readme(page.read_text(), text))
    schema.write_text(layout(described(json.loads(schema.read_text()), text)) + "\n")


if __name__ == "__main__":
    main()
