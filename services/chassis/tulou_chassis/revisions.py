"""Which schema a database has, and whether this code can work on it. Without Alembic, which a server need not load."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import column, inspect, select, table
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

_VERSIONS: Final = table("alembic_version", column("version_num"))
_ASSIGNED: Final = re.compile(r'^(revision|down_revision) = "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Revisions:
    """The revisions that this code knows, and the newest of them, which it needs."""

    known: frozenset[str]
    newest: str

    @classmethod
    def of(cls, scripts: Path) -> "Revisions":
        """Those of a service's migrations folder. Raises ValueError where they are not one line with one end."""
        assigned = [found for path in scripts.glob("versions/*.py") for found in _ASSIGNED.findall(path.read_text())]
        known, older = (frozenset(v for name, v in assigned if name == kind) for kind in ("revision", "down_revision"))
        if len(known - older) != 1 or len(assigned) != 2 * len(known) - 1:
            raise ValueError(f"{scripts}: the migrations are not one line with one end")
        [newest] = known - older
        return cls(known, newest)

    def fit(self, stored: Collection[str]) -> bool:
        """Whether the database's schema is the one this code needs, or one it does not know.

        That is a newer one, and migrations only expand what the release before them needs.
        """
        return bool(stored) and (self.newest in stored or not self.known.issuperset(stored))


def stored_revisions(session: Session) -> frozenset[str]:
    """The revision of the database; none before the first migration."""
    try:
        return frozenset(session.connection().execute(select(_VERSIONS.c.version_num)).scalars())
    except DBAPIError:
        if inspect(session.connection()).has_table(_VERSIONS.name):
            raise
        return frozenset()
