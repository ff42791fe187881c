"""The dashboards, as the chart renders them for Grafana."""

from pathlib import Path

import yaml

from charts.tests.monitoring import dashboards, expressions, manifests, run_promtool
from e2e.providers.tools import promtool

# Links and bookmarks go by them.
UIDS = {"tulou-overview", "tulou-service", "tulou-events", "tulou-gateway"}


def test_dashboards_keep_their_addresses() -> None:
    assert {dashboard["uid"] for dashboard in dashboards().values()} == UIDS
    assert set(dashboards()) == {f"{uid}.json" for uid in UIDS}


def test_panels_lie_beside_each_other_and_inside_the_page() -> None:
    for name, dashboard in dashboards().items():
        places = [panel["gridPos"] for panel in dashboard["panels"]]
        cells = [
            (x, y)
            for place in places
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)), name
        assert max(x for x, _ in cells) < 24, name
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(places), name


def test_every_panel_asks_something_in_prometheus_language(tmp_path: Path) -> None:
    rules = [{"record": f"panel_{number}", "expr": text} for number, text in enumerate(expressions().values())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}, allow_unicode=True))
    assert not run_promtool(promtool(), "check", "rules", path)
    assert "$" not in path.read_text()


def test_every_variable_that_a_panel_asks_for_can_be_chosen() -> None:
    for name, dashboard in dashboards().items():
        chosen = {variable["name"] for variable in dashboard["templating"]["list"]}
        asked = {word for word in ("namespace", "component") if f"${word}" in str(dashboard["panels"])}
        assert asked <= chosen, name


def test_a_config_map_is_far_below_its_bound() -> None:
    # Kubernetes refuses a megabyte, and server-side notes of it a quarter of that.
    assert all(len(str(found["data"])) < 100_000 for found in manifests("ConfigMap"))
