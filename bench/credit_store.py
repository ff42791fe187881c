"""The rows of `credit_rows`: made once, kept in files, copied into a database."""

import hashlib
import json
import os
import shutil
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
from rich.progress import Progress, track

from bench import credit_rows
from bench.credit_rows import BLOCK, SEED, SUBJECTS, TABLES, block, columns


def files(folder: Path, revision: str) -> Path:
    """The folder under `folder` with a file for each table and the keyring they are sealed with; made where missing."""
    code = hashlib.sha256(Path(credit_rows.__file__).read_bytes()).hexdigest()[:8]
    kept = folder / f"credit-{revision}-{code}"
    if kept.exists():
        return kept
    for old in folder.glob("credit-*"):
        shutil.rmtree(old)
    draft = folder / f"credit-draft-{os.getpid()}"
    draft.mkdir(parents=True)
    keyring = draft / "keyring.json"
    _make_keyring(keyring)
    blocks = range(0, SUBJECTS, BLOCK)
    with ProcessPoolExecutor() as pool:
        found = pool.map(block, blocks, [keyring] * len(blocks))
        for rows in track(found, description="Subjects and records", total=len(blocks)):
            for name, text in rows.items():
                with (draft / name).open("ab") as file:
                    file.write(text)
    draft.rename(kept)
    return kept


def _make_keyring(path: Path) -> None:
    """Keys of the seed: hashes are then the same every time."""

    def key(what: str) -> str:
        return b64encode(hashlib.sha256(f"{SEED}:{what}".encode()).digest()).decode()

    path.write_text(json.dumps({"primary": "k1", "keys": {"k1": key("k1")}, "index_key": key("index")}))


def load(url: str, kept: Path) -> None:
    """Copies the files into the empty tables of a migrated database."""
    with Progress() as progress, psycopg.connect(url) as connection:
        # The files hold no row without its parent; looking each up again takes longer than to write it.
        connection.execute("SET session_replication_role = replica")
        size = sum((kept / str(table.__tablename__)).stat().st_size for table in TABLES)
        task = progress.add_task("Copied to PostgreSQL", total=size)
        for table in TABLES:
            name = str(table.__tablename__)
            statement = f"COPY {name} ({', '.join(columns(table))}) FROM STDIN"
            with connection.cursor().copy(statement.encode()) as copy, (kept / name).open("rb") as file:
                for piece in _pieces(file):
                    copy.write(piece)
                    progress.advance(task, len(piece))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(1 << 20):
        yield piece
