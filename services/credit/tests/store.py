"""A store of credit records for tests: a migrated database, made-up decisions, and what was told of them."""

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final, TypeVar

from google.protobuf.struct_pb2 import Struct
from sqlmodel import Session

from services.credit.tests.hostile.recipes import LICENCE, PENALTY, PERSON
from tulou_chassis.events import Publication
from tulou_chassis.migrations import migrate
from tulou_chassis.syncdb import SyncDatabase
from tulou_civics.identifiers import InvalidIdentifier, check_credit_code, check_resident_id
from tulou_credit import queries
from tulou_credit.intake.columns import LICENCE_790, PENALTY_790, ColumnSet
from tulou_credit.intake.rows import Licence, Penalty, judged
from tulou_credit.intake.table import Row
from tulou_credit.models import Record, RecordVersion
from tulou_credit.operations import catalogue, records
from tulou_credit.seed.load import load_catalogue
from tulou_credit.wiring import House

T = TypeVar("T")
MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
OF_PERSON: Final = {
    "LB": "自然人",
    "MC": "张三",
    "SHXYM": "",
    "ZJLX": "身份证",
    "ZJHM": PERSON,
}
_OF_SUBJECT: Final = frozenset({"LB", "MC", "SHXYM", "GSZC", "ZZJG", "SWDJ", "SYDW", "SHZZ", "ZJLX", "ZJHM"})
_SERIALS: Final = itertools.count(1)


def noon(day: date) -> datetime:
    """Of that day in Zhangzhou, as an instant."""
    return datetime.combine(day, time(4), UTC)


def firm() -> str:
    """A credit code that no other test has, of a made-up firm in 芗城区."""
    return _valid(f"91350602TUL{next(_SERIALS):06d}", check_credit_code)


def person() -> str:
    """An identity number that no other test has, of nobody."""
    return _valid(f"35060219010101{next(_SERIALS):03d}", check_resident_id)


def _valid(body: str, check: Callable[[str], str]) -> str:
    for last in "0123456789ABCDEFGHJKLMNPQRTUWXY":
        try:
            return check(body + last)
        except InvalidIdentifier:
            continue
    raise LookupError(body)


def licence(**changes: str) -> Licence:
    """A licence with these columns of the file, without XK_ or XK_XDR_ in front, changed."""
    decision = _decision(LICENCE, "XK", LICENCE_790, changes)
    assert isinstance(decision, Licence)
    return decision


def penalty(**changes: str) -> Penalty:
    """A penalty with these columns of the file, without CF_ or CF_XDR_ in front, changed."""
    decision = _decision(PENALTY, "CF", PENALTY_790, changes)
    assert isinstance(decision, Penalty)
    return decision


def _decision(values: dict[str, str], prefix: str, columns: ColumnSet, changes: dict[str, str]) -> Any:
    named = {_column(prefix, name): value for name, value in changes.items()}
    (decision,) = judged([Row(2, columns, {**values, **named})], today=date(2026, 12, 31))
    return decision


def _column(prefix: str, name: str) -> str:
    if name == "BZ":
        return name
    return f"{prefix}_XDR_{name}" if name in _OF_SUBJECT else f"{prefix}_{name}"


class Store:
    """A database of the credit service, and what happened in it."""

    def __init__(self, url: str, house: House) -> None:
        self.url = url
        self.house = house
        self.happened: list[Any] = []
        self.database = SyncDatabase(url, publisher=self._publish)

    def prepare(self) -> None:
        """Makes the tables and loads the first catalogue."""
        migrate(self.url, MIGRATIONS)
        start = noon(date(2019, 1, 1))
        self.write(lambda session: catalogue.seed(session, entries=load_catalogue(), now=start))

    def read(self, query: Callable[[Session], T]) -> T:
        return self.database.read(query)

    def write(self, operation: Callable[[Session], T]) -> T:
        return self.database.write(operation)

    def put(self, decision: Licence | Penalty, *, on: date, source: str = "SCJG") -> records.Put:
        """Puts a decision that comes at noon of a day."""
        return self.write(
            lambda session: records.put(
                session, decision, source=source, origin="test:2", now=noon(on), house=self.house
            )
        )

    def record(self, record_id: str) -> Record:
        return self.read(lambda session: queries.get_record(session, record_id=record_id))

    def known(self, record_id: str) -> RecordVersion:
        """What the record says today."""
        return self.read(lambda session: queries.record_versions(session, record_id=record_id))[-1]

    def public(self, subject_id: str, on: date, *, known_at: datetime | None = None) -> list[str]:
        """Ids of the records that are public on a day, as was known in its last second, or at another time."""
        instant = known_at or datetime.combine(on, time(15, 59, 59), UTC)
        rows = self.read(
            lambda session: queries.as_of(
                session, subject_id=subject_id, on=on, known_at=instant, public_only=True, limit=100
            )
        )
        return [version.record_id for version, _ in rows]

    def told(self, record_id: str) -> list[str]:
        """The names of what happened to a record, in order."""
        return [type(one).__name__ for one in self.happened if getattr(one, "record_id", "") == record_id]

    def _publish(self, happened: Any) -> Publication:
        self.happened.append(happened)
        payload = Struct()
        payload.update({"event": type(happened).__name__})
        return Publication(subject=happened.subject_id, region=getattr(happened, "region_code", ""), payload=payload)
