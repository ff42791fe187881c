"""What the servicers have in common."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from tulou_chassis.db import Database
from tulou_chassis.errors import UNAVAILABLE, Refusal
from tulou_credit.wiring import House

# What grpc.aio hands to a method; nothing of it is used, since the guards have taken from it what counts.
Context = Any
R = TypeVar("R")
TRIES: Final = 3


class Servicer:
    """A servicer's database and house."""

    def __init__(self, *, database: Database, house: House) -> None:
        self._database = database
        self._house = house

    async def _write(self, operation: Callable[[Session], R]) -> R:
        """Runs the operation in a transaction, again where another one made or changed the same rows meanwhile.

        Raises what the operation raises, and Refusal where others were faster each time.
        """
        for _ in range(TRIES):
            try:
                return await self._database.write(operation)
            except (DBAPIError, StaleDataError) as error:
                if not _was_overtaken(error):
                    raise
        # So many write the same row that one more try would not be the last either.
        raise Refusal(UNAVAILABLE)


def _was_overtaken(error: DBAPIError | StaleDataError) -> bool:
    """Whether another transaction made or changed the same rows. A deadlock that PostgreSQL ends has only a code."""
    if isinstance(error, IntegrityError | StaleDataError):
        return True
    return getattr(error.orig, "sqlstate", None) in ("40001", "40P01")


def now() -> datetime:
    """The instant of a call."""
    return datetime.now(UTC)
