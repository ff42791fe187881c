"""Which schemas a code can work on."""

from pathlib import Path

import pytest

from tulou_approval.settings import MIGRATIONS as APPROVAL
from tulou_chassis.revisions import Revisions
from tulou_credit.settings import MIGRATIONS as CREDIT


def migrations(folder: Path, **older: str | None) -> Path:
    """A folder with migrations; for each the one before it."""
    (folder / "versions").mkdir()
    for name, before in older.items():
        told = "None" if before is None else f'"{before}"'
        (folder / "versions" / f"{name}.py").write_text(f'"""Text."""\n\nrevision = "{name}"\ndown_revision = {told}\n')
    return folder


@pytest.mark.parametrize(
    ("stored", "fits"),
    [(set(), False), ({"a1"}, False), ({"a2"}, False), ({"a3"}, True), ({"a4"}, True)],
    ids=["none", "the first", "the one before", "the one needed", "a newer one"],
)
def test_the_needed_schema_and_unknown_ones_fit_older_ones_do_not(tmp_path: Path, stored: set[str], fits: bool) -> None:
    assert Revisions.of(migrations(tmp_path, a1=None, a2="a1", a3="a2")).fit(stored) is fits


@pytest.mark.parametrize("older", [{}, {"a1": None, "a2": "a1", "b2": "a1"}, {"a1": None, "b1": None}])
def test_migrations_that_are_no_line_with_one_end_are_refused(tmp_path: Path, older: dict[str, str | None]) -> None:
    with pytest.raises(ValueError, match="not one line"):
        Revisions.of(migrations(tmp_path, **older))


@pytest.mark.parametrize("scripts", [APPROVAL, CREDIT])
def test_every_migration_of_a_service_is_read(scripts: Path) -> None:
    found = Revisions.of(scripts)
    assert len(found.known) == len(list(scripts.glob("versions/*.py")))
    assert found.newest == max(found.known)
