"""An append-only history for each aggregate. Entries are chained by HMAC, so `audit verify` finds any edit."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from tulou_chassis.hot import Hot
from tulou_chassis.keyring import Keyring, KeyringError
from tulou_chassis.tables import HistoryRecord

# Histories that are looked for among the rows at once.
PAGE: Final = 1000
GENESIS: Final = ""
_APPEND: Final = Hot(insert(HistoryRecord.__table__))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Head:
    """The end of an aggregate's chain, kept on the aggregate's own row: a cut-off tail shows."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What happened. `details` holds no personal data: histories are read by many."""

    action: str
    time: datetime
    actor: str
    organisation: str
    details: Mapping[str, Any]


def append(session: Session, keyring: Keyring, aggregate: str, head: Head, entry: Entry) -> Head:
    """Writes the entry behind `head` in the caller's transaction and gives the new head."""
    details = json.dumps(entry.details, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    row: dict[str, Any] = {
        "aggregate": aggregate,
        "sequence": head.sequence + 1,
        "time": entry.time,
        "action": entry.action,
        "actor": entry.actor,
        "organisation": entry.organisation,
        "details": details,
        "key_id": keyring.primary,
    }
    row["hash"] = _seal(keyring, head.hash, row)
    # The first entry goes with the row of what is just being made: neither is read before the transaction ends.
    write = _APPEND.run if head.sequence else _APPEND.later
    write(session, row)
    return Head(row["sequence"], row["hash"])


def verify(session: Session, keyring: Keyring, heads: Mapping[str, Head]) -> Iterator[str]:
    """A sentence for each break in the chains of the aggregates given; nothing when all is as it was written."""
    for aggregate, head in heads.items():
        last = Head()
        for record in session.exec(
            select(HistoryRecord).where(HistoryRecord.aggregate == aggregate).order_by(col(HistoryRecord.sequence))
        ):
            if record.sequence != last.sequence + 1:
                yield f"{aggregate}: entry {last.sequence + 1} is missing"
            try:
                sealed = _seal(keyring, last.hash, record.model_dump())
            except KeyringError as error:
                yield f"{aggregate}: entry {record.sequence} cannot be checked: {error}"
            else:
                if sealed != record.hash:
                    yield f"{aggregate}: entry {record.sequence} was changed"
            last = Head(record.sequence, record.hash)
        if last != head:
            yield f"{aggregate}: the history ends at {last.sequence}, not at {head.sequence} as its row says"


def orphans(session: Session, *aggregates: Select[tuple[str]] | SelectOfScalar[str]) -> Iterator[str]:
    """A sentence for each aggregate that has a history but is among none of `aggregates`: its row was deleted.

    `aggregates` select one column each. Goes page by page: no statement takes longer because there is more.
    """
    name, last = col(HistoryRecord.aggregate), ""
    while page := session.exec(select(name).where(name > last).distinct().order_by(name).limit(PAGE)).all():
        known = {found for each in aggregates for found in session.exec(each.where(each.selected_columns[0].in_(page)))}
        for aggregate in page:
            if aggregate not in known:
                yield f"{aggregate}: its history is there, its row is not"
        last = page[-1]


def _seal(keyring: Keyring, before: str, row: Mapping[str, Any]) -> str:
    time: datetime = row["time"]
    parts = [
        before,
        row["aggregate"],
        row["sequence"],
        int(time.timestamp() * 1_000_000),
        row["action"],
        row["actor"],
        row["organisation"],
        row["details"],
    ]
    return keyring.seal(json.dumps(parts, ensure_ascii=False).encode(), row["key_id"])
