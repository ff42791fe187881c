"""The nameko edge: what happens by the passing of time, and imports, each in a process of its own."""

import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final

import structlog
from opentelemetry import metrics
from sqlmodel import Session

from tulou.approval.v1 import events_pb2
from tulou.type.v1.event_pb2 import Event
from tulou_chassis.events import Publisher
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.worker.processes import Run, starts_processes
from tulou_chassis.worker.service import Provide, ServiceWorker
from tulou_chassis.worker.subscribe import subscribe
from tulou_chassis.worker.timers import timer
from tulou_credit.blobs import SealedFiles, import_files
from tulou_credit.convert.cases import decided_case
from tulou_credit.convert.events import publication_of
from tulou_credit.import_queries import count_unended, get_import
from tulou_credit.operations import evidence, imports, reactions, records, retention
from tulou_credit.settings import MIGRATIONS, CreditSettings
from tulou_credit.wiring import NAME, House, house_of

# Rows of one transaction.
BATCH: Final = 200
log = structlog.get_logger()
_ENDED = metrics.get_meter(__name__).create_counter(
    "tulou.imports.ended", description="Imports by how their process left them: done, failed, cancelled or broke_off"
)


def _files_of(settings: CreditSettings) -> SealedFiles:
    return import_files(settings, house_of(settings).keyring)


class Worker(ServiceWorker):
    """The credit service's worker."""

    name = NAME
    settings = CreditSettings
    publisher: ClassVar[Publisher] = staticmethod(publication_of)
    migrations: ClassVar[Path] = MIGRATIONS
    measures: ClassVar = MappingProxyType({"tulou.imports": count_unended})
    house: House = Provide(house_of)
    files: SealedFiles = Provide(_files_of)

    @subscribe("approval", "CaseGranted", "CaseRefused")
    def record_decision(self, session: Session, event: Event) -> None:
        """A grant becomes a licence record, a refusal a record that is not public."""
        payload = getattr(events_pb2, event.type)()
        event.data.Unpack(payload)
        take = reactions.record_grant if event.type == "CaseGranted" else reactions.record_refusal
        put = take(session, case=decided_case(payload), origin=event.id, now=datetime.now(UTC), house=self.house)
        if put is None:
            log.info("decision_of_unknown_person", case_number=payload.case.case_number)

    @starts_processes(seconds=1)
    def run_imports(self, database: SyncDatabase, run: Run) -> None:
        """The oldest import that nobody runs, in an interpreter of its own: a large file holds up no event."""
        import_id = database.read(lambda session: imports.next_to_run(session, now=datetime.now(UTC)))
        if import_id is None:
            return
        holder = uuid.uuid4().hex
        told = ["import", "run", "--id", import_id, "--holder", holder]
        code = run([sys.executable, "-m", "tulou_credit", *told])
        state = "broke_off"
        if code:
            log.warning("import_broke_off", import_id=import_id, code=code)
            # Who is known to be dead need not be waited for.
            database.write(lambda session: imports.let_go(session, import_id=import_id, holder=holder))
        else:
            state = database.read(lambda session: get_import(session, import_id=import_id)).state.lower()
        if state not in ("queued", "running"):
            _ENDED.add(1, {"service": NAME, "state": state})

    @timer("import files", seconds=60)
    def remove_files(self, database: SyncDatabase, now: datetime) -> None:
        """Files of rows go when their import has ended."""
        gone = imports.remove_files(database, files=self.files, now=now)
        if gone:
            log.info("import_files_removed", count=gone)

    @timer("publicity", seconds=300)
    def end_publicity(self, database: SyncDatabase, now: datetime) -> None:
        """Records whose last public day is over are archived."""
        self._in_batches(
            database,
            lambda session: records.archive_due(session, now=now, limit=BATCH, house=self.house),
            "records_archived",
        )

    @timer("unused evidence", seconds=3600)
    def forget_evidence(self, database: SyncDatabase, now: datetime) -> None:
        """Evidence that no objection and no request for repair took up is forgotten."""
        self._in_batches(
            database, lambda session: evidence.purge(session, now=now, limit=BATCH), "unused_evidence_purged"
        )

    @timer("retention", seconds=6 * 3600)
    def forget_records(self, database: SyncDatabase, now: datetime) -> None:
        """Records whose retention is over are emptied."""
        count, after = 0, ""
        while (
            done := database.write(
                lambda session, after=after: retention.forget_due(  # type: ignore[misc]
                    session, after=after, now=now, limit=BATCH, house=self.house
                )
            )
        ).last is not None:
            count, after = count + done.count, done.last
        if count + done.count:
            log.info("records_forgotten", count=count + done.count)

    def _in_batches(self, database: SyncDatabase, act: Callable[[Session], int], event: str) -> None:
        count = 0
        while done := database.write(act):
            count += done
        if count:
            log.info(event, count=count)
