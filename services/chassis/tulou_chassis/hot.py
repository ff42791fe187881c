"""Statements that run thousands of times a second: compiled once, run on the driver's cursor.

SQLAlchemy looks a statement up by a key that it builds anew each time, and wraps cursor and rows; that costs more than
the driver itself (measured on PostgreSQL: 0.13 ms of processor time a statement, 0.06 ms here).
"""

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from opentelemetry.trace import StatusCode
from sqlalchemy import Connection, Dialect, Insert, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only
from sqlmodel import Session

from tulou_chassis.telemetry import statement_span

Processor = Callable[[Any], Any]
# In session.info: the INSERTs that are put off.
_WAITING: Final = "tulou_waiting"
_PARAMETER: Final = re.compile(r"\$([0-9]+)")


@dataclass(frozen=True)
class _Form:
    """A statement as one kind of database takes it."""

    text: str
    # Each parameter's name with what turns its value into the driver's; in order where the driver counts them.
    parameters: Sequence[tuple[str, Processor | None]]
    positional: bool
    fixed: Mapping[str, Any]
    row: Callable[..., Any]
    # What turns the driver's values into ours, for the columns that need it.
    processors: Sequence[tuple[int, Processor]]
    # Whether it may run before its transaction has begun: it writes and locks nothing.
    alone: bool

    def bind(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them."""
        given = {**self.fixed, **values}
        bound = [process(given[name]) if process else given[name] for name, process in self.parameters]
        return bound if self.positional else dict(zip((name for name, _ in self.parameters), bound, strict=True))


class Hot:
    """A SELECT whose values are named by bindparam, or an INSERT of one row with a value for every column."""

    def __init__(self, statement: Select[Any] | Insert) -> None:
        self._statement = statement
        self._forms: dict[Dialect, _Form] = {}

    def run(self, session: Session, values: Mapping[str, Any]) -> list[Any]:
        """The rows, as named tuples; none of an INSERT. Raises sqlalchemy.exc.DBAPIError."""
        connection = _connection(session)
        form = self._form(connection.dialect, values)
        rows = _execute(connection, form.text, form.bind(values), alone=form.alone)
        return [_row(form, one) for one in rows]

    def later(self, session: Session, values: Mapping[str, Any]) -> None:
        """Puts an INSERT off to the end of the transaction. Nothing in it may read the row."""
        session.info.setdefault(_WAITING, []).append((self, values))

    def _form(self, dialect: Dialect, values: Mapping[str, Any]) -> _Form:
        return self._forms.get(dialect) or self._compile(dialect, values)

    def _compile(self, dialect: Dialect, values: Mapping[str, Any]) -> _Form:
        select = isinstance(self._statement, Select)
        compiled: Any = self._statement.compile(
            dialect=dialect,
            column_keys=None if select else list(values),
        )
        names = compiled.positiontup if compiled.positional else list(compiled.bind_names.values())
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in names]
        columns = list(self._statement.selected_columns) if isinstance(self._statement, Select) else []
        results = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        form = self._forms[dialect] = _Form(
            text=compiled.string,
            parameters=[(name, kind.bind_processor(dialect)) for name, kind in zip(names, types, strict=True)],
            positional=compiled.positional,
            fixed={name: bind.value for name, bind in compiled.binds.items() if not bind.required},
            # The names are known only here.
            row=namedtuple("Row", [str(column.key) for column in columns]),
            processors=[(place, process) for place, process in enumerate(results) if process],
            alone=isinstance(self._statement, Select) and self._statement._for_update_arg is None,
        )
        return form


def run_waiting(session: Session) -> None:
    """Runs the INSERTs that were put off, last of all in a transaction.

    With asyncpg they are one statement, which saves a way to PostgreSQL for each; and where nothing was written before
    them, they need no other transaction than their own, which saves two. Other drivers take all rows of one INSERT at
    once, the INSERTs in the order in which they first came.

    Raises sqlalchemy.exc.DBAPIError.
    """
    waiting: list[tuple[Hot, Mapping[str, Any]]] = session.info.pop(_WAITING, [])
    if not waiting:
        return
    connection = _connection(session)
    if connection.dialect.driver != "asyncpg":
        rows: dict[Hot, list[Mapping[str, Any]]] = {}
        for hot, values in waiting:
            rows.setdefault(hot, []).append(values)
        for hot, some in rows.items():
            form = hot._form(connection.dialect, some[0])
            _execute(connection, form.text, [form.bind(values) for values in some], alone=False, many=True)
        return
    forms = [hot._form(connection.dialect, values) for hot, values in waiting]
    bound = [value for form, (_, values) in zip(forms, waiting, strict=True) for value in form.bind(values)]
    _execute(connection, _together(tuple(form.text for form in forms)), bound, alone=True)


@lru_cache(maxsize=100)
def _together(texts: tuple[str, ...]) -> str:
    """Statements as parts of one, their parameters numbered on."""
    moved, before = [], 0
    for text in texts:
        moved.append(_PARAMETER.sub(lambda found, before=before: f"${int(found[1]) + before}", text))  # type: ignore[misc]
        before += len(set(_PARAMETER.findall(text)))
    parts = ", ".join(f"part{number} AS ({text})" for number, text in enumerate(moved[:-1]))
    return f"WITH {parts} {moved[-1]}" if parts else moved[-1]


def _connection(session: Session) -> Connection:
    # A session on a connection has it at hand; asking for it would cost as much as half a statement.
    return session.bind if isinstance(session.bind, Connection) else session.connection()


def _execute(connection: Connection, text: str, parameters: Any, *, alone: bool, many: bool = False) -> Sequence[Any]:
    """What the driver gives; `alone` without a BEGIN, which SQLAlchemy's cursor would send first; `many` times, and
    nothing is given.

    Failures become SQLAlchemy's, which the server knows how to answer.
    """
    dialect: Any = connection.dialect
    driver: Any = connection.connection.dbapi_connection
    span = statement_span(connection, text)
    try:
        if alone and (rows := _straight(connection, text, parameters)) is not None:
            return rows
        cursor = connection.connection.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(text, parameters)
            return cursor.fetchall() if cursor.description else ()
        finally:
            cursor.close()
    except dialect.loaded_dbapi.Error as error:
        span.set_status(StatusCode.ERROR)
        lost = dialect.is_disconnect(error, driver, None)
        if lost:
            connection.invalidate(error)
        kind = dialect.loaded_dbapi.Error
        raise DBAPIError.instance(
            text, None, error, kind, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        ) from error
    except BaseException:
        # Given up in the middle of a statement, nobody knows what the connection would say next.
        connection.invalidate()
        raise
    finally:
        span.end()


def _straight(connection: Connection, text: str, parameters: Sequence[Any]) -> Sequence[Any] | None:
    """What asyncpg itself gives; None where it fails, inside of a transaction, or with another driver."""
    if connection.dialect.driver != "asyncpg":
        return None
    driver: Any = connection.connection.driver_connection
    if driver.is_in_transaction():
        return None
    try:
        rows: Sequence[Any] = await_only(driver.fetch(text, *parameters))
        return rows
    except TimeoutError:
        raise
    except Exception:
        # Nothing has happened, or the connection is dead: SQLAlchemy's cursor meets the same and gives it a name.
        return None


def _row(form: _Form, record: Sequence[Any]) -> Any:
    if not form.processors:
        return form.row(*record)
    values = list(record)
    for place, process in form.processors:
        values[place] = process(values[place])
    return form.row(*values)
