"""Whether migrations make what models say."""

import warnings
from types import ModuleType
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, Text, inspect
from sqlmodel import AutoString, SQLModel


def differences(engine: Engine, *modules: ModuleType) -> list[Any]:
    """Between a migrated database and the models of the modules; those of others share their metadata."""
    members = [member for module in modules for member in vars(module).values()]
    tables = {member.__tablename__ for member in members if hasattr(member, "__table__")}
    assert tables
    with engine.connect() as connection:
        present = set(inspect(connection).get_table_names())
        context = MigrationContext.configure(
            connection,
            opts={
                "include_object": lambda _thing, name, kind, *_: kind != "table" or name in present | tables,
                "compare_type": _same_type,
            },
        )
        with warnings.catch_warnings():
            # Of SQLite such an index cannot be read back; those that there are are for PostgreSQL.
            warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression-based index")
            found: list[Any] = compare_metadata(context, SQLModel.metadata)
    return found


def _same_type(_context: Any, _inspected: Any, _column: Any, found: Any, wanted: Any) -> bool | None:
    # A text without bound is TEXT in migrations. Other types are for Alembic to compare.
    return False if isinstance(found, Text) and isinstance(wanted, AutoString) and wanted.length is None else None
