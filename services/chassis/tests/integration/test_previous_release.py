"""While a release is rolled out the one before it runs on the new schema: migrations only add what it can ignore."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

ROOT: Final = Path(__file__).parents[4]
PREVIOUS: Final = tomllib.loads((ROOT / "services/previous.toml").read_text())
SERVICES: Final = sorted(folder.parent.name for folder in ROOT.glob("services/*/migrations"))
# The previous release's own tests of its edge, its operations and its worker.
ITS_TESTS: Final = {
    "approval": ["test_journeys.py", "test_timers.py"],
    "credit": ["test_records.py", "test_edge_lists.py"],
}
# One among them compares the schema with its own models, and now finds more.
OTHERS: Final = ("-k", "not tables_are_those_of_the_models")
HARMLESS: Final = (
    r"CREATE TABLE ",
    r"CREATE INDEX ",
    # On a table that is made here; elsewhere it could refuse what the previous release writes.
    r"CREATE UNIQUE INDEX \S+ ON (?P<made>\S+) ",
    r"ALTER TABLE \S+ ADD COLUMN (?!.*NOT NULL)",
    r"ALTER TABLE \S+ ADD COLUMN .*DEFAULT .*NOT NULL",
    r"ALTER TABLE (?P<changed>\S+) ADD (CONSTRAINT|FOREIGN KEY) ",
    r"COMMENT ON ",
)


def statements(scripts: Path) -> str:
    """What a migration does to PostgreSQL, in SQL."""
    spec = spec_from_file_location(f"migration_{scripts.stem}", scripts)
    assert spec
    assert spec.loader
    module: ModuleType = module_from_spec(spec)
    spec.loader.exec_module(module)
    written = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written})
    with Operations.context(context):
        module.upgrade()
    return written.getvalue()


def breaches(sql: str) -> list[str]:
    """The statements that the previous release might not survive."""
    made = set(re.findall(r"CREATE TABLE (\S+)", sql))
    found = []
    for statement in (" ".join(part.split()) for part in sql.split(";\n")):
        if not statement:
            continue
        matches = [match for form in HARMLESS if (match := re.match(form, statement))]
        if not any(set(match.groupdict().values()) <= made for match in matches):
            found.append(statement)
    return found


def migrations_since(service: str) -> list[Path]:
    """The migrations that the previous release does not know, in their order."""
    known = PREVIOUS["schema"].get(service, "")
    return [path for path in sorted(ROOT.glob(f"services/{service}/migrations/versions/*.py")) if path.name[:4] > known]


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_since_the_previous_release_only_add(service: str) -> None:
    assert [breach for path in migrations_since(service) for breach in breaches(statements(path))] == []


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE case_file",
        "ALTER TABLE case_file DROP COLUMN phone",
        "ALTER TABLE case_file RENAME phone TO telephone",
        "ALTER TABLE case_file RENAME TO file",
        "ALTER TABLE case_file ADD COLUMN phone TEXT NOT NULL",
        "ALTER TABLE case_file ALTER COLUMN phone SET NOT NULL",
        "ALTER TABLE case_file ALTER COLUMN phone TYPE INTEGER",
        "ALTER TABLE case_file ADD CONSTRAINT one_phone UNIQUE (phone)",
        "CREATE UNIQUE INDEX one_phone ON case_file (phone)",
        "UPDATE case_file SET phone = ''",
    ],
)
def test_what_the_previous_release_would_not_survive_is_found(sql: str) -> None:
    assert breaches(f"{sql};\n\n") == [sql]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE note (id INTEGER NOT NULL, PRIMARY KEY (id));\n\nCREATE UNIQUE INDEX one ON note (id)",
        "CREATE INDEX some ON case_file (phone)",
        "ALTER TABLE case_file ADD COLUMN fax TEXT",
        "ALTER TABLE case_file ADD COLUMN fax TEXT DEFAULT '' NOT NULL",
    ],
)
def test_what_it_can_ignore_is_let_through(sql: str) -> None:
    assert breaches(f"{sql};\n\n") == []


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    # With the folder named git answers also another user than the one whose clone it is.
    return subprocess.run(["git", f"--git-dir={ROOT / '.git'}", *arguments], capture_output=True, check=False)


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the previous release with the migrations of this one: what it does on the schema to come."""
    if not (ROOT / ".git").exists():
        pytest.skip("a copy without history: migrations are checked without the previous release")
    archived = git("archive", PREVIOUS["release"])
    if archived.returncode:
        reason = f"this clone's history does not reach to {PREVIOUS['release']}; migrations are checked without it"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as sources:
        sources.extractall(folder, filter="data")
    for service, newest in PREVIOUS["schema"].items():
        versions = folder / f"services/{service}/migrations/versions"
        assert max(path.name[:4] for path in versions.glob("*.py")) == newest
        shutil.copytree(ROOT / f"services/{service}/migrations/versions", versions, dirs_exist_ok=True)
    subprocess.run([sys.executable, folder / "protos/generate.py"], check=True)
    return folder


@pytest.mark.parametrize("service", sorted(PREVIOUS["schema"]))
def test_the_previous_release_passes_its_own_tests_on_the_new_schema(service: str, previous: Path) -> None:
    packages = [previous / folder for folder in ("protos/gen", "gateway", "city", ".")] + [*previous.glob("services/*")]
    tests = [f"services/{service}/tests/integration/{name}" for name in ITS_TESTS[service]]
    # The run's own servers are found by the environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *OTHERS, *tests],
        cwd=previous,
        env=environment | {"PYTHONPATH": os.pathsep.join(map(str, packages))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"[0-9]+ passed", done.stdout)
