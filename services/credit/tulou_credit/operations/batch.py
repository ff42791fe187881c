"""What a whole chunk of rows needs to know is read ahead, and what it adds is written together at the end.

Both are for the transaction whose session was told to `begin`; in others every row asks and writes for itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Select
from sqlmodel import Session

from tulou_chassis.hot import Hot, run_waiting

_AHEAD: Final = "credit_ahead"
# In one question to the database.
_KEYS: Final = 500


class NotAhead(Exception):
    """Nothing was read ahead under the key, or it was used or changed since."""


def begin(session: Session) -> None:
    """From here on rows are written together."""
    session.info[_AHEAD] = {}


def read(session: Session, columns: Select[Any], key: ColumnElement[Any], keys: Iterable[str]) -> None:
    """Reads the rows of a table by some column, and notes for which keys there is none."""
    ahead: dict[tuple[str, str], Any] = session.info[_AHEAD]
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _KEYS):
        some = wanted[start : start + _KEYS]
        found = {row[-1]: row for row in session.connection().execute(columns.add_columns(key).where(key.in_(some)))}
        ahead.update({(str(key), one): found.get(one) for one in some})


def take(session: Session, key: ColumnElement[Any], value: str) -> Any:
    """The row that was read ahead, None where there was none; each once. Raises NotAhead."""
    try:
        return session.info[_AHEAD].pop((str(key), value))
    except KeyError:
        raise NotAhead from None


def keep(session: Session, key: ColumnElement[Any], value: str, row: Any) -> None:
    """Notes the row as it now is for whoever asks next, where rows are read ahead."""
    if _AHEAD in session.info:
        session.info[_AHEAD][str(key), value] = row


def write(session: Session, statement: Hot, row: Mapping[str, Any]) -> None:
    """Inserts the row, with others at the end of the transaction if rows are written together."""
    if _AHEAD in session.info:
        statement.later(session, row)
    else:
        statement.run(session, row)


def catch_up(session: Session) -> None:
    """Writes what waits, for who must read it."""
    if _AHEAD in session.info:
        run_waiting(session)
