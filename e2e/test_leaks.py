"""What looks for numbers of persons in clear finds them, wherever they stand; each city of the run is looked through
when it ends (providers/cities.py)."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from e2e.clients import Refused
from e2e.leaks import CHUNK, in_files, in_postgresql
from e2e.numbers import PHONES, firm, in_clear, person
from e2e.providers.cities import new_city
from e2e.providers.servers import databases
from tulou_city.layout import ROOT
from tulou_civics.identifiers import check_credit_code, check_resident_id, mask_identity, mask_phone, passes

NUMBER = person(4711)


def test_the_numbers_of_the_tests_are_valid_and_differ() -> None:
    serials = range(0, 5000, 7)
    assert len({check_resident_id(person(serial)) for serial in serials}) == len(serials)
    assert len({check_credit_code(firm(serial)) for serial in serials}) == len(serials)


def test_every_number_that_the_tests_write_is_one_that_is_looked_for() -> None:
    files = [path for part in ("e2e", "city", "gateway") for path in (ROOT / part).rglob("*")]
    texts = [path.read_text("utf-8") for path in files if path.suffix in (".py", ".yaml")]
    phones = {phone for text in texts for phone in re.findall(r"(?<![0-9a-f.])1[3-9][0-9]{9}(?![0-9a-f])", text)}
    residents = {number for text in texts for number in re.findall(r"(?<![0-9])[1-9][0-9]{16}[0-9X](?![0-9])", text)}
    assert phones - set(PHONES) == set()
    numbers = {number for number in residents if passes(check_resident_id, number)}
    assert numbers
    assert {number for number in numbers if in_clear(number.encode()) != {number}} == set()


@pytest.mark.parametrize("number", [NUMBER, *PHONES])
def test_a_number_is_found_between_any_bytes(number: str) -> None:
    for before, behind in (("", ""), ("a", "f"), ("7", "7"), ("\0", "\xff"), ('{"number":"', '"}')):
        assert in_clear(f"{before}{number}{behind}".encode()) == {number}


def test_what_is_no_number_is_not_found() -> None:
    wrong = NUMBER[:-1] + ("0" if NUMBER[-1] != "0" else "1")
    masked = f"{mask_identity(NUMBER)} {mask_phone(PHONES[0])}"
    assert in_clear(f"{wrong} {masked} {firm(1)} 35060220261122000418".encode()) == set()


def test_numbers_in_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log/worker.log").write_text(f'{{"event": "credit", "number": "{NUMBER}"}}\n')
    (tmp_path / "blob").write_bytes(bytes(CHUNK - 9) + NUMBER.encode() + bytes(CHUNK))
    (tmp_path / "clean").write_bytes(bytes(2 * CHUNK))
    assert in_files(tmp_path) == [f"blob: {NUMBER}", f"log/worker.log: {NUMBER}"]


def test_numbers_in_sqlite_are_found_in_its_log_and_across_pages(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "credit.db", isolation_level=None)) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("create table a (id text, content text)")
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("insert into a values (?, ?)", ("0a", NUMBER))
        assert f"credit.db-wal: {NUMBER}" in in_files(tmp_path)
        assert f"credit.db (values): {NUMBER}" in in_files(tmp_path)
        connection.execute("delete from a")
        # Wherever a page ends, some number lies across it.
        connection.executemany("insert into a values ('', ?)", [("x" * n + NUMBER + "y" * 5000,) for n in range(4096)])
        assert f"credit.db (values): {NUMBER}" in in_files(tmp_path)


def test_numbers_in_postgresql_are_found_in_text_json_and_bytes(postgres_admin_url: str) -> None:
    with databases(postgres_admin_url) as template:
        url = template.format(service="credit")
        with psycopg.connect(url, autocommit=True) as connection:
            for column, kind in (("clean", "text"), ("told", "text"), ("content", "jsonb"), ("sealed", "bytea")):
                connection.execute(f"create table of_{column} (id int, value {kind})")
            connection.execute("insert into of_clean values (1, 'a')")
            connection.execute("insert into of_told values (1, %s)", (f"f{NUMBER}",))
            connection.execute("insert into of_content values (1, %s)", (f'{{"number": "{NUMBER}"}}',))
            connection.execute("insert into of_sealed values (1, %s)", (NUMBER.encode(),))
        assert in_postgresql(url) == [f"table of_{name}: {NUMBER}" for name in ("content", "sealed", "told")]


def test_a_city_that_leaves_a_number_behind_fails_its_test() -> None:
    with pytest.raises(AssertionError, match="in clear"), new_city() as city:
        (city.var / "worker.log").write_text(PHONES[0])


def test_a_refusal_that_tells_a_number_fails_its_test() -> None:
    with pytest.raises(AssertionError, match="a person's number"):
        Refused("NOT_FOUND", 404, {"message": f"No person {NUMBER}."})
