"""The runbook has what the alerts link to."""

import re
from typing import Final

import pytest

from charts.tests.monitoring import alerts
from tulou_city.layout import ROOT

RUNBOOK: Final = (ROOT / "docs/runbook.md").read_text()
SECTIONS: Final = {
    section.partition("\n")[0].strip(): section for section in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]
}


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert set(SECTIONS) == set(alerts())


def test_alerts_link_to_their_sections() -> None:
    for name, alert in alerts().items():
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_says_how_bad_it_is_for_whom_where_to_look_and_what_to_do(name: str) -> None:
    for part in (f"\n`{alerts()[name]['labels']['severity']}` · ", "\n**Citizens** ", "\n**Look** ", "\n**Do** "):
        assert SECTIONS[name].count(part) == 1, part


def test_links_inside_the_runbook_lead_somewhere() -> None:
    anchors = {name.lower() for name in SECTIONS}
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= anchors
    assert all((ROOT / "docs" / path).exists() for path in re.findall(r"\]\((\w+\.md)\)", RUNBOOK))
