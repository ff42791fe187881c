"""The two services that the worker's tests host: `maker` publishes, `taker` takes in."""

import random
import time
from datetime import datetime
from types import MappingProxyType

from google.protobuf.wrappers_pb2 import StringValue
from sqlmodel import Session

from services.chassis.tests.integration.worker.notes import (
    MIGRATIONS,
    TICK_SECONDS,
    count,
    note,
    publication,
    switched_on,
    text_of,
)
from tulou.type.v1.event_pb2 import Event
from tulou_chassis.events import emit
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.worker.methods import Pace
from tulou_chassis.worker.service import Provide, ServiceWorker
from tulou_chassis.worker.subscribe import subscribe
from tulou_chassis.worker.timers import timer

QUICK = Pace(retry_after=(0.01,) * 4, outage=0.1, lease=1, replay=0.1, look=0.2)


class Maker(ServiceWorker):
    """Notes what the taker answers."""

    name = "maker"
    publisher = staticmethod(publication)
    migrations = MIGRATIONS
    pace = QUICK

    @subscribe("taker", "StringValue")
    def note_answer(self, session: Session, event: Event) -> None:
        note(session, "note_answer", event.subject, text_of(event))


class Taker(ServiceWorker):
    """Notes what the maker publishes; fails, dawdles and answers when a test has switched that on."""

    name = "taker"
    issuer: str = Provide(lambda settings: settings.oidc_issuer)
    publisher = staticmethod(publication)
    migrations = MIGRATIONS
    pace = QUICK
    measures = MappingProxyType({"tulou.notes": count})

    @subscribe("maker", "StringValue", "Int64Value")
    def note_both(self, session: Session, event: Event) -> None:
        text = text_of(event)
        note(session, "note_both", event.subject, text)
        switches = switched_on(session)
        if "flaky" in switches and random.random() < 0.05:
            raise RuntimeError("now and then")
        if f"poison {text}" in switches:
            raise ValueError("poison")
        if "slow" in switches:
            time.sleep(0.005)
        if "very slow" in switches:
            time.sleep(1)
        if "endless" in switches:
            print(f"began {text}", flush=True)
            time.sleep(3600)
        if "answering" in switches:
            emit(session, (event.subject, StringValue(value=f"{self.issuer} answers {text}")))

    @subscribe("maker", "Int64Value")
    def note_numbers(self, session: Session, event: Event) -> None:
        note(session, "note_numbers", event.subject, text_of(event))

    @timer("tick", seconds=TICK_SECONDS)
    def tick(self, database: SyncDatabase, now: datetime) -> None:
        switches = database.read(switched_on)
        if "ticking" in switches:
            database.write(lambda session: note(session, "tick", "began", now.isoformat()))
            # Longer than a lease.
            time.sleep(1.2)
            database.write(lambda session: note(session, "tick", "ended", now.isoformat()))
        if "failing tick" in switches:
            raise RuntimeError("this tick fails")
