"""How PostgreSQL is reached: the same URL for both drivers, and connections that notice when nobody answers any more.

A host that is gone or cut off sends nothing, not even that it is gone. TCP's own patience with that is a quarter of an
hour and more, so each driver is given less.
"""

import socket
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.engine import URL

CONNECT_SECONDS: Final = 5
# A statement of a call; a call has half a minute.
CALL_SECONDS: Final = 30.0
# As libpq names them: seconds of silence before the other side is asked, between two questions, and how many it may
# leave unanswered; milliseconds for which what was sent may stay unconfirmed.
PATIENCE: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
_OPTIONS: Final = {
    "keepalives_idle": socket.TCP_KEEPIDLE,
    "keepalives_interval": socket.TCP_KEEPINTVL,
    "keepalives_count": socket.TCP_KEEPCNT,
    "tcp_user_timeout": socket.TCP_USER_TIMEOUT,
}
# libpq's names that asyncpg knows in a URL; it takes others for settings of the server.
_ASYNCPG: Final = frozenset(
    (
        *("host", "port", "passfile", "target_session_attrs", "application_name", "options"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    )
)
# What a database URL may say behind its question mark: what both drivers understand, or what is done here for asyncpg.
PARAMETERS: Final = _ASYNCPG | {"connect_timeout"} | PATIENCE.keys()


def for_psycopg(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL for SQLAlchemy, and the arguments of a connection beside it."""
    own = {"connect_timeout": CONNECT_SECONDS} | PATIENCE
    arguments = {name: value for name, value in own.items() if name not in url.query}
    return url.set(drivername="postgresql+psycopg"), arguments


def for_asyncpg(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL for SQLAlchemy, and the arguments of a connection beside it."""
    # SQLAlchemy would hand libpq's names on as arguments that asyncpg does not have; in a URL it knows them.
    known = {name: _joined(value) for name, value in url.query.items() if name in _ASYNCPG}
    dsn = url.set(drivername="postgresql", query=known).render_as_string(hide_password=False)
    timeout = float(_joined(url.query.get("connect_timeout", str(CONNECT_SECONDS))))
    arguments = {"dsn": dsn, "timeout": timeout, "command_timeout": CALL_SECONDS}
    return URL.create("postgresql+asyncpg", database=url.database), arguments


def be_patient(connected: socket.socket, query: Mapping[str, str | tuple[str, ...]]) -> None:
    """Does for a socket of asyncpg's what libpq does by itself: PATIENCE, or what the URL says instead."""
    if connected.family == socket.AF_UNIX:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, option in _OPTIONS.items():
        connected.setsockopt(socket.IPPROTO_TCP, option, int(_joined(query.get(name, str(PATIENCE[name])))))


def _joined(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)
