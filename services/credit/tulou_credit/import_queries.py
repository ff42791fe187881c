"""What is read of imports and of the rows they did not take. Who may ask is decided by those who call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, tuple_
from sqlmodel import Session, col, select

from tulou_credit.domain.imports import ENDED, ImportState, QuarantineState
from tulou_credit.models.imports import Import, QuarantinedRow


class ImportNotFound(Exception):
    """No such import."""

    def __init__(self, import_id: str) -> None:
        super().__init__(import_id)
        self.import_id = import_id


class RowNotFound(Exception):
    """No such row is in the import's quarantine."""

    def __init__(self, import_id: str, row: int) -> None:
        super().__init__(import_id, row)
        self.import_id = import_id
        self.row = row


@dataclass(frozen=True, kw_only=True)
class ImportFilter:
    """Which imports to list; what is None does not filter. `source` is a department's code."""

    source: str | None = None
    state: ImportState | None = None


def get_import(session: Session, *, import_id: str, for_update: bool = False) -> Import:
    """The import; `for_update` keeps others from writing it until the transaction ends. Raises ImportNotFound."""
    query = select(Import).where(Import.id == import_id)
    found = session.exec(query.with_for_update() if for_update else query).first()
    if found is None:
        raise ImportNotFound(import_id)
    return found


def list_imports(
    session: Session, *, filter: ImportFilter, after: tuple[datetime, str] | None, limit: int
) -> Sequence[Import]:
    """Imports, newest first, behind `after` (created_at and id of the last one)."""
    query = select(Import)
    if filter.source is not None:
        query = query.where(Import.source == filter.source)
    if filter.state is not None:
        query = query.where(Import.state == filter.state.value)
    if after:
        query = query.where(tuple_(col(Import.created_at), col(Import.id)) < tuple_(*after))
    return session.exec(query.order_by(col(Import.created_at).desc(), col(Import.id).desc()).limit(limit)).all()


def unended_imports(session: Session, *, limit: int) -> Sequence[str]:
    """Ids of imports that are to be run or gone on with, oldest first; some may be running."""
    states = [state.value for state in ImportState if state not in ENDED]
    query = select(Import.id).where(col(Import.state).in_(states))
    return session.exec(query.order_by(col(Import.created_at), col(Import.id)).limit(limit)).all()


def count_unended(session: Session) -> dict[str, int]:
    """Imports that have not ended"""
    states = [state.value for state in ImportState if state not in ENDED]
    query = select(Import.state, func.count()).where(col(Import.state).in_(states)).group_by(col(Import.state))
    counts = dict(session.exec(query).all())
    return {state.lower(): counts.get(state, 0) for state in states}


def states_of(session: Session, *, import_ids: Sequence[str]) -> Mapping[str, str]:
    """The states of those of the imports that there are, by id."""
    query = select(Import.id, Import.state).where(col(Import.id).in_(import_ids))
    return dict(session.exec(query).all())


def get_row(session: Session, *, import_id: str, row: int, for_update: bool = False) -> QuarantinedRow:
    """A row in quarantine or settled since; `for_update` as of an import. Raises RowNotFound."""
    query = select(QuarantinedRow).where(QuarantinedRow.import_id == import_id, QuarantinedRow.row == row)
    found = session.exec(query.with_for_update() if for_update else query).first()
    if found is None:
        raise RowNotFound(import_id, row)
    return found


def open_rows(
    session: Session, *, import_id: str, after: int, limit: int, for_update: bool = False
) -> Sequence[QuarantinedRow]:
    """Rows in quarantine behind row `after`, in order."""
    query = (
        select(QuarantinedRow)
        .where(
            QuarantinedRow.import_id == import_id,
            QuarantinedRow.row > after,
            QuarantinedRow.state == QuarantineState.OPEN.value,
        )
        .order_by(col(QuarantinedRow.row))
        .limit(limit)
    )
    return session.exec(query.with_for_update() if for_update else query).all()
