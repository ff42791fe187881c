"""The alerts, as the chart renders them: promtool reads them, and each fires when it should and not before."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from charts.tests import rendering
from charts.tests.monitoring import NAMESPACE, alerts, groups, rules, run_promtool, selectors
from e2e.clients import METHODS
from e2e.providers.tools import helm, promtool
from tulou_city.layout import ROOT

CASES: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "monitoring_cases.yaml").read_text())
LANGUAGES: Final = {"summary", "description", "summary_en", "description_en"}


@cache
def _specs(settings: str = "") -> list[dict[str, Any]]:
    """The spec of each PrometheusRule, with some values of the production profile changed."""
    arguments = (*rendering.PROFILES["production"], *([f"--set={settings}"] if settings else []))
    objects = rendering.manifests(rendering.render(str(helm()), arguments))
    return [rule["spec"] for rule in rendering.of_kind(objects, "PrometheusRule")]


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    for number, spec in enumerate(_specs()):
        path = tmp_path / f"rules-{number}.yaml"
        path.write_text(yaml.safe_dump(spec, allow_unicode=True))
        assert not run_promtool(promtool(), "check", "rules", "--lint=all", "--lint-fatal", path)


def test_promtool_refuses_a_broken_rule(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("groups: [{name: broken, rules: [{alert: Broken, expr: 'sum(up', labels: {severity: page}}]}]")
    assert "parse error" in run_promtool(promtool(), "check", "rules", path)


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.findall(r"<[a-z-]+>", yaml.safe_dump(groups()))


@pytest.mark.parametrize("name", CASES)
def test_every_alert_says_how_bad_it_is_and_what_happened_in_both_languages(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(alert["annotations"]) == LANGUAGES | {"runbook_url"}
    assert re.search("[一-龥]", alert["annotations"]["summary"])
    assert not re.search("[一-龥]", alert["annotations"]["summary_en"] + alert["annotations"]["description_en"])


def test_every_alert_has_cases() -> None:
    assert set(CASES) == set(alerts())
    assert not [name for name, cases in CASES.items() if not (cases.get("fires") and cases.get("quiet"))]


@pytest.mark.parametrize("name", CASES)
def test_alerts_fire_when_they_should_and_not_before(name: str, tmp_path: Path) -> None:
    assert not run_promtool(promtool(), "test", "rules", *_test_files(tmp_path, name))


def test_a_case_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    path, *_ = _test_files(tmp_path, "TulouDeadLetters")
    told = yaml.safe_load(path.read_text())
    told["tests"][0]["alert_rule_test"][0]["exp_alerts"] = []
    path.write_text(yaml.safe_dump(told))
    assert "TulouDeadLetters" in run_promtool(promtool(), "test", "rules", path)


def test_calls_that_stream_and_no_others_are_left_out_of_the_latency() -> None:
    (pattern,) = {value for label, _, value in _matchers() if label in {"rpc_method", "grpc_method"}}
    streams = {method.name for method in METHODS.values() if method.client_streaming or method.server_streaming}
    assert {method.name for method in METHODS.values() if re.fullmatch(pattern, method.name)} == streams


def test_the_timers_that_wake_somebody_are_timers_of_the_services() -> None:
    sources = "".join(path.read_text() for path in ROOT.glob("services/*/tulou_*/consumers.py"))
    (pattern,) = {value for label, _, value in _matchers() if label == "timer"}
    assert set(pattern.split("|")) < set(re.findall(r'@timer\("([^"]+)"', sources))


def _matchers() -> list[tuple[str, str, str]]:
    return [matcher for rule in rules() for _, matchers in selectors(rule["expr"]) for matcher in matchers]


def _test_files(folder: Path, name: str) -> list[Path]:
    """promtool's files for one alert, one for each case, each with its rules beside it."""
    paths = []
    for kind in ("fires", "quiet"):
        for number, case in enumerate(CASES[name][kind]):
            expected = [_expected(name, case)] if kind == "fires" else []
            step = case.get("interval", "1m")
            test = {
                "interval": step,
                "input_series": [
                    {"series": _in_namespace(key), "values": text} for key, text in case["series"].items()
                ],
                "alert_rule_test": [{"eval_time": case["at"], "alertname": name, "exp_alerts": expected}],
            }
            (spec,) = [
                spec
                for spec in _specs(case.get("set", ""))
                if any(rule.get("alert") == name for group in spec["groups"] for rule in group["rules"])
            ]
            rules_file = folder / f"rules-{kind}-{number}.yaml"
            rules_file.write_text(yaml.safe_dump(spec, allow_unicode=True))
            told = {"rule_files": [str(rules_file)], "evaluation_interval": step, "tests": [test]}
            paths.append(folder / f"{kind}-{number}.yaml")
            paths[-1].write_text(yaml.safe_dump(told, allow_unicode=True))
    return paths


def _in_namespace(series: str) -> str:
    return series if "namespace=" in series else series.replace("{", f'{{namespace="{NAMESPACE}", ', 1)


def _expected(name: str, case: dict[str, Any]) -> dict[str, Any]:
    """A case that fires says the labels beside namespace and severity, and what the value reads like in the texts."""
    alert = alerts()[name]
    labels = alert["labels"] | case.get("labels", {})

    def fill(text: str) -> str:
        text = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels.get(found[1], ""), text)
        return re.sub(r"{{ \$value[^}]* }}", str(case.get("value", "")), text)

    return {
        "exp_labels": labels,
        "exp_annotations": {key: fill(text) for key, text in alert["annotations"].items()},
    }
