"""Leases: rows that say which process does a job that one at a time may do, and until when."""

from datetime import datetime, timedelta

from sqlalchemy import delete, or_, update
from sqlmodel import Session, select

from tulou_chassis.tables import Lease
from tulou_chassis.upserts import insert_into

_LEASE = Lease.__table__  # type: ignore[attr-defined]


def acquire(session: Session, name: str, holder: str, now: datetime, seconds: float) -> bool:
    """Takes or renews the lease for `seconds`; false while another holder's has not run out."""
    values = {"holder": holder, "expires_at": now + timedelta(seconds=seconds)}
    statement = insert_into(session, _LEASE).values(name=name, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_=values, where=or_(_LEASE.c.holder == holder, _LEASE.c.expires_at <= now)
    )
    # Not by rowcount, which is unknown for an INSERT through psycopg.
    return session.connection().execute(statement.returning(_LEASE.c.name)).first() is not None


def hold_until(session: Session, name: str, holder: str, end: datetime, *, succeeded_at: datetime | None) -> None:
    """Lets the holder's lease run out at `end`; notes when its job succeeded, none that it did not.

    Nothing happens when another holds it.
    """
    values = {"expires_at": end} | ({"succeeded_at": succeeded_at} if succeeded_at else {})
    session.connection().execute(update(_LEASE).where(_LEASE.c.name == name, _LEASE.c.holder == holder).values(values))


def release(session: Session, name: str, holder: str) -> None:
    """Gives the lease up. Nothing happens when another holds it."""
    session.connection().execute(delete(_LEASE).where(_LEASE.c.name == name, _LEASE.c.holder == holder))


def successes(session: Session) -> dict[str, datetime | None]:
    """When the job of each lease that there is was last done with success; none where it never was."""
    found = session.connection().execute(select(_LEASE.c.name, _LEASE.c.succeeded_at))
    return {row.name: row.succeeded_at for row in found}


def expiry(session: Session, name: str) -> datetime | None:
    """When the lease runs out; none when nobody holds it."""
    end: datetime | None = (
        session.connection().execute(select(_LEASE.c.expires_at).where(_LEASE.c.name == name)).scalar()
    )
    return end
