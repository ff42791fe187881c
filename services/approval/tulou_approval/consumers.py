"""The nameko edge: what follows from events, and what happens by the passing of time."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

import structlog
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from tulou.approval.v1 import events_pb2
from tulou.credit.v1 import events_pb2 as credit_events_pb2
from tulou.type.v1.event_pb2 import Event
from tulou_approval.convert.cases import NOTIFIED, notice_type
from tulou_approval.convert.credit import standing_from_proto
from tulou_approval.convert.events import publication_of
from tulou_approval.operations import credit, reactions, timers, tracking
from tulou_approval.operations.acts import Desk
from tulou_approval.settings import MIGRATIONS, ApprovalSettings
from tulou_approval.wiring import NAME, desk_of
from tulou_chassis.events import Publisher
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.worker.service import Provide, ServiceWorker
from tulou_chassis.worker.subscribe import subscribe
from tulou_chassis.worker.timers import timer

log = structlog.get_logger()


class Worker(ServiceWorker):
    """The approval service's worker."""

    name = NAME
    settings = ApprovalSettings
    publisher: ClassVar[Publisher] = staticmethod(publication_of)
    migrations: ClassVar[Path] = MIGRATIONS
    desk: Desk = Provide(desk_of)

    @subscribe(NAME, *NOTIFIED)
    def notify_applicant(self, session: Session, event: Event) -> None:
        """Every step an applicant should know of makes a notice."""
        payload = getattr(events_pb2, event.type)()
        event.data.Unpack(payload)
        reactions.notify_applicant(
            session,
            event_id=event.id,
            type=notice_type(event.type, payload),
            owner=payload.case.owner,
            case_id=payload.case.case_id,
            case_number=payload.case.case_number,
            item_name=payload.case.item_name,
            time=event.time.ToDatetime(UTC),
        )

    @subscribe(NAME, "CaseGranted")
    def publish_grant(self, session: Session, event: Event) -> None:
        """Every grant enters the public register."""
        granted = events_pb2.CaseGranted()
        event.data.Unpack(granted)
        reactions.publish_grant(
            session,
            case_number=granted.case.case_number,
            item_code=granted.case.item_code,
            item_name=granted.case.item_name,
            applicant_name=granted.public_applicant_name,
            department_code=granted.case.department_code,
            document_number=granted.document_number,
            decision_date=date.fromisoformat(granted.decision_date),
        )

    @subscribe("credit", "StandingChanged")
    def follow_standing(self, session: Session, event: Event) -> None:
        """Running cases turn ordinary when their applicant enters the serious-default list, and back when it leaves."""
        changed = credit_events_pb2.StandingChanged()
        event.data.Unpack(changed)
        turned = credit.follow_standing(
            session,
            desk=self.desk,
            subject_id=changed.subject_id,
            standing=standing_from_proto(changed.standing),
            record_id=changed.record_id,
            now=datetime.now(UTC),
        )
        for case_id in turned:
            log.info("handling_changed", case_id=case_id)

    @timer("deemed acceptance", seconds=60)
    def accept_by_silence(self, database: SyncDatabase, now: datetime) -> None:
        """Cases whose organ stayed silent for five working days are accepted (行政许可法 art. 32(4))."""
        overdue = database.read(lambda session: timers.cases_overdue_for_notice(session, now=now))
        self._each(
            database,
            overdue,
            lambda session, case_id: timers.deem_accepted(session, desk=self.desk, case_id=case_id, now=now),
            "deemed_accepted",
        )

    @timer("calendar", seconds=300)
    def follow_calendar(self, database: SyncDatabase, now: datetime) -> None:
        """When another calendar was loaded, running deadlines are computed afresh."""
        affected = database.read(lambda session: timers.cases_of_other_calendars(session, desk=self.desk))
        self._each(
            database,
            affected,
            lambda session, case_id: timers.recompute_deadlines(session, desk=self.desk, case_id=case_id, now=now),
            "deadlines_recomputed",
        )

    @timer("tracking", seconds=3600)
    def forget_tracking(self, database: SyncDatabase, now: datetime) -> None:
        """Wrong tries at tracking a case count for an hour."""
        database.write(lambda session: tracking.forget_tries(session, now=now))

    def _each(
        self, database: SyncDatabase, ids: Sequence[str], act: Callable[[Session, str], bool], event: str
    ) -> None:
        """Each case in a transaction of its own; one that someone acts on at the same moment waits for the next run."""
        for case_id in ids:
            try:
                if database.write(lambda session, case_id=case_id: act(session, case_id)):  # type: ignore[misc]
                    log.info(event, case_id=case_id)
            except StaleDataError:
                log.info("case_was_busy", case_id=case_id)
