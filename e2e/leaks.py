"""Looks for numbers of persons in clear in all that a city leaves behind: files, logs, traces, tables, events.

Files that people upload (materials, evidence) are kept as they came; those of the tests hold no number, so nothing is
left out. Files of rows are kept sealed.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from e2e.numbers import in_clear
from tulou_city.layout import City
from tulou_city.services import SERVICES

CHUNK: Final = 8 * 1024 * 1024
# Longer than any number.
OVERLAP: Final = 32


def leaks(city: City) -> list[str]:
    """Each place where a number stands, with the number. The city's processes have ended."""
    found = in_files(city.var)
    if city.database_url.startswith("postgresql"):
        for service in SERVICES:
            found += in_postgresql(city.database_url.format(service=service.name))
    return found


def in_files(folder: Path) -> list[str]:
    """As `leaks`, of a folder: the bytes of each file, and of an SQLite database every value besides, for a long one
    is not in one piece in its file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = [leak for path in files for leak in _told(str(path.relative_to(folder)), _pieces(path))]
    # Afterwards, for who opens a database tidies its log away.
    for path in files:
        if path.suffix == ".db":
            found += _told(f"{path.relative_to(folder)} (values)", _values(path))
    return found


def in_postgresql(url: str) -> list[str]:
    """As `leaks`, of all tables of a database; text, JSON and bytes are themselves in the binary form."""
    found = []
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public' order by 1").fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT (FORMAT binary)'.encode()) as copy:
                found += _told(f"table {table}", map(bytes, copy))
    return found


def _told(place: str, pieces: Iterable[bytes]) -> list[str]:
    numbers: set[str] = set()
    for piece in pieces:
        numbers |= in_clear(piece)
    return [f"{place}: {number}" for number in sorted(numbers)]


def _pieces(path: Path) -> Iterator[bytes]:
    """The file's content, each piece with the end of the one before."""
    with path.open("rb") as file:
        end = b""
        while piece := file.read(CHUNK):
            yield end + piece
            end = piece[-OVERLAP:]


def _values(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'select * from "{table.decode()}"'):
                yield b"\0".join(value for value in row if isinstance(value, bytes))
