"""Files are taken in row by row, gone on with where they stood, and nothing in them changes anything twice."""

import io
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
import yaml
from sqlalchemy import and_, inspect, text, update
from sqlmodel import Session, col, select

from services.credit.tests.hostile.recipes import (
    LICENCE,
    LICENCE_HEADER,
    PENALTY,
    PENALTY_HEADER,
    PERSON,
    RECIPES,
    csv_file,
    licence_cells,
    sheet_xml,
    text_cells,
    xlsx_file,
)
from services.credit.tests.integration.import_office import Office
from services.credit.tests.integration.importing import (
    NOW,
    SOURCE,
    csv_of,
    generated,
    is_wrong,
    person_number,
)
from tulou_chassis import hot
from tulou_chassis.syncdb import SyncDatabase
from tulou_chassis.tables import HistoryRecord, OutboxEvent
from tulou_credit.domain.imports import ImportState
from tulou_credit.import_queries import (
    ImportFilter,
    ImportNotFound,
    list_imports,
    open_rows,
    unended_imports,
)
from tulou_credit.intake import read_rows
from tulou_credit.intake.formats import Encoding
from tulou_credit.models import FormerName, Import, Record, RecordType, RecordVersion, Subject
from tulou_credit.operations import imports, quarantine, records
from tulou_credit.queries import get_type

_HOSTILE = Path(__file__).parents[1] / "hostile"
EXPECTED: dict[str, Any] = yaml.safe_load((_HOSTILE / "expected.yaml").read_text(encoding="utf-8"))
FILES = {path.name: path.read_bytes for path in (_HOSTILE / "files").iterdir()} | RECIPES


def _counts(found: Import) -> tuple[int, int, int, int, int]:
    return (
        found.rows_done,
        found.rows_created,
        found.rows_unchanged,
        found.rows_superseded,
        found.rows_quarantined,
    )


def _licence(**changed: str) -> Mapping[str, str]:
    return {**LICENCE, **changed}


@contextmanager
def _catalogue(office: Office, change: Mapping[str, Any]) -> Iterator[None]:
    """The catalogue's entry for licences is other meanwhile."""
    write = office.database.write
    entry = office.database.read(lambda s: get_type(s, code="LICENCE"))
    before = {name: getattr(entry, name) for name in change}
    where = and_(col(RecordType.code) == "LICENCE", col(RecordType.version) == entry.version)
    write(lambda s: s.execute(update(RecordType).where(where).values(**change)))
    yield
    write(lambda s: s.execute(update(RecordType).where(where).values(**before)))


def test_good_rows_become_records_and_wrong_ones_wait_in_quarantine(office: Office) -> None:
    found = office.taken(generated(200))
    assert (found.state, _counts(found)) == (ImportState.DONE, (200, 198, 0, 0, 2))
    assert (office.count(Record), office.count(RecordVersion), office.count(OutboxEvent)) == (198, 198, 198)
    assert office.count(Subject) == 24
    assert office.waiting(found.id) == [(98, ["DATE_FORM"]), (195, ["DATE_FORM"])]
    assert found.started_at == found.ended_at == NOW


def test_a_file_of_many_chunks_has_each_row_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK_ROWS", 7)
    found = office.taken(generated(100))
    assert _counts(found) == (100, 99, 0, 0, 1)
    origins = office.database.read(lambda session: session.exec(select(RecordVersion.origin)).all())
    assert Counter(origins) == Counter(f"{found.id}:{n + 2}" for n in range(100) if not is_wrong(n))


def test_the_same_file_sent_again_changes_nothing(office: Office) -> None:
    content = generated(100)
    office.taken(content)
    before = (office.count(RecordVersion), office.count(OutboxEvent), office.count(Subject))
    again = office.taken(content)
    assert _counts(again) == (100, 0, 99, 0, 1)
    assert (office.count(RecordVersion), office.count(OutboxEvent), office.count(Subject)) == before


def test_another_content_under_the_same_number_supersedes_also_within_one_chunk(office: Office) -> None:
    rows = [_licence(XK_NR=content) for content in ("甲", "乙", "乙", "丙", "甲")]
    found = office.taken(csv_of(iter(rows)))
    # The last one says what was superseded already: sent again it must not undo what came after it.
    assert _counts(found) == (5, 1, 2, 2, 0)
    assert (office.count(Record), office.count(RecordVersion)) == (1, 3)


def test_a_chunk_asks_and_writes_together(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    execute: Any = hot._execute

    def counted(connection: Any, statement: str, *given: Any, **named: Any) -> Any:
        ran.append(statement)
        return execute(connection, statement, *given, **named)

    monkeypatch.setattr(hot, "_execute", counted)
    content = generated(200)
    office.taken(content)
    # Each of 24 subjects is made once and asked for once; all records, versions and histories are one statement each.
    assert len(ran) == 24 + 24 + 3
    ran.clear()
    office.taken(content)
    assert ran == []


def test_a_subject_renamed_by_another_since_its_row_was_read_ahead_keeps_both_names(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.taken(csv_of(iter([_licence(XK_XDR_MC="土楼茶厂", XK_JDRQ="2024-01-02")])))
    ahead: Any = records.read_ahead

    def then_renamed(session: Session, *given: Any, **named: Any) -> None:
        ahead(session, *given, **named)
        session.execute(update(Subject).values(name="土楼茶行", name_key="土楼茶行", told_on=date(2024, 1, 3)))

    monkeypatch.setattr(records, "read_ahead", then_renamed)
    office.taken(csv_of(iter([_licence(XK_XDR_MC="土楼茶庄", XK_WSH="2号", XK_JDRQ="2024-01-04")])))
    assert office.database.read(lambda s: s.exec(select(Subject.name)).all()) == ["土楼茶庄"]
    assert office.database.read(lambda s: s.exec(select(FormerName.name)).all()) == ["土楼茶行"]


def test_who_is_asked_to_end_leaves_the_import_to_another_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK_ROWS", 10)
    content = generated(100)
    import_id = office.begin(content)
    assert not office.run(import_id, holder="one", stop_after=3)
    assert (office.get(import_id).state, office.get(import_id).rows_done) == (ImportState.RUNNING, 30)
    assert office.run(import_id, holder="two")
    assert _counts(office.get(import_id)) == (100, 99, 0, 0, 1)


def test_each_going_on_reads_past_what_is_done_and_keeps_the_lease(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK_ROWS", 10)
    monkeypatch.setattr(imports, "_SKIPPED_ROWS", 4)
    content = generated(100)
    import_id = office.begin(content)
    assert [office.run(import_id, stop_after=1) for _ in range(10)] == [False] * 9 + [True]
    assert _counts(office.get(import_id)) == (100, 99, 0, 0, 1)


def test_a_row_that_breaks_down_takes_its_whole_chunk_back_and_the_next_run_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK_ROWS", 10)
    content = generated(50)
    import_id = office.begin(content)
    put: Any = records.put

    def breaking(session: Session, decision: Any, **named: Any) -> records.Put:
        if decision.row == 27:
            raise RuntimeError("broken")
        found: records.Put = put(session, decision, **named)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(records, "put", breaking)
        with pytest.raises(RuntimeError):
            office.run(import_id)
    assert (office.get(import_id).rows_done, office.count(Record), office.count(OutboxEvent)) == (20, 20, 20)
    assert office.run(import_id)
    assert _counts(office.get(import_id)) == (50, 50, 0, 0, 0)
    assert office.count(OutboxEvent) == 50


def test_an_import_that_takes_no_row_in_five_starts_is_given_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = generated(5)
    import_id = office.begin(content)

    def breaking(*_given: Any, **_named: Any) -> records.Put:
        raise RuntimeError("broken")

    monkeypatch.setattr(records, "put", breaking)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            office.run(import_id)
    assert not office.run(import_id)
    found = office.get(import_id)
    assert (found.state, found.failure[0]["reason"]) == (ImportState.FAILED, "GAVE_UP")


def test_an_import_that_takes_rows_in_every_start_is_not_given_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "CHUNK_ROWS", 10)
    content = generated(80)
    import_id = office.begin(content)
    put: Any = records.put
    calls = itertools.count(1)

    def breaking_at_the_eleventh(*given: Any, **named: Any) -> records.Put:
        if next(calls) % 11 == 0:
            raise RuntimeError("broken")
        found: records.Put = put(*given, **named)
        return found

    monkeypatch.setattr(records, "put", breaking_at_the_eleventh)
    for _ in range(7):
        with pytest.raises(RuntimeError):
            office.run(import_id)
    assert office.run(import_id)
    assert _counts(office.get(import_id)) == (80, 80, 0, 0, 0)


def test_only_one_holder_runs_an_import_until_its_lease_runs_out(office: Office) -> None:
    import_id = office.begin(generated(5))
    assert office.start(import_id, "one")
    assert not office.start(import_id, "two")
    office.now += timedelta(seconds=imports.LEASE_SECONDS - 1)
    assert not office.start(import_id, "two")
    office.now += timedelta(seconds=1)
    assert office.start(import_id, "two")


def test_who_was_overtaken_takes_no_more_rows(office: Office) -> None:
    content = generated(5)
    import_id = office.begin(content)
    assert office.start(import_id, "one")
    office.now += timedelta(seconds=imports.LEASE_SECONDS)
    assert office.start(import_id, "two")
    rows = [quarantine.judge(row, today=NOW.date()) for row in read_rows(io.BytesIO(content))]
    step: dict[str, Any] = {"import_id": import_id, "rows": rows, "now": office.now, "house": office.house}
    with pytest.raises(imports.Overtaken):
        office.database.write(lambda s: imports.step(s, holder="one", after=0, **step))
    with pytest.raises(imports.Overtaken):
        office.database.write(lambda s: imports.step(s, holder="two", after=1, **step))
    assert office.count(Record) == 0
    assert office.database.write(lambda s: imports.step(s, holder="two", after=0, **step))
    assert office.count(Record) == 5


def test_two_imports_of_one_file_at_once_put_each_row_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK_ROWS", 20)
    content = generated(200)
    ids = [office.begin(content), office.begin(content)]
    together = Barrier(2)

    def one(import_id: str) -> None:
        together.wait()
        office.run(import_id, holder=import_id)

    threads = [Thread(target=one, args=(import_id,)) for import_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [office.get(import_id) for import_id in ids]
    assert [one.state for one in found] == [ImportState.DONE] * 2
    assert sum(one.rows_created for one in found) == sum(one.rows_unchanged for one in found) == 198
    assert (office.count(RecordVersion), office.count(OutboxEvent)) == (198, 198)


def test_a_queued_import_is_cancelled_at_once(office: Office) -> None:
    import_id = office.begin(generated(5))
    office.cancel(import_id)
    assert office.get(import_id).state == ImportState.CANCELLED
    assert not office.start(import_id, "one")


def test_a_running_import_ends_behind_its_next_rows(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK_ROWS", 10)
    content = generated(50)
    import_id = office.begin(content)
    asked: list[bool] = []

    def cancelling() -> bool:
        asked.append(True)
        if len(asked) == 3:
            office.cancel(import_id)
        return False

    common: dict[str, Any] = {"holder": "one", "open_file": office.files.open, "house": office.house}
    assert imports.run(office.database, import_id=import_id, clock=lambda: NOW, stop=cancelling, **common)
    found = office.get(import_id)
    assert (found.state, found.rows_done, office.count(Record)) == (ImportState.CANCELLED, 20, 20)


def test_cancelling_a_running_import_whose_runner_is_gone_ends_it_with_the_next_start(office: Office) -> None:
    import_id = office.begin(generated(5))
    assert office.start(import_id, "killed")
    office.cancel(import_id)
    assert office.get(import_id).state == ImportState.RUNNING
    office.now += timedelta(seconds=imports.LEASE_SECONDS)
    assert not office.start(import_id, "two")
    assert office.get(import_id).state == ImportState.CANCELLED


def test_an_import_that_has_ended_is_not_cancelled_and_not_run(office: Office) -> None:
    content = generated(5)
    found = office.taken(content)
    office.cancel(found.id)
    assert office.get(found.id).state == ImportState.DONE
    assert not office.run(found.id)


def test_a_file_that_turns_unreadable_fails_and_its_rows_before_stand(office: Office) -> None:
    found = office.taken(generated(20) + '"漳州'.encode())
    assert (found.state, found.rows_done, office.count(Record)) == (ImportState.FAILED, 20, 20)
    assert found.failure == [{"row": 22, "field": "", "reason": "UNTERMINATED_QUOTE", "detail": ""}]


def test_a_file_that_is_no_table_fails_without_a_row(office: Office) -> None:
    found = office.taken("漳州市市场监督管理局\n".encode())
    assert (found.state, found.rows_done) == (ImportState.FAILED, 0)
    assert found.failure[0]["reason"] == "UNKNOWN_COLUMNS"


def test_the_senders_word_on_the_encoding_is_heeded(office: Office) -> None:
    content = generated(5).decode().encode("utf-16-le")
    assert office.taken(content).state == ImportState.FAILED
    assert office.taken(content, encoding=Encoding.UTF_16_LE).state == ImportState.DONE


def test_a_workbook_is_taken_like_text(office: Office) -> None:
    content = xlsx_file(sheet_xml(text_cells(LICENCE_HEADER), licence_cells()))
    assert _counts(office.taken(content)) == (1, 1, 0, 0, 0)


def test_penalties_are_taken(office: Office) -> None:
    assert _counts(office.taken(csv_file(PENALTY, header=PENALTY_HEADER))) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sources": ["WLJ"]}, "SOURCE_NOT_ALLOWED"),
        ({"subject_kinds": ["PERSON"]}, "SOURCE_NOT_ALLOWED"),
        ({"state": "RETIRED"}, "TYPE_NOT_PUBLISHED"),
        ({"content_schema": {"type": "object", "properties": {"content": {"maxLength": 1}}}}, "CONTENT_NOT_ALLOWED"),
    ],
)
def test_what_the_catalogue_does_not_let_the_department_send_goes_to_quarantine(
    office: Office, change: dict[str, Any], reason: str
) -> None:
    content = csv_of(iter([LICENCE, LICENCE]))
    with _catalogue(office, change):
        found = office.taken(content)
        assert (found.state, _counts(found)) == (ImportState.DONE, (2, 0, 0, 0, 2))
        assert office.waiting(found.id) == [(2, [reason]), (3, [reason])]
        assert office.count(Subject) == office.count(HistoryRecord) == 0
    again = office.database.write(
        lambda s: quarantine.rerun(s, import_id=found.id, after=0, now=NOW, house=office.house)
    )
    assert (again.taken, again.still_wrong, again.last, office.count(Record)) == (2, 0, 3, 1)


def test_an_import_keeps_no_more_cells_than_a_file_may_have_bytes(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = _licence(XK_JDRQ="?")
    monkeypatch.setattr(imports, "MAX_FILE_BYTES", sum(map(len, wrong.values())) + 1)
    found = office.taken(csv_of(iter([wrong] * 4)))
    rows = office.database.read(lambda s: open_rows(s, import_id=found.id, after=0, limit=10))
    assert [bool(row.cells) for row in rows] == [True, True, False, False]


def test_a_persons_number_stands_nowhere_in_clear(office: Office) -> None:
    number = person_number(4711)
    person = {"XK_XDR_LB": "自然人", "XK_XDR_SHXYM": "", "XK_XDR_ZJLX": "身份证", "XK_XDR_ZJHM": number}
    good = _licence(**person)
    wrong = [_licence(**person, XK_JDRQ="?"), _licence(**person | {"XK_XDR_ZJHM": f"{number}9"}), {"XK_WSH": number}]
    content = csv_of(iter([good, *wrong])) + f"{number}\n".encode()
    found = office.taken(content, file_name=f"张三{number} 13800138000.csv")
    broken = office.taken(f"{number},张三\n".encode())
    assert (_counts(found), broken.state) == ((5, 1, 0, 0, 4), ImportState.FAILED)
    stored = _everything(office.database)
    assert found.id in stored
    assert number not in stored
    assert "13800138000" not in stored


def test_imports_are_listed_newest_first_by_department_and_state(office: Office) -> None:
    ids = []
    for day in range(4):
        office.now = datetime(2024, 6, 1 + day, tzinfo=UTC)
        ids.append(office.begin(b"", source=SOURCE if day % 2 else "WLJ"))
    office.cancel(ids[0])

    def listed(filter: ImportFilter, after: tuple[datetime, str] | None = None) -> list[str]:
        return [one.id for one in office.database.read(lambda s: list_imports(s, filter=filter, after=after, limit=2))]

    assert listed(ImportFilter()) == [ids[3], ids[2]]
    assert listed(ImportFilter(), (datetime(2024, 6, 3, tzinfo=UTC), ids[2])) == [ids[1], ids[0]]
    assert listed(ImportFilter(source=SOURCE)) == [ids[3], ids[1]]
    assert listed(replace(ImportFilter(source="WLJ"), state=ImportState.CANCELLED)) == [ids[0]]
    assert office.database.read(lambda s: unended_imports(s, limit=10)) == ids[1:]


def test_an_unknown_import_is_not_found(office: Office) -> None:
    with pytest.raises(ImportNotFound):
        office.cancel("none")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hostile_file_gives_its_report_and_leaves_no_number_in_clear(office: Office, name: str) -> None:
    office.now = datetime(2026, 11, 22, 4, tzinfo=UTC)
    found = office.taken(FILES[name]())
    rows = office.database.read(lambda s: open_rows(s, import_id=found.id, after=0, limit=1000))
    refused = [[row.row, breach["field"], breach["reason"]] for row in rows for breach in row.breaches]
    refused += [[breach["row"], breach["field"], breach["reason"]] for breach in found.failure]
    assert refused == EXPECTED[name]["refused"]
    assert found.rows_done - found.rows_quarantined == EXPECTED[name]["taken"]
    assert found.state == (ImportState.FAILED if found.failure else ImportState.DONE)
    stored = _everything(office.database)
    assert PERSON not in stored
    assert "350602199001011017" not in stored


def _everything(database: SyncDatabase) -> str:
    """All rows of all tables."""
    with database.engine.connect() as connection:
        names = inspect(connection).get_table_names()
        return "\n".join(
            str(tuple(bytes(cell).decode("utf-8", "replace") if isinstance(cell, bytes) else cell for cell in row))
            for name in names
            for row in connection.execute(text(f'SELECT * FROM "{name}"'))
        )
