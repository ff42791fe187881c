"""Rows that were not taken are shown to their sender, corrected, judged again or dropped."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlmodel import select

from services.credit.tests.hostile.recipes import FIRM, LICENCE, csv_text, json_file
from services.credit.tests.integration.import_office import Office
from services.credit.tests.integration.importing import csv_of, generated, person_number
from tulou_chassis.keyring import Keyring, add_key
from tulou_chassis.tables import OutboxEvent
from tulou_credit.domain.imports import QuarantineState
from tulou_credit.domain.records import Outcome
from tulou_credit.import_queries import RowNotFound, get_row
from tulou_credit.intake.report import Breach, quarantine_csv
from tulou_credit.models import QuarantinedRow, Record, RecordVersion, Subject
from tulou_credit.operations import keys, quarantine, records

WRONG = {**LICENCE, "XK_JDRQ": "2024-02-30", "XK_YXQZI": "?"}


def _correct(office: Office, import_id: str, row: int, **values: str) -> records.Put:
    return office.database.write(
        lambda s: quarantine.correct(s, import_id=import_id, row=row, values=values, now=office.now, house=office.house)
    )


def _drop(office: Office, import_id: str, row: int) -> None:
    office.database.write(lambda s: quarantine.drop(s, import_id=import_id, row=row, now=office.now))


def _rerun(office: Office, import_id: str, after: int = 0, limit: int = 500) -> tuple[int, int, int | None]:
    done = office.database.write(
        lambda s: quarantine.rerun(s, import_id=import_id, after=after, now=office.now, house=office.house, limit=limit)
    )
    return done.taken, done.still_wrong, done.last


def _row(office: Office, import_id: str, row: int) -> QuarantinedRow:
    return office.database.read(lambda s: get_row(s, import_id=import_id, row=row))


def _download(office: Office, import_id: str) -> bytes:
    return office.database.read(
        lambda s: b"".join(quarantine_csv(quarantine.rejected_rows(s, import_id=import_id, house=office.house)))
    )


def test_what_is_downloaded_holds_row_fields_and_reasons_and_the_cells_as_they_were_sent(office: Office) -> None:
    number = person_number(1)
    person = {"XK_XDR_LB": "自然人", "XK_XDR_SHXYM": "", "XK_XDR_ZJLX": "身份证", "XK_XDR_ZJHM": number}
    found = office.taken(csv_of(iter([LICENCE, WRONG, {**WRONG, **person}])))
    lines = list(csv.DictReader(io.StringIO(_download(office, found.id).decode("utf-8-sig"))))
    assert [(line["_行号"], line["_字段"]) for line in lines] == [
        ("3", "XK_JDRQ；XK_YXQZI"),
        ("4", "XK_JDRQ；XK_YXQZI"),
    ]
    assert "日期应为" in lines[0]["_原因"]
    assert (lines[0]["XK_JDRQ"], lines[0]["XK_XDR_SHXYM"]) == ("2024-02-30", FIRM)
    # An apostrophe keeps the spreadsheet from rounding it.
    assert lines[1]["XK_XDR_ZJHM"] == f"'{number}"


def test_the_downloaded_file_corrected_and_sent_again_is_taken(office: Office) -> None:
    found = office.taken(generated(200))
    assert found.rows_quarantined == 2
    corrected = _download(office, found.id).decode("utf-8-sig").replace("2024-02-30", "2024-02-29")
    again = office.taken(corrected.encode("utf-8-sig"))
    assert (again.rows_done, again.rows_created) == (2, 2)
    assert office.count(Record) == 200


def test_more_rows_than_a_batch_are_downloaded_in_order(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "BATCH", 3)
    found = office.taken(csv_of(iter([WRONG] * 10)))
    rows = office.database.read(
        lambda s: [one.row for one in quarantine.rejected_rows(s, import_id=found.id, house=office.house)]
    )
    assert rows == list(range(2, 12))


def test_a_corrected_row_becomes_a_record_and_leaves_no_cells(office: Office) -> None:
    found = office.taken(csv_of(iter([WRONG])))
    put = _correct(office, found.id, 2, XK_JDRQ="2024-02-29", XK_YXQZI="2029-01-01", XK_YXQZ="2024-02-29")
    row = _row(office, found.id, 2)
    assert put.outcome is Outcome.CREATED
    assert (row.state, row.record_id, row.cells, row.settled_at) == (
        QuarantineState.CORRECTED,
        put.record_id,
        "",
        office.now,
    )
    version = office.database.read(lambda s: s.exec(select(RecordVersion)).one())
    assert (version.origin, version.source) == (f"{found.id}:2", found.source)
    assert office.count(OutboxEvent) == 1


def test_a_correction_that_is_wrong_too_says_why_and_changes_nothing(office: Office) -> None:
    found = office.taken(csv_of(iter([WRONG])))
    before = _row(office, found.id, 2)
    with pytest.raises(quarantine.StillWrong) as refused:
        _correct(office, found.id, 2, XK_JDRQ="2024-02-29", XK_XDR_SHXYM=person_number(3))
    assert [(one.field, one.reason) for one in refused.value.breaches] == [
        ("XK_XDR_SHXYM", "CREDIT_CODE"),
        ("XK_YXQZI", "DATE_FORM"),
    ]
    assert person_number(3) not in f"{refused.value} {refused.value.breaches}"
    assert _row(office, found.id, 2) == before
    assert office.count(Subject) == 0


def test_a_correction_of_a_column_that_is_not_there_is_refused(office: Office) -> None:
    found = office.taken(csv_of(iter([WRONG])))
    with pytest.raises(quarantine.StillWrong) as refused:
        _correct(office, found.id, 2, XK_JDRQ="2024-02-29", CF_NR="警告")
    assert refused.value.breaches == (Breach(2, "CF_NR", "UNKNOWN_COLUMN"),)


def test_a_settled_row_is_not_corrected_again_and_not_dropped(office: Office) -> None:
    found = office.taken(csv_of(iter([WRONG, WRONG])))
    good = {"XK_JDRQ": "2024-01-02", "XK_YXQZI": "2029-01-01"}
    _correct(office, found.id, 2, **good)
    for again in (lambda: _correct(office, found.id, 2, **good), lambda: _drop(office, found.id, 2)):
        with pytest.raises(quarantine.RowSettled):
            again()
    _drop(office, found.id, 3)
    _drop(office, found.id, 3)
    with pytest.raises(quarantine.RowSettled):
        _correct(office, found.id, 3, **good)
    assert (_row(office, found.id, 3).state, _row(office, found.id, 3).cells) == (QuarantineState.DROPPED, "")
    assert office.waiting(found.id) == []


def test_a_row_that_is_not_there_is_not_found(office: Office) -> None:
    found = office.taken(csv_of(iter([WRONG])))
    with pytest.raises(RowNotFound):
        _correct(office, found.id, 3)
    with pytest.raises(RowNotFound):
        _drop(office, "none", 2)


def test_a_row_whose_cells_may_have_moved_is_taken_only_when_it_is_sent_anew(office: Office) -> None:
    names = list(LICENCE)
    moved = csv_text(LICENCE, header=names).replace(LICENCE["XK_LYDWDM"] + "\r\n", LICENCE["XK_LYDWDM"] + ",x\r\n")
    found = office.taken(moved.encode())
    assert office.waiting(found.id) == [(2, ["WRONG_CELL_COUNT"])]
    # Its cells alone would pass.
    assert _rerun(office, found.id) == (0, 1, 2)
    with pytest.raises(quarantine.StillWrong):
        _correct(office, found.id, 2, XK_NR="食品经营许可")
    assert _correct(office, found.id, 2, **LICENCE).outcome is Outcome.CREATED


def test_a_row_of_broken_json_is_taken_when_it_is_sent_anew(office: Office) -> None:
    found = office.taken(json_file(LICENCE, '{"XK_XDR_MC": '))
    assert office.waiting(found.id) == [(2, ["BROKEN_JSON"])]
    assert _correct(office, found.id, 2, **{**LICENCE, "XK_WSH": "2号"}).outcome is Outcome.CREATED


def test_rows_are_judged_again_on_the_day_of_now(office: Office) -> None:
    tomorrow = f"{office.now + timedelta(days=1):%Y-%m-%d}"
    early = {**LICENCE, "XK_JDRQ": tomorrow, "XK_YXQZ": tomorrow}
    found = office.taken(csv_of(iter([early, WRONG])))
    assert office.waiting(found.id) == [(2, ["DATE_IN_FUTURE"]), (3, ["DATE_FORM", "DATE_FORM"])]
    assert _rerun(office, found.id) == (0, 2, 3)
    office.now += timedelta(days=1)
    assert _rerun(office, found.id) == (1, 1, 3)
    assert _rerun(office, found.id) == (0, 1, 3)
    assert office.waiting(found.id) == [(3, ["DATE_FORM", "DATE_FORM"])]
    assert (office.count(Record), office.count(OutboxEvent)) == (1, 1)


def test_judging_again_goes_on_behind_the_last_row_until_there_is_none(office: Office) -> None:
    found = office.taken(csv_of(iter([WRONG] * 5)))
    assert _rerun(office, found.id, limit=2) == (0, 2, 3)
    assert _rerun(office, found.id, after=3, limit=2) == (0, 2, 5)
    assert _rerun(office, found.id, after=5, limit=2) == (0, 1, 6)
    assert _rerun(office, found.id, after=6) == (0, 0, None)


def test_cells_are_sealed_anew_when_the_key_changes(office: Office, tmp_path: Path) -> None:
    found = office.taken(csv_of(iter([WRONG] * 3)))
    add_key(tmp_path / "keyring.json")
    office.house = replace(office.house, keyring=Keyring.load(tmp_path / "keyring.json"))
    before = _download(office, found.id)
    assert not office.house.keyring.is_current(_row(office, found.id, 2).cells)
    moved, last = 0, cast(Any, ())
    while last is not None:
        reseal: dict[str, Any] = {"table": QuarantinedRow, "column": "cells", "after": last, "limit": 2}
        done = office.database.write(lambda s, reseal=reseal: keys.reseal(s, **reseal, house=office.house))  # type: ignore[misc]
        moved, last = moved + done.count, done.last
    assert moved == 3
    assert all(office.house.keyring.is_current(_row(office, found.id, row).cells) for row in (2, 3, 4))
    assert _download(office, found.id) == before


def test_cells_are_bound_to_their_row(office: Office) -> None:
    found = office.taken(csv_of(iter([WRONG] * 2)))
    other = _row(office, found.id, 3).cells

    def swapped(session: Any) -> None:
        row = get_row(session, import_id=found.id, row=2)
        row.cells = other
        session.add(row)

    office.database.write(swapped)
    with pytest.raises(Exception, match="was changed or moved"):
        _download(office, found.id)
