"""Who begins, runs and looks at imports in tests."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import func, select

from services.credit.tests.integration.importing import NOW, SOURCE, kept
from tulou_chassis.syncdb import SyncDatabase
from tulou_credit.blobs import SealedFiles
from tulou_credit.import_queries import get_import, open_rows
from tulou_credit.models import Import
from tulou_credit.operations import imports
from tulou_credit.wiring import House


@dataclass
class Office:
    """A database and what the imports of one test are run with."""

    database: SyncDatabase
    house: House
    files: SealedFiles
    now: datetime = NOW

    def begin(self, content: bytes, **changed: Any) -> str:
        """Queues the file; gives the import's id."""
        import_id = str(uuid.uuid4())
        sha256, size = kept(self.files, import_id, content)
        told = {
            "import_id": import_id,
            "source": SOURCE,
            "file_name": "许可.csv",
            "sha256": sha256,
            "size": size,
            "encoding": None,
            "now": self.now,
        }
        return self.database.write(lambda session: imports.begin(session, **told | changed).id)  # type: ignore[arg-type]

    def run(self, import_id: str, *, holder: str = "one", stop_after: int = 10**9) -> bool:
        """Runs the import; `stop_after` so many chunks the process is asked to end."""
        asked = iter(range(10**9))
        return imports.run(
            self.database,
            import_id=import_id,
            holder=holder,
            open_file=self.files.open,
            clock=lambda: self.now,
            house=self.house,
            stop=lambda: next(asked) >= stop_after,
        )

    def taken(self, content: bytes, **changed: Any) -> Import:
        """The import of the file after it has run."""
        import_id = self.begin(content, **changed)
        self.run(import_id)
        return self.get(import_id)

    def get(self, import_id: str) -> Import:
        return self.database.read(lambda session: get_import(session, import_id=import_id))

    def count(self, table: type[Any]) -> int:
        return self.database.read(lambda session: session.exec(select(func.count()).select_from(table)).one())

    def cancel(self, import_id: str) -> None:
        self.database.write(lambda session: imports.cancel(session, import_id=import_id, now=self.now))

    def start(self, import_id: str, holder: str) -> bool:
        """Whether the import became the holder's."""
        write = self.database.write
        return write(lambda s: imports.start(s, import_id=import_id, holder=holder, now=self.now)) is not None

    def waiting(self, import_id: str) -> list[tuple[int, list[str]]]:
        """The rows in quarantine with the reasons."""
        rows = self.database.read(lambda s: open_rows(s, import_id=import_id, after=0, limit=100))
        return [(row.row, [breach["reason"] for breach in row.breaches]) for row in rows]
