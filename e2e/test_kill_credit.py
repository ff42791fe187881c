"""kill -9 while grants become licences of the credit service, and listings turn cases of approval: nothing is lost,
nothing is doubled."""

import time
from collections import Counter
from contextlib import closing
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from sqlmodel import Session, col, select

from e2e.api_cases import Run
from e2e.clients import HttpClient, Json, Refused
from e2e.eventually import eventually
from e2e.providers.cities import Bus, Database, by_hand, running_city
from e2e.test_kill import AGAIN, PATIENCE_SECONDS, kill
from e2e.tokens import Tokens
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import DeadLetter, OutboxEvent
from tulou_city.layout import City
from tulou_credit.models import Record

FIRMS: Final = 5
LISTED: Final = {"reason": "拒不履行处罚决定", "legal_basis": "《市场监督管理严重违法失信名单管理办法》第十二条"}


@pytest.mark.parametrize(
    ("database", "bus"), [("sqlite", "in-process"), ("postgresql", "rabbitmq")], ids=["sqlite", "postgresql-rabbitmq"]
)
def test_what_passes_between_the_services_is_neither_lost_nor_doubled(database: Database, bus: Bus) -> None:
    with running_city(database=database, bus=bus) as city, closing(HttpClient(city.url)) as client:
        tokens = Tokens(city)
        firms = [Run(client, tokens) for _ in range(FIRMS)]
        for firm in firms:
            firm.prepare(("an item that may be simplified", "an honour", "an accepted case of the firm", "StartReview"))
            assert firm.known["case"]["handling"] == "CASE_HANDLING_SIMPLIFIED"
        in_turn(city, firms, "GrantCase", {}, dying=("worker", "credit"))
        with closing(SyncDatabase(city.database_url.format(service="credit"))) as credit:
            eventually(lambda: credit.read(licences) == FIRMS, seconds=PATIENCE_SECONDS)

            for firm in firms:
                firm.prepare(("an accepted case of the firm",))
            content = {"typeCode": "SERIOUS_LIST", "sourceKey": "S-${run}", "content": LISTED | {"listed_on": "${day}"}}
            in_turn(city, firms, "PutRecord", content, dying=("credit", "worker"))
            for firm in firms:
                eventually(lambda firm=firm: turned_once(firm), seconds=PATIENCE_SECONDS)  # type: ignore[misc]
            credit.read(check_credit)
        with closing(SyncDatabase(city.database_url.format(service="approval"))) as approval:
            assert approval.read(dead) == []
        for service in ("approval", "credit"):
            done = by_hand(city, service, "audit", "verify")
            assert done.returncode == 0, done.stdout + done.stderr


def in_turn(city: City, firms: list[Run], rpc: str, change: Json, *, dying: tuple[str, ...]) -> None:
    """The call for each firm, each until it is acknowledged; processes die right behind some of them."""
    for number, firm in enumerate(firms):
        until_acknowledged(firm, rpc, change | {"requestId": str(uuid4())})
        if number % 2 and number // 2 < len(dying):
            kill(city, dying[number // 2])


def until_acknowledged(run: Run, rpc: str, change: Json) -> None:
    """Sends the same request again until somebody answers it."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            run.do(rpc, change)
            return
        except (httpx.TransportError, Refused) as error:
            if (isinstance(error, Refused) and error.status not in AGAIN) or time.monotonic() > give_up:
                raise
        time.sleep(0.1)


def licences(session: Session) -> int:
    return len(session.exec(select(Record.id).where(Record.type_code == "LICENCE")).all())


def turned_once(firm: Run) -> bool:
    case: dict[str, Any] = firm.do("GetCase", caller="clerk")["case"]
    entries = firm.do("ListCaseHistory", {"pageSize": 100}, caller="firm")["entries"]
    turns = [entry["action"] for entry in entries if entry["action"].startswith("TURN_")]
    assert len(turns) < 2
    return case["handling"] == "CASE_HANDLING_ORDINARY" and turns == ["TURN_ORDINARY"]


def check_credit(session: Session) -> None:
    records = session.exec(select(Record.subject_id, Record.type_code, Record.newest)).all()
    assert Counter(type_code for _, type_code, _ in records) == dict.fromkeys(
        ("HONOUR", "LICENCE", "SERIOUS_LIST"), FIRMS
    )
    assert len(set(records)) == len(records) == 3 * FIRMS
    assert {newest for _, _, newest in records} == {1}
    told = session.exec(select(OutboxEvent.subject).where(OutboxEvent.type == "StandingChanged")).all()
    assert len(told) == len(set(told)) == FIRMS
    waiting = select(OutboxEvent.id).where(col(OutboxEvent.published_at).is_(None))
    assert session.exec(waiting).all() == []
    assert dead(session) == []


def dead(session: Session) -> list[Any]:
    return list(session.exec(select(DeadLetter.id)).all())
