"""Reports: what each kind of asker is told, that they stay as they were, and how they are verified."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text

from services.credit.tests.store import OF_PERSON, Store, firm, noon, penalty, person
from tulou_chassis.keyring import KeyringError
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields
from tulou_credit import queries, report_queries
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.records import WithdrawalReason
from tulou_credit.domain.reports import CODE_ALPHABET, ReportKind
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import QueryLog, Report
from tulou_credit.operations import consent, entries, keys, records, reports
from tulou_credit.queries import SubjectNotFound
from tulou_credit.report_pdf import report_pdf
from tulou_credit.report_queries import OpenedReport, ReportNotFound, Verification

TODAY: Final = date(2026, 5, 6)
NOW: Final = noon(TODAY)
BANK: Final = Principal("bank-1", frozenset({"partner"}), "BANK", "3506", "银行")
ADMIN: Final = Principal("admin-1", frozenset({"admin"}), "FGW", "3506", "管理员")
FINE: Final = {"CFLB": "罚款", "NR_FK": "5", "JDRQ": "2026-04-02"}


def enterprise(code: str) -> Principal:
    return Principal(f"user-{code}", frozenset({"enterprise"}), "", "3506", "企业", identity=code)


def citizen(number: str, name: str = "张三") -> Principal:
    return Principal(f"user-{number[-6:]}", frozenset({"citizen"}), "", "3506", name, identity=number)


def fined(store: Store, code: str, **changes: str) -> str:
    return store.put(penalty(SHXYM=code, **{**FINE, **changes}), on=date(2026, 4, 3)).record_id


def evaluated(store: Store, code: str) -> str:
    entry = Entry(
        type_code="EVALUATION",
        subject_kind=SubjectKind.ORGANISATION,
        subject_code=code,
        subject_name="漳州测试食品有限公司",
        source_key="PJ-1",
        valid_from=date(2026, 4, 1),
        content={"scheme": "纳税信用", "result": "A", "evaluated_on": "2026-04-01"},
    )
    return store.write(
        lambda session: entries.put(session, entry=entry, source="SWJ", origin="test", now=NOW, house=store.house)
    ).record_id


def subject_of(store: Store, record_id: str) -> str:
    return store.record(record_id).subject_id


def authorise(store: Store, by: Principal, *scope: str, uses_max: int | None = None) -> None:
    store.write(
        lambda session: consent.grant(
            session,
            principal=by,
            grantee="BANK",
            purpose="贷款",
            scope=frozenset(scope),
            valid_from=TODAY,
            valid_to=TODAY + timedelta(days=30),
            uses_max=uses_max,
            proof="a" * 64,
            channel="ONLINE",
            now=NOW,
            house=store.house,
        )
    )


def make(store: Store, by: Principal, subject_id: str, *, purpose: str = "贷款", at: datetime = NOW) -> Report:
    return store.write(
        lambda session: reports.create(
            session, principal=by, subject_id=subject_id, purpose=purpose, now=at, house=store.house
        )
    )


def opened(store: Store, by: Principal, report_id: str) -> OpenedReport:
    return store.read(
        lambda session: report_queries.get_report(session, principal=by, report_id=report_id, house=store.house)
    )


def verify(store: Store, code: str) -> Verification:
    return store.read(lambda session: report_queries.verify(session, code=code, house=store.house))


def listed(store: Store, by: Principal, *, after: Any = None, limit: int = 20) -> Sequence[Report]:
    return store.read(
        lambda session: report_queries.list_reports(session, principal=by, after=after, limit=limit, house=store.house)
    )


def told(found: OpenedReport) -> list[str]:
    return [each["record_id"] for each in found.content["records"]]


def test_ones_own_report_has_all_the_grade_and_who_asked(store: Store) -> None:
    code = firm()
    fine, evaluation = fined(store, code), evaluated(store, code)
    subject_id, own = subject_of(store, fine), enterprise(code)
    authorise(store, own, "EVALUATION")
    make(store, BANK, subject_id)
    report = make(store, own, "")
    found = opened(store, own, report.id)
    assert (report.kind, report.subject_id, report.free_of_charge) == (ReportKind.OWN, subject_id, False)
    assert told(found) == [fine, evaluation]
    assert [each["public"] for each in found.content["records"]] == [True, False]
    assert found.content["grade"]["grade"] == "GRADE_C"
    assert [(each["asker"], each["type_codes"]) for each in found.content["queries"]] == [("BANK", ["EVALUATION"])]
    assert found.titles["EVALUATION"]["scheme"] == "评价名称"


def test_others_are_told_what_is_public(store: Store) -> None:
    code = firm()
    fine, _ = fined(store, code, FRDB="欧阳小明", SY="欧阳小明决定销售过期食品"), evaluated(store, code)
    report = make(store, BANK, subject_of(store, fine))
    found = opened(store, BANK, report.id)
    assert (report.kind, report.query_id) == (ReportKind.PUBLIC, None)
    assert told(found) == [fine]
    assert "grade" not in found.content
    assert "queries" not in found.content
    assert found.content["subject"]["representative"] == "欧阳**"
    assert found.content["records"][0]["content"]["facts"] == "欧阳**决定销售过期食品"
    assert "欧阳小明" not in json.dumps(found.content, ensure_ascii=False)


def test_an_authorisation_for_the_purpose_opens_its_scope_once_a_use(store: Store) -> None:
    code = firm()
    fine, evaluation = fined(store, code), evaluated(store, code)
    subject_id = subject_of(store, fine)
    authorise(store, enterprise(code), "EVALUATION", uses_max=1)
    assert make(store, BANK, subject_id, purpose="招聘").kind == ReportKind.PUBLIC
    report = make(store, BANK, subject_id)
    assert (report.kind, told(opened(store, BANK, report.id))) == (ReportKind.AUTHORISED, [fine, evaluation])
    log = store.read(lambda session: session.get_one(QueryLog, report.query_id))
    assert (log.asker, log.actor, log.purpose, log.record_types) == ("BANK", "bank-1", "贷款", ["EVALUATION"])
    assert make(store, BANK, subject_id).kind == ReportKind.PUBLIC


def test_nobodys_role_opens_more_than_is_public(store: Store) -> None:
    code = firm()
    fine, _ = fined(store, code), evaluated(store, code)
    assert make(store, ADMIN, subject_of(store, fine)).kind == ReportKind.PUBLIC


def test_a_person_without_authorisation_is_not_found(store: Store) -> None:
    number = person()
    put = store.put(penalty(**{**OF_PERSON, "ZJHM": number, **FINE}), on=date(2026, 4, 3))
    subject_id = subject_of(store, put.record_id)
    for asker in (BANK, ADMIN, citizen(person(), "李四"), replace(BANK, roles=frozenset({"clerk"}))):
        with pytest.raises(SubjectNotFound):
            make(store, asker, subject_id)
    authorise(store, citizen(number), "PROFESSION")
    found = opened(store, BANK, make(store, BANK, subject_id).id)
    assert found.content["subject"]["name"] == "张*"
    said = json.dumps(found.content, ensure_ascii=False)
    assert "张三" not in said
    assert number not in said


def test_two_reports_a_year_are_free_to_a_person(store: Store) -> None:
    number = person()
    store.put(penalty(**{**OF_PERSON, "ZJHM": number, **FINE}), on=date(2026, 4, 3))
    own = citizen(number)
    free = [make(store, own, "").free_of_charge for _ in range(3)]
    assert free == [True, True, False]
    assert make(store, own, "", at=noon(date(2027, 1, 1))).free_of_charge


def test_a_caller_of_whom_nothing_is_known_has_no_report(store: Store) -> None:
    for caller in (citizen(person()), BANK):
        with pytest.raises(SubjectNotFound):
            make(store, caller, "")


@pytest.mark.parametrize("purpose", ["", "用" * 65])
def test_a_report_is_for_a_purpose(store: Store, purpose: str) -> None:
    with pytest.raises(InvalidFields):
        make(store, BANK, "", purpose=purpose)


def test_a_report_stays_as_it_was_and_its_verification_tells_that_more_is_known(store: Store) -> None:
    code = firm()
    fine = fined(store, code)
    report = make(store, BANK, subject_of(store, fine))
    before = opened(store, BANK, report.id)
    assert len(before.code) == 16
    assert set(before.code) <= set(CODE_ALPHABET)
    genuine = verify(store, f" {before.code[:4].lower()}-{before.code[4:]} ")
    assert genuine == Verification(
        subject_name="李四茶摊",
        kind="PUBLIC",
        created_at=NOW,
        sha256=report.sha256,
        changed_since=False,
    )
    store.write(
        lambda session: records.withdraw(
            session,
            record_id=fine,
            reason=WithdrawalReason.REVOKED,
            now=NOW + timedelta(hours=1),
            house=store.house,
        )
    )
    assert verify(store, before.code).changed_since
    assert opened(store, BANK, report.id).content == before.content
    assert told(opened(store, BANK, make(store, BANK, report.subject_id, at=NOW + timedelta(hours=2)).id)) == []


def test_a_code_that_is_of_no_report_is_not_found(store: Store) -> None:
    with pytest.raises(ReportNotFound):
        verify(store, "2345-6789-ABCD-EFGH")


def test_the_name_of_a_person_is_masked_where_anyone_verifies(store: Store) -> None:
    number = person()
    store.put(penalty(**{**OF_PERSON, "ZJHM": number, **FINE}), on=date(2026, 4, 3))
    own = citizen(number)
    found = opened(store, own, make(store, own, "").id)
    assert found.content["subject"]["name"] == "张三"
    assert verify(store, found.code).subject_name == "张*"


def test_only_who_had_it_made_and_its_subject_read_it(store: Store) -> None:
    code = firm()
    report = make(store, BANK, subject_of(store, fined(store, code)))
    assert opened(store, enterprise(code), report.id).report.id == report.id
    for other in (enterprise(firm()), ADMIN, replace(BANK, subject="bank-2"), citizen(person())):
        with pytest.raises(ReportNotFound):
            opened(store, other, report.id)
    with pytest.raises(ReportNotFound):
        opened(store, BANK, "6a0f5f0e-0000-4000-8000-000000000009")


def test_reports_are_listed_newest_first_to_both(store: Store) -> None:
    code, maker = firm(), replace(BANK, subject="bank-listing")
    subject_id = subject_of(store, fined(store, code))
    made = [make(store, maker, subject_id, at=NOW + timedelta(minutes=n)).id for n in range(3)]
    first = listed(store, maker, limit=2)
    rest = listed(store, maker, after=(first[-1].created_at, first[-1].id), limit=2)
    assert [each.id for each in (*first, *rest)] == made[::-1]
    assert [each.id for each in listed(store, enterprise(code))] == made[::-1]
    assert listed(store, replace(BANK, subject="bank-other")) == []


def test_neither_code_nor_content_stands_in_clear(store: Store) -> None:
    code = firm()
    fine = fined(store, code)
    report = make(store, BANK, subject_of(store, fine))
    found = opened(store, BANK, report.id)
    row = store.read(
        lambda session: (
            session.connection().execute(text("SELECT * FROM credit_report WHERE id = :id"), {"id": report.id}).one()
        )
    )
    for clear in (found.code, "李四茶摊", fine):
        assert clear not in str(row)
    assert report.sha256 in str(row)


def test_what_is_sealed_moves_to_a_new_key(store: Store) -> None:
    code = firm()
    report = make(store, BANK, subject_of(store, fined(store, code)))
    old, secret = store.house.keyring, bytes(range(32))
    keyring = replace(
        old, primary="k9", ciphers={**old.ciphers, "k9": AESGCM(secret)}, secrets={**old.secrets, "k9": secret}
    )
    house = replace(store.house, keyring=keyring)
    before = opened(store, BANK, report.id)
    for column in ("snapshot", "code_sealed"):
        moved: dict[str, Any] = {"table": Report, "column": column, "after": (), "limit": 1000}
        assert (Report, column) in keys.SEALED
        assert store.write(lambda session, moved=moved: keys.reseal(session, **moved, house=house)).count > 0  # type: ignore[misc]
    after = store.read(
        lambda session: report_queries.get_report(session, principal=BANK, report_id=report.id, house=house)
    )
    assert (after.code, after.content) == (before.code, before.content)
    assert after.report.snapshot.startswith("k9.")
    with pytest.raises(KeyringError):
        opened(store, BANK, report.id)


def test_a_report_becomes_a_pdf(store: Store) -> None:
    code = firm()
    own = enterprise(code)
    fined(store, code)
    assert report_pdf(opened(store, own, make(store, own, "").id)).startswith(b"%PDF-")


def test_a_report_of_very_many_records_says_that_there_are_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    code = firm()
    put = [fined(store, code, WSH=f"漳罚{n}号", JDRQ=f"2026-04-0{n}") for n in (1, 2, 3)]
    subject_id = subject_of(store, put[0])
    monkeypatch.setattr(reports, "MAX_RECORDS", 2)
    found = opened(store, BANK, make(store, BANK, subject_id).id)
    assert (told(found), found.content["truncated"]) == ([put[2], put[1]], True)
    subject = store.read(lambda session: queries.get_subject(session, subject_id=subject_id))
    assert found.content["subject"]["code"] == subject.code
