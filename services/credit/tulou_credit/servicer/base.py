"""What the servicers have in common."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlmodel import Session

from tulou_chassis.db import Database
from tulou_credit.wiring import House

# What grpc.aio hands to a method; nothing of it is used, since the guards have taken from it what counts.
Context = Any
R = TypeVar("R")


class Servicer:
    """A servicer's database and house."""

    def __init__(self, *, database: Database, house: House) -> None:
        self._database = database
        self._house = house

    async def _write(self, operation: Callable[[Session], R]) -> R:
        return await self._database.write(operation)

    async def _read(self, query: Callable[[Session], R]) -> R:
        return await self._database.read(query)


def now() -> datetime:
    """The instant of a call."""
    return datetime.now(UTC)
