"""The rows that were not taken: kept sealed, shown to their sender, corrected, judged again or dropped."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import insert
from sqlmodel import Session

from tulou_chassis.violations import Violation
from tulou_credit.domain.imports import QuarantineState
from tulou_credit.domain.records import civil_date
from tulou_credit.import_queries import get_import, get_row, open_rows
from tulou_credit.intake.columns import COLUMN_SETS, ColumnSet, column_name
from tulou_credit.intake.report import Breach, Rejected, quote
from tulou_credit.intake.rows import Licence, Penalty, judged
from tulou_credit.intake.table import Row
from tulou_credit.models.imports import QuarantinedRow
from tulou_credit.operations import records
from tulou_credit.operations.schemas import ContentNotAllowed
from tulou_credit.queries import RecordTypeNotFound
from tulou_credit.wiring import House

BATCH: Final = 500
_QUARANTINE = QuarantinedRow.__table__  # type: ignore[attr-defined]
_COLUMN_SETS: Final = {(columns.kind.value, columns.edition): columns for columns in COLUMN_SETS}


class RowSettled(Exception):
    """The row was corrected or dropped before."""


class StillWrong(Exception):
    """The row as corrected is not taken either. Nothing has changed."""

    def __init__(self, breaches: tuple[Breach, ...]) -> None:
        super().__init__(", ".join(f"{breach.field}: {breach.reason}" for breach in breaches))
        self.violations = tuple(
            Violation(f"cells.{breach.field}", breach.reason, breach.zh, breach.en) for breach in breaches
        )
        self._breaches = breaches

    @property
    def breaches(self) -> tuple[Breach, ...]:
        return self._breaches


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """How many rows were taken and are still wrong, and the last row that was judged; None when there was none."""

    taken: int
    still_wrong: int
    last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A row and what it was judged to be."""

    row: Row = field(repr=False)
    decision: Licence | Penalty | Rejected = field(repr=False)


def judge(row: Row, *, today: date) -> Judged:
    """See `judged`."""
    (decision,) = judged([row], today=today)
    return Judged(row=row, decision=decision)


def take(
    session: Session, *, import_id: str, source: str, judged: Judged, now: datetime, house: House
) -> records.Put | Rejected:
    """Puts the row's record, or gives why it is not taken: its own faults, or the catalogue's refusal.

    Raises IntegrityError, StaleDataError or OperationalError when the whole transaction is to be run again.
    """
    row, decision = judged.row, judged.decision
    if isinstance(decision, Rejected):
        return decision
    origin = f"{import_id}:{row.number}"
    try:
        return records.put(session, decision, source=source, origin=origin, now=now, house=house)
    except RecordTypeNotFound:
        breach = Breach(row.number, "", "TYPE_NOT_PUBLISHED")
    except records.SourceNotAllowed:
        breach = Breach(row.number, "", "SOURCE_NOT_ALLOWED")
    except ContentNotAllowed as refused:
        breach = Breach(row.number, "", "CONTENT_NOT_ALLOWED", "、".join(refused.fields))
    return Rejected(row.number, row.columns, (breach,), row.values)


def keep(session: Session, *, import_id: str, rows: Iterable[tuple[Rejected, bool]], house: House) -> None:
    """Writes rejected rows, each with whether it was misread."""
    values = [
        {
            "import_id": import_id,
            "row": rejected.row,
            "kind": rejected.columns.kind.value,
            "edition": rejected.columns.edition,
            "state": QuarantineState.OPEN.value,
            "breaches": _told(rejected.breaches),
            "cells": _seal(import_id, rejected.row, rejected.values, house) if rejected.values else "",
            "misread": misread,
            "version": 1,
        }
        for rejected, misread in rows
    ]
    if values:
        session.connection().execute(insert(_QUARANTINE), values)


def rejected_page(
    session: Session, *, import_id: str, after: int, limit: int, house: House
) -> tuple[list[Rejected], int]:
    """Open rows behind row `after`, in order, with the cells as they were sent: for the sender's eyes only (see
    `quarantine_csv`); and the last of them, `after` where there is none."""
    batch = open_rows(session, import_id=import_id, after=after, limit=limit)
    return [_rejected(kept, house) for kept in batch], batch[-1].row if batch else after


def rejected_rows(session: Session, *, import_id: str, house: House) -> Iterator[Rejected]:
    """All open rows, see `rejected_page`."""
    after = 0
    while True:
        rows, after = rejected_page(session, import_id=import_id, after=after, limit=BATCH, house=house)
        if not rows:
            return
        yield from rows
        # A million rows pass through here.
        session.expunge_all()


def correct(
    session: Session, *, import_id: str, row: int, values: Mapping[str, str], now: datetime, house: House
) -> records.Put:
    """Takes the row with the `values` (by column name) in place of those that were sent.

    Of a row that was misread, or whose cells were not kept, `values` is the whole row. Raises RowNotFound, RowSettled;
    StillWrong with all breaches.
    """
    kept = get_row(session, import_id=import_id, row=row, for_update=True)
    if kept.state != QuarantineState.OPEN:
        raise RowSettled
    columns = _columns(kept)
    given = {column_name(name): text for name, text in values.items()}
    unknown = tuple(Breach(row, quote(name), "UNKNOWN_COLUMN") for name in given if name not in columns.by_name)
    sent = {} if kept.misread else _cells(kept, house)
    taken = _take(session, kept, Row(row, columns, {**sent, **given}, unknown), now, house)
    if isinstance(taken, Rejected):
        raise StillWrong(taken.breaches)
    return taken


def drop(session: Session, *, import_id: str, row: int, now: datetime) -> None:
    """Settles that the row is not to be taken, and forgets its cells. Raises RowNotFound, RowSettled if corrected."""
    kept = get_row(session, import_id=import_id, row=row, for_update=True)
    if kept.state == QuarantineState.CORRECTED:
        raise RowSettled
    if kept.state == QuarantineState.OPEN:
        _settle(session, kept, QuarantineState.DROPPED, now)


def rerun(session: Session, *, import_id: str, after: int, now: datetime, house: House, limit: int = BATCH) -> Rerun:
    """Judges open rows behind row `after` again, as they were sent, by the rules and on the day of now.

    A row that was misread stays. Who goes on behind `last` until there is none has judged all; from the beginning
    again does no harm.
    """
    batch = open_rows(session, import_id=import_id, after=after, limit=limit, for_update=True)
    taken = 0
    for kept in batch:
        if kept.misread or not kept.cells:
            continue
        found = _take(session, kept, Row(kept.row, _columns(kept), _cells(kept, house)), now, house)
        if isinstance(found, Rejected):
            kept.breaches = _told(found.breaches)
            session.add(kept)
        else:
            taken += 1
    return Rerun(taken=taken, still_wrong=len(batch) - taken, last=batch[-1].row if batch else None)


def _take(session: Session, kept: QuarantinedRow, row: Row, now: datetime, house: House) -> records.Put | Rejected:
    source = get_import(session, import_id=kept.import_id).source
    again = judge(row, today=civil_date(now))
    taken = take(session, import_id=kept.import_id, source=source, judged=again, now=now, house=house)
    if isinstance(taken, records.Put):
        kept.record_id = taken.record_id
        _settle(session, kept, QuarantineState.CORRECTED, now)
    return taken


def _settle(session: Session, kept: QuarantinedRow, state: QuarantineState, now: datetime) -> None:
    kept.state, kept.settled_at, kept.cells = state.value, now, ""
    session.add(kept)


def _columns(kept: QuarantinedRow) -> ColumnSet:
    return _COLUMN_SETS[kept.kind, kept.edition]


def _rejected(kept: QuarantinedRow, house: House) -> Rejected:
    breaches = tuple(Breach(kept.row, **told) for told in kept.breaches)
    return Rejected(kept.row, _columns(kept), breaches, _cells(kept, house))


def _told(breaches: Iterable[Breach]) -> list[dict[str, Any]]:
    return [{"field": breach.field, "reason": breach.reason, "detail": breach.detail} for breach in breaches]


def _seal(import_id: str, row: int, values: Mapping[str, str], house: House) -> str:
    return house.keyring.encrypt(json.dumps(dict(values)), context=_context(import_id, row))


def _cells(kept: QuarantinedRow, house: House) -> dict[str, str]:
    if not kept.cells:
        return {}
    found: dict[str, str] = json.loads(house.keyring.decrypt(kept.cells, context=_context(kept.import_id, kept.row)))
    return found


def _context(import_id: str, row: int) -> str:
    return f"credit_quarantine.cells:{import_id}:{row}"
