"""Every hostile or broken file gives the report that is written beside it."""

import io
from datetime import date
from pathlib import Path

import pytest
import yaml

from services.credit.tests.hostile.recipes import PERSON, RECIPES
from tulou_credit.intake import read_rows
from tulou_credit.intake.report import Breach, Rejected, UnreadableFile, quarantine_csv
from tulou_credit.intake.rows import judged

_HOSTILE = Path(__file__).parents[1] / "hostile"
_FILES = {path.name: path.read_bytes for path in (_HOSTILE / "files").iterdir()}
_EXPECTED = yaml.safe_load((_HOSTILE / "expected.yaml").read_text(encoding="utf-8"))


def _report(file: bytes) -> tuple[int, list[Breach]]:
    taken, breaches = 0, []
    try:
        for record in judged(read_rows(io.BytesIO(file)), today=date(2026, 11, 22)):
            if isinstance(record, Rejected):
                breaches += record.breaches
                assert b"".join(quarantine_csv([record])).decode("utf-8-sig")
            else:
                taken += 1
    except UnreadableFile as unreadable:
        breaches += unreadable.breaches
    return taken, breaches


def test_every_file_has_its_report_and_every_report_its_file() -> None:
    assert {*_FILES, *RECIPES} == set(_EXPECTED)
    assert len(_EXPECTED) >= 50


@pytest.mark.parametrize("name", _EXPECTED)
def test_a_hostile_file_gives_its_report(name: str) -> None:
    taken, breaches = _report((_FILES | RECIPES)[name]())
    assert taken == _EXPECTED[name]["taken"]
    assert [[breach.row, breach.field, breach.reason] for breach in breaches] == _EXPECTED[name]["refused"]
    for breach in breaches:
        assert "{" not in breach.zh + breach.en
        for text in (breach.field, breach.zh, breach.en, repr(breach)):
            assert PERSON not in text
            assert "350602199001011017" not in text
