"""Records are put, superseded, withdrawn, archived; and what was known and public of a day."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, inspect, text
from sqlmodel import Session

from services.chassis.tests.migrated import differences
from services.credit.tests.hostile.recipes import TRADER
from services.credit.tests.store import OF_PERSON, Store, firm, licence, noon, penalty, person
from tulou_chassis import history, tables
from tulou_credit import models, queries
from tulou_credit.domain.records import Outcome, RecordState, WithdrawalReason
from tulou_credit.operations import content, records
from tulou_credit.operations.schemas import ContentNotAllowed
from tulou_credit.queries import RecordNotFound

FINE = {"CFLB": "罚款", "NR_FK": "5"}


def test_the_migrated_tables_are_those_of_the_models(store: Store) -> None:
    present = set(inspect(store.database.engine).get_table_names())
    assert differences(store.database.engine, models, tables) == []
    wanted = {"credit_subject", "credit_record", "credit_record_version", "credit_record_type", "outbox", "history"}
    assert wanted <= present


def test_a_decision_makes_subject_record_and_version(store: Store) -> None:
    code = firm()
    put = store.put(licence(SHXYM=code, XKBH="JY-1"), on=date(2024, 1, 4))
    assert put.outcome is Outcome.CREATED
    record, version = store.record(put.record_id), store.known(put.record_id)
    subject = store.read(lambda session: queries.subject_by_code(session, code=code))
    assert subject is not None
    assert (record.subject_id, record.type_code, record.state) == (subject.id, "LICENCE", RecordState.CURRENT)
    assert (version.valid_from, version.valid_to) == (date(2024, 1, 2), date(2029, 1, 2))
    assert (version.public_from, version.public_until) == (date(2024, 1, 2), date(2029, 1, 1))
    assert version.content["certificate_number"] == "JY-1"
    assert store.told(put.record_id) == ["RecordPublished"]


def test_a_decision_sent_again_changes_nothing(store: Store) -> None:
    decision = penalty(SHXYM=firm())
    first = store.put(decision, on=date(2024, 1, 4))
    before = store.record(first.record_id)
    again = store.put(decision, on=date(2024, 5, 6))
    assert again == records.Put(Outcome.UNCHANGED, first.record_id)
    assert store.record(first.record_id) == before
    assert store.told(first.record_id) == ["RecordPublished"]


def test_other_content_under_the_key_supersedes_and_the_old_is_kept(store: Store) -> None:
    code = firm()
    first = store.put(penalty(SHXYM=code, **FINE), on=date(2024, 1, 4))
    second = store.put(penalty(SHXYM=code, CFLB="罚款", NR_FK="50"), on=date(2024, 2, 1))
    assert second == records.Put(Outcome.SUPERSEDED, first.record_id)
    old, new = store.read(lambda session: queries.record_versions(session, record_id=first.record_id))
    assert (old.content["fine_fen"], new.content["fine_fen"]) == (5_000_000, 50_000_000)
    assert old.known_to == new.known_from == noon(date(2024, 2, 1))
    assert new.known_to is None
    assert store.told(first.record_id) == ["RecordPublished", "RecordSuperseded"]


def test_brackets_of_a_document_number_make_no_other_record(store: Store) -> None:
    code = firm()
    first = store.put(penalty(SHXYM=code, WSH="漳罚〔2024〕7号"), on=date(2024, 1, 4))
    second = store.put(penalty(SHXYM=code, WSH="漳罚[2024]7号"), on=date(2024, 1, 4))
    assert second == records.Put(Outcome.SUPERSEDED, first.record_id)


def test_a_file_that_was_corrected_and_is_sent_again_does_not_undo_the_correction(store: Store) -> None:
    code = firm()
    wrong, right = penalty(SHXYM=code, **FINE), penalty(SHXYM=code, CFLB="罚款", NR_FK="50")
    put = store.put(wrong, on=date(2024, 1, 4))
    store.put(right, on=date(2024, 2, 1))
    assert store.put(wrong, on=date(2024, 3, 1)).outcome is Outcome.UNCHANGED
    assert store.known(put.record_id).content["fine_fen"] == 50_000_000


def test_two_corrections_in_one_transaction_leave_one_known_version(store: Store) -> None:
    code = firm()
    decisions = [penalty(SHXYM=code, CFLB="罚款", NR_FK=str(fine)) for fine in (1, 2, 3)]

    def chunk(session: Session) -> list[records.Put]:
        at = noon(date(2024, 1, 4))
        return [records.put(session, one, source="SCJG", origin="i:2", now=at, house=store.house) for one in decisions]

    puts = store.write(chunk)
    assert [put.outcome for put in puts] == [Outcome.CREATED, Outcome.SUPERSEDED, Outcome.SUPERSEDED]
    versions = store.read(lambda session: queries.record_versions(session, record_id=puts[0].record_id))
    assert [version.known_to is None for version in versions] == [False, False, True]


def test_what_was_known_and_public_of_a_day(store: Store) -> None:
    code = firm()
    # Decided on 2024-01-02 under the rules of 2023: public to 2027-01-02. It came ten days later.
    put = store.put(penalty(SHXYM=code, **FINE), on=date(2024, 1, 12))
    subject_id = store.record(put.record_id).subject_id
    assert store.public(subject_id, date(2024, 1, 11)) == []
    assert store.public(subject_id, date(2024, 1, 12)) == [put.record_id]
    assert store.public(subject_id, date(2027, 1, 2)) == [put.record_id]
    assert store.public(subject_id, date(2027, 1, 3)) == []
    # What is known since: it should have been public from the decision on, and not before.
    later = noon(date(2024, 6, 1))
    assert store.public(subject_id, date(2024, 1, 2), known_at=later) == [put.record_id]
    assert store.public(subject_id, date(2024, 1, 1), known_at=later) == []


def test_a_question_about_the_past_gets_the_content_of_then(store: Store) -> None:
    code = firm()
    put = store.put(penalty(SHXYM=code, **FINE), on=date(2024, 1, 4))
    store.put(penalty(SHXYM=code, CFLB="罚款", NR_FK="50"), on=date(2024, 2, 1))
    subject_id = store.record(put.record_id).subject_id

    def fine(known_at: datetime) -> list[int]:
        rows = store.read(
            lambda session: queries.as_of(
                session,
                subject_id=subject_id,
                on=date(2024, 1, 20),
                known_at=known_at,
                public_only=False,
                limit=10,
            )
        )
        return [version.content["fine_fen"] for version, _ in rows]

    corrected_at = noon(date(2024, 2, 1))
    assert fine(corrected_at - timedelta(microseconds=1)) == [5_000_000]
    assert fine(corrected_at) == [50_000_000]
    assert fine(noon(date(2024, 1, 3))) == []


def test_an_expired_licence_is_not_shown(store: Store) -> None:
    put = store.put(licence(SHXYM=firm(), YXQZI="2024-06-30"), on=date(2024, 1, 4))
    subject_id = store.record(put.record_id).subject_id
    assert store.public(subject_id, date(2024, 6, 30)) == [put.record_id]
    assert store.public(subject_id, date(2024, 7, 1)) == []
    assert valid(store, subject_id, date(2024, 1, 2)) == valid(store, subject_id, date(2024, 6, 30)) == [put.record_id]
    assert valid(store, subject_id, date(2024, 1, 1)) == valid(store, subject_id, date(2024, 7, 1)) == []


def valid(store: Store, subject_id: str, on: date) -> list[str]:
    """Ids of what is so on a day, public or not, by all that is known."""
    known_at = noon(date(2026, 1, 1))
    rows = store.read(
        lambda session: queries.as_of(
            session, subject_id=subject_id, on=on, known_at=known_at, public_only=False, limit=10
        )
    )
    return [version.record_id for version, _ in rows]


def test_a_licence_until_2099_has_no_end(store: Store) -> None:
    version = store.known(store.put(licence(SHXYM=firm(), YXQZI="2099-12-31"), on=date(2024, 1, 4)).record_id)
    assert (version.valid_to, version.public_until) == (None, None)


def test_pages_follow_one_another_without_gap(store: Store) -> None:
    code = firm()
    puts = [
        store.put(penalty(SHXYM=code, WSH=f"漳罚{n}号", JDRQ=f"2024-01-0{2 + n % 2}"), on=date(2024, 1, 9))
        for n in range(5)
    ]
    subject_id = store.record(puts[0].record_id).subject_id
    seen: list[str] = []
    after = None
    for _ in range(3):
        rows = store.read(
            lambda session, after=after: queries.as_of(  # type: ignore[misc]
                session,
                subject_id=subject_id,
                on=date(2024, 2, 1),
                known_at=noon(date(2024, 2, 1)),
                public_only=True,
                limit=2,
                after=after,
            )
        )
        seen += [version.record_id for version, _ in rows]
        after = (rows[-1][0].decided_on, rows[-1][0].record_id)
    assert sorted(seen) == sorted(put.record_id for put in puts)


@pytest.mark.parametrize(
    ("decided", "columns", "severity", "rule_set", "until"),
    [
        ("2020-03-01", FINE, "GENERAL", "CR-2019", date(2021, 3, 1)),
        ("2024-01-02", FINE, "GENERAL", "CR-2023", date(2027, 1, 2)),
        # From 2026-04-01 on what is not corrected has no end, unless the department told one; never before the minimum.
        ("2026-04-01", FINE, "GENERAL", "CR-2026", None),
        ("2026-04-01", {**FINE, "GSJZQ": "2026-12-31"}, "GENERAL", "CR-2026", date(2026, 12, 31)),
        ("2026-04-01", {**FINE, "GSJZQ": "2026-05-01"}, "GENERAL", "CR-2026", date(2026, 7, 1)),
        ("2024-01-02", {**FINE, "GSJZQ": "2090-01-01"}, "GENERAL", "CR-2023", date(2027, 1, 2)),
        ("2026-04-01", {"CFLB": "责令停产停业"}, "SERIOUS", "CR-2026", None),
    ],
)
def test_a_penalty_is_public_as_long_as_the_rules_of_its_day_say(
    store: Store, decided: str, columns: dict[str, str], severity: str, rule_set: str, until: date | None
) -> None:
    version = store.known(store.put(penalty(SHXYM=firm(), JDRQ=decided, **columns), on=date(2026, 6, 1)).record_id)
    assert (version.severity, version.rule_set) == (severity, rule_set)
    assert (version.public_from, version.public_until) == (date.fromisoformat(decided), until)


@pytest.mark.parametrize(("decided", "columns"), [("2026-04-01", {"CFLB": "警告", "NR_FK": ""}), ("2019-06-30", FINE)])
def test_minor_penalties_and_those_of_before_the_rules_are_not_public(
    store: Store, decided: str, columns: dict[str, str]
) -> None:
    put = store.put(penalty(SHXYM=firm(), JDRQ=decided, **columns), on=date(2026, 6, 1))
    assert store.known(put.record_id).public_from is None
    assert store.public(store.record(put.record_id).subject_id, date(2026, 6, 1)) == []
    withdraw(store, put.record_id, on=date(2026, 6, 2))
    assert store.told(put.record_id) == []


def test_a_withdrawn_record_is_public_no_more_but_was(store: Store) -> None:
    put = store.put(penalty(SHXYM=firm(), **FINE), on=date(2024, 1, 4))
    subject_id = store.record(put.record_id).subject_id
    withdraw(store, put.record_id, on=date(2024, 3, 5))
    assert store.public(subject_id, date(2024, 3, 4)) == [put.record_id]
    assert store.public(subject_id, date(2024, 3, 5)) == []
    assert store.public(subject_id, date(2024, 3, 4), known_at=noon(date(2025, 1, 1))) == [put.record_id]
    assert store.record(put.record_id).state == RecordState.WITHDRAWN
    assert store.told(put.record_id) == ["RecordPublished", "RecordWithdrawn"]
    assert [reason for reason in map(vars, store.happened) if "reason" in reason][-1]["reason"] == "REVOKED"


def test_withdrawing_twice_changes_nothing(store: Store) -> None:
    put = store.put(penalty(SHXYM=firm(), **FINE), on=date(2024, 1, 4))
    withdraw(store, put.record_id, on=date(2024, 3, 5))
    before = store.record(put.record_id)
    assert before.archive_after is None
    withdraw(store, put.record_id, on=date(2024, 3, 6))
    assert store.record(put.record_id) == before
    with pytest.raises(RecordNotFound):
        withdraw(store, "none", on=date(2024, 3, 6))


def test_a_withdrawn_decision_does_not_come_back_with_another_word_in_it(store: Store) -> None:
    code = firm()
    put = store.put(penalty(SHXYM=code, **FINE), on=date(2024, 1, 4))
    withdraw(store, put.record_id, on=date(2024, 3, 5))
    assert store.put(penalty(SHXYM=code, BZ="更正", **FINE), on=date(2024, 4, 1)).outcome is Outcome.SUPERSEDED
    assert store.public(store.record(put.record_id).subject_id, date(2024, 4, 2)) == []
    assert store.record(put.record_id).archive_after is None


def withdraw(store: Store, record_id: str, *, on: date) -> None:
    reason = WithdrawalReason.REVOKED
    store.write(
        lambda session: records.withdraw(session, record_id=record_id, reason=reason, now=noon(on), house=store.house)
    )


def test_records_are_archived_on_the_day_after_their_last_and_in_portions(store: Store) -> None:
    # The end of 2021 is before that of every other record in this module.
    ends = {"JDRQ": "2018-01-01", "YXQZ": "2018-01-01", "YXQZI": "2018-12-31"}
    puts = [store.put(licence(SHXYM=firm(), **ends), on=date(2018, 2, 1)) for _ in range(3)]

    def archive(on: date, limit: int) -> int:
        return store.write(lambda session: records.archive_due(session, now=noon(on), limit=limit, house=store.house))

    assert archive(date(2018, 12, 31), 10) == 0
    assert archive(date(2019, 1, 1), 2) == 2
    assert archive(date(2019, 1, 1), 2) == 1
    assert archive(date(2019, 1, 1), 2) == 0
    for put in puts:
        assert store.record(put.record_id).archived_on == date(2019, 1, 1)
        assert store.told(put.record_id) == ["RecordPublished", "RecordArchived"]


def test_what_comes_after_its_publicity_is_archived_as_it_comes(store: Store) -> None:
    put = store.put(penalty(SHXYM=firm(), JDRQ="2020-03-01", **FINE), on=date(2024, 1, 4))
    record = store.record(put.record_id)
    assert (record.archived_on, record.archive_after) == (date(2024, 1, 4), None)
    assert store.told(put.record_id) == []


def test_what_comes_on_its_last_public_day_is_public_for_that_day(store: Store) -> None:
    put = store.put(penalty(SHXYM=firm(), JDRQ="2020-03-02", **FINE), on=date(2021, 3, 2))
    record = store.record(put.record_id)
    assert (record.archived_on, record.archive_after) == (None, date(2021, 3, 2))
    assert store.told(put.record_id) == ["RecordPublished"]


def test_a_minor_penalty_is_public_where_the_department_tells_an_end(store: Store) -> None:
    warning = {"JDRQ": "2026-04-01", "CFLB": "警告", "NR_FK": "", "GSJZQ": "2026-12-31"}
    version = store.known(store.put(penalty(SHXYM=firm(), **warning), on=date(2026, 4, 3)).record_id)
    assert (version.severity, version.public_from, version.public_until) == (
        "MINOR",
        date(2026, 4, 1),
        date(2026, 12, 31),
    )


def test_hashes_are_keyed(store: Store) -> None:
    decision = penalty(SHXYM=firm(), **FINE)
    record = store.record(store.put(decision, on=date(2024, 1, 4)).record_id)
    assert record.content_hash[:16] not in decision.content_hash
    assert record.content_hash == store.house.keyring.index(decision.content_hash)


def test_histories_are_chained_and_an_edit_is_found(store: Store) -> None:
    code = firm()
    put = store.put(penalty(SHXYM=code, **FINE), on=date(2024, 1, 4))
    store.put(penalty(SHXYM=code, CFLB="罚款", NR_FK="50"), on=date(2024, 2, 1))
    withdraw(store, put.record_id, on=date(2024, 3, 5))
    record = store.record(put.record_id)
    heads = {record.id: history.Head(record.history_sequence, record.history_hash)}
    assert record.history_sequence == 3
    assert store.read(lambda session: list(history.verify(session, store.house.keyring, heads))) == []
    edit = text("UPDATE history SET organisation = 'SWJ' WHERE aggregate = :id AND sequence = 2")
    store.write(lambda session: session.execute(edit, {"id": record.id}))
    breaks = store.read(lambda session: list(history.verify(session, store.house.keyring, heads)))
    assert breaks == [f"{record.id}: entry 2 was changed"]


def test_numbers_of_persons_stand_in_clear_in_no_table(store: Store) -> None:
    number, representative, phone = person(), person(), "13850612345"
    facts = f"当事人张三（{number[:6]} {number[6:14]} {number[14:]}，电话{phone}）无证经营"
    put = store.put(
        penalty(
            **{**OF_PERSON, "ZJHM": number, "MC": f"张三{number}"},
            CFLB="警告",
            NR_FK="",
            SY=facts,
            CFJG=f"某局{phone}",
            FRDB=f"李四{phone}",
            BZ=f"代理人证号{representative}",
            WSH=f"漳罚{number}号",
        ),
        on=date(2024, 1, 4),
    )
    firm_put = store.put(
        penalty(SHXYM=firm(), FR_ZJHM=representative, FRDB="李四", SWDJ=number, **FINE), on=date(2024, 1, 4)
    )
    with store.database.engine.connect() as connection:
        tables = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
        written = json.dumps(
            [[list(row) for row in connection.execute(text(f'SELECT * FROM "{name}"'))] for name in tables],
            default=str,
            ensure_ascii=False,
        )
    for secret in (number, representative, phone, number[6:14] + " " + number[14:]):
        assert secret not in written
    version = store.known(put.record_id)
    assert "138****2345" in version.content["facts"]
    assert content.reveal(version=version, house=store.house)["facts"] == facts
    in_clear = content.reveal(version=store.known(firm_put.record_id), house=store.house)
    assert in_clear == {"representative_id": representative, "other_numbers.tax_number": number}


def test_a_passport_number_is_masked_where_it_is_told_again(store: Store) -> None:
    passport = {**OF_PERSON, "ZJLX": "护照号", "ZJHM": "E98761234"}
    put = store.put(
        penalty(**passport, SY="持护照E98761234入住", CFLB=f"警告；其他-训诫{person()}", NR_FK=""), on=date(2024, 1, 4)
    )
    shown = store.known(put.record_id).content
    assert shown["facts"] == "持护照E98****34入住"
    assert [kind[:10] for kind in shown["categories"]] == ["其他-训诫350**", "警告"]


def test_what_is_sealed_can_be_revealed_after_a_withdrawal(store: Store) -> None:
    put = store.put(penalty(SHXYM=firm(), BZ="电话13850612345", **FINE), on=date(2024, 1, 4))
    withdraw(store, put.record_id, on=date(2024, 3, 5))
    version = store.known(put.record_id)
    assert version.number == 2
    assert content.reveal(version=version, house=store.house) == {"note": "电话13850612345"}


def test_a_failed_row_leaves_the_transaction_as_it_was(store: Store) -> None:
    code, other = firm(), firm()

    def chunk(session: Session) -> str:
        at = noon(date(2024, 1, 4))
        entry = queries.get_type(session, code="PENALTY")
        allowed = entry.content_schema
        narrow = {**allowed, "properties": {k: v for k, v in allowed["properties"].items() if k != "note"}}
        entry.content_schema = narrow
        bad = penalty(SHXYM=code, BZ="秘密", **FINE)
        with pytest.raises(ContentNotAllowed) as refused:
            records.put(session, bad, source="SCJG", origin="i:2", now=at, house=store.house)
        assert refused.value.fields == ("note",)
        assert "秘密" not in str(refused.value)
        good = records.put(
            session, penalty(SHXYM=other, **FINE), source="SCJG", origin="i:3", now=at, house=store.house
        )
        entry.content_schema = allowed
        return good.record_id

    assert store.record(store.write(chunk)).state == RecordState.CURRENT
    assert store.read(lambda session: queries.subject_by_code(session, code=code)) is None
    assert store.read(lambda session: queries.subject_by_code(session, code=other)) is not None


def test_a_department_cannot_correct_what_another_sent(store: Store) -> None:
    code = firm()
    put = store.put(penalty(SHXYM=code, **FINE), on=date(2024, 1, 4), source="SCJG")
    with pytest.raises(records.SourceNotAllowed):
        store.put(penalty(SHXYM=code, BZ="改", **FINE), on=date(2024, 1, 5), source="SWJ")
    assert store.put(penalty(SHXYM=code, **FINE), on=date(2024, 1, 5), source="SWJ").outcome is Outcome.UNCHANGED
    assert store.known(put.record_id).number == 1


def test_what_was_known_of_a_day_is_one_query(store: Store) -> None:
    put = store.put(penalty(SHXYM=firm(), **FINE), on=date(2024, 1, 4))
    subject_id = store.record(put.record_id).subject_id
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", count)
    try:
        assert store.public(subject_id, date(2024, 2, 1)) == [put.record_id]
    finally:
        event.remove(store.database.engine, "before_cursor_execute", count)
    assert len(statements) == 1


def test_a_department_may_send_only_what_its_entry_lets_it(store: Store) -> None:
    def attempt(session: Session) -> None:
        entry = queries.get_type(session, code="PENALTY")
        sources, kinds = entry.sources, entry.subject_kinds
        at = noon(date(2024, 1, 4))
        entry.sources = ["SWJ"]
        with pytest.raises(records.SourceNotAllowed):
            records.put(session, penalty(), source="SCJG", origin="i:2", now=at, house=store.house)
        entry.sources, entry.subject_kinds = sources, ["ORGANISATION"]
        with pytest.raises(records.SourceNotAllowed):
            records.put(session, penalty(SHXYM=TRADER), source="SCJG", origin="i:2", now=at, house=store.house)
        entry.subject_kinds = kinds

    store.write(attempt)
