"""What is sealed in rows moves to the primary key, batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, and_, select, tuple_, update
from sqlmodel import Session, SQLModel

from tulou_credit.models import QuarantinedRow, RecordVersion, Report, Subject
from tulou_credit.wiring import House

# Each column that is encrypted for "<table>.<column>:<the row's key>".
SEALED: Final[Sequence[tuple[type[SQLModel], str]]] = (
    (Subject, "number_sealed"),
    (Subject, "representative_sealed"),
    (RecordVersion, "sealed"),
    (QuarantinedRow, "cells"),
    (Report, "snapshot"),
    (Report, "code_sealed"),
)
BATCH: Final = 200


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How many texts were moved, and the key of the last row that was looked at; None when there was none."""

    count: int
    last: Sequence[Any] | None


def reseal(
    session: Session, *, table: type[SQLModel], column: str, after: Sequence[Any], house: House, limit: int = BATCH
) -> Moved:
    """Encrypts a column of the rows behind the key `after` (empty: of all) with the primary key.

    A row that someone writes meanwhile is left as it was written. Raises KeyringError where a text cannot be read.
    """
    rows: Any = table.__table__  # type: ignore[attr-defined]
    keys, text = list(rows.primary_key.columns), rows.c[column]
    query = select(*keys, text).order_by(*keys).limit(limit)
    batch = session.execute(query.where(tuple_(*keys) > tuple_(*after)) if after else query).all()
    count = 0
    for *key, sealed in batch:
        if not sealed or house.keyring.is_current(sealed):
            continue
        place = f"{rows.name}.{column.removesuffix('_sealed')}:{':'.join(map(str, key))}"
        fresh = house.keyring.encrypt(house.keyring.decrypt(sealed, context=place), context=place)
        same = and_(*(name == value for name, value in zip(keys, key, strict=True)), text == sealed)
        # Past the ORM, which would count the row's version up: what was read of it is not stale by a new key.
        count += session.connection().execute(update(rows).where(same).values({column: fresh})).rowcount
    return Moved(count=count, last=_key(batch[-1]) if batch else None)


def _key(row: Row[Any]) -> Sequence[Any]:
    return tuple(row)[:-1]
