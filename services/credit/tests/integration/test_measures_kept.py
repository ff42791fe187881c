"""The published list of measures, the check of a subject against it, its grade, and subjects that departments enter."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import pytest
from sqlmodel import Session

from services.credit.tests.store import OF_PERSON, Store, firm, noon, penalty, person
from tulou_chassis import hot
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, StaleEtag
from tulou_credit import measure_queries, queries
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.grades import Grade, Grading
from tulou_credit.domain.measures import Measure, MeasureKind, MeasureNotConfigurable, Standing
from tulou_credit.domain.records import WithdrawalReason
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.measure_queries import Check, MeasureNotFound, NotGraded
from tulou_credit.models import PublishedMeasure, Repair, Subject
from tulou_credit.operations import entries, measures, records
from tulou_credit.operations.parties import NotForTheCity
from tulou_credit.seed.load import load_measures

START: Final = date(2026, 1, 5)
TODAY: Final = date(2026, 5, 6)
DAY: Final = timedelta(days=1)
ADMIN: Final = Principal("admin-1", frozenset({"admin"}), "FGW", "3506", "管理员")
CLERK: Final = Principal("clerk-1", frozenset({"clerk"}), "SCJG", "3506", "办事员")
FINE: Final = {"CFLB": "罚款", "NR_FK": "5", "JDRQ": "2026-04-02"}


@pytest.fixture(autouse=True)
def _seeded(store: Store) -> None:
    store.write(lambda session: measures.seed(session, measures=load_measures(published_on=START), now=noon(START)))


def entered(store: Store, code: str, type_code: str, *, source: str = "FGW", **content: Any) -> str:
    entry = Entry(
        type_code=type_code,
        subject_kind=SubjectKind.ORGANISATION,
        subject_code=code,
        subject_name="漳州测试食品有限公司",
        source_key=f"{type_code}-1",
        valid_from=date(2026, 5, 1),
        content=content,
    )
    return store.write(
        lambda session: entries.put(
            session, entry=entry, source=source, origin="test", now=noon(date(2026, 5, 1)), house=store.house
        )
    ).record_id


def honoured(store: Store, code: str) -> str:
    return entered(store, code, "HONOUR", title="诚信示范企业", granted_on="2026-05-01")


def listed(store: Store, code: str) -> str:
    said = {"reason": "虚假登记", "listed_on": "2026-05-01", "legal_basis": "测试"}
    return entered(store, code, "SERIOUS_LIST", **said)


def fined(store: Store, code: str) -> str:
    return store.put(penalty(SHXYM=code, **FINE), on=date(2026, 4, 3)).record_id


def check(store: Store, code: str, *, purpose: str = "APPROVAL", on: date = TODAY, id_type: str = "") -> Check:
    return store.read(
        lambda session: measure_queries.check_subject(
            session, code=code, id_type=id_type, purpose=purpose, on=on, house=store.house
        )
    )


def applied(found: Check) -> dict[str, list[str]]:
    return {each.measure.code: [one.record_id for one in each.records] for each in found.applied}


def test_of_whom_nothing_is_known_nothing_applies(store: Store) -> None:
    assert check(store, firm()) == Check(subject_id="", standing="NONE", applied=())


def test_an_honour_opens_the_fast_lane_and_a_penalty_closes_it(store: Store) -> None:
    code = firm()
    honour = honoured(store, code)
    good = check(store, code)
    assert (good.standing, applied(good)) == ("GOOD", {"FAST_LANE": [honour]})
    fine = fined(store, code)
    bad = check(store, code)
    assert (bad.standing, applied(bad)) == ("BAD", {"ORDINARY_ONLY": [fine]})
    (record,) = bad.applied[0].records
    assert (record.type_code, record.decided_on, record.disputed) == ("PENALTY", date(2026, 4, 2), False)
    assert bad.applied[0].measure.legal_basis == "参照《上海市社会信用条例》第三十条"


def test_a_penalty_that_does_not_stand_restricts_nobody(store: Store) -> None:
    code = firm()
    honoured(store, code)
    fine = fined(store, code)
    store.write(
        lambda session: records.withdraw(
            session,
            record_id=fine,
            reason=WithdrawalReason.REVOKED,
            now=noon(TODAY),
            house=store.house,
        )
    )
    assert check(store, code, on=TODAY - DAY).standing == "BAD"
    assert check(store, code, on=TODAY).standing == "GOOD"


def test_the_serious_list_brings_its_own_restrictions(store: Store) -> None:
    code = firm()
    listing = listed(store, code)
    assert applied(check(store, code)) == {"ORDINARY_ONLY": [listing]}
    assert applied(check(store, code, purpose="HONOURS")) == {"HONOURS_BAN": [listing]}
    assert applied(check(store, code, purpose="PROCUREMENT")) == {
        "PROCUREMENT_BAN": [listing],
        "TENDER_POINTS_OFF": [listing],
    }


def test_what_is_not_public_moves_nothing(store: Store) -> None:
    code = firm()
    store.put(penalty(SHXYM=code, CFLB="警告", NR_FK="", JDRQ="2026-04-02"), on=date(2026, 4, 3))
    # Its publicity of a year is over.
    store.put(penalty(SHXYM=code, CFLB="罚款", NR_FK="1", JDRQ="2020-03-01"), on=date(2020, 3, 2))
    assert check(store, code).standing == "NONE"
    assert check(store, code, on=date(2021, 3, 1)).standing == "BAD"
    assert check(store, code, on=date(2021, 3, 2)).standing == "NONE"


def test_a_disputed_record_counts_and_says_that_it_is(store: Store) -> None:
    code = firm()
    fine = fined(store, code)

    def mark(session: Session) -> None:
        queries.get_record(session, record_id=fine, for_update=True).disputed = True

    store.write(mark)
    assert check(store, code).applied[0].records[0].disputed


def test_a_settled_debt_and_a_left_list_restrict_until_the_day_before(store: Store) -> None:
    code = firm()
    entered(store, code, "COMPLIANCE", source="SWJ", duty="税款", due_on="2026-03-31", settled_on="2026-05-04")
    assert check(store, code, on=date(2026, 5, 3)).standing == "BAD"
    assert check(store, code, on=date(2026, 5, 4)).standing == "NONE"


def test_persons_are_checked_by_the_number_of_their_document(store: Store) -> None:
    number = person()
    store.put(penalty(**{**OF_PERSON, "ZJHM": number, **FINE}), on=date(2026, 4, 3))
    assert check(store, f" {number.lower()} ", id_type="身份证").standing == "BAD"
    assert check(store, number, id_type="护照号").standing == "NONE"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"code": "91350602TUL0000000", "purpose": "APPROVAL"}, [("code", "identifier")]),
        ({"code": "350602199001011017", "id_type": "身份证", "purpose": "APPROVAL"}, [("code", "identifier")]),
        ({"code": "91350602MA2XA1B244", "purpose": "LOAN"}, [("purpose", "unknown")]),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    store: Store, asked: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidFields) as refused:
        check(store, **asked)
    assert [(each.field, each.rule) for each in refused.value.violations] == expected


def test_a_check_takes_one_statement_where_nothing_counts_and_two_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, fined_one = firm(), firm()
    store.put(penalty(SHXYM=quiet, CFLB="警告", NR_FK="", JDRQ="2026-04-02"), on=date(2026, 4, 3))
    fined(store, fined_one)
    seen: list[str] = []
    execute = hot._execute

    def count(connection: Any, text: str, parameters: Any, *, alone: bool) -> Any:
        seen.append(text)
        return execute(connection, text, parameters, alone=alone)

    monkeypatch.setattr(hot, "_execute", count)
    check(store, quiet)
    assert len(seen) == 1
    check(store, fined_one)
    assert len(seen) == 1 + 2


CLOSE_LOOK: Final = Measure(
    code="CLOSE_LOOK",
    kind=MeasureKind.RESTRICTION,
    standing=Standing.BAD,
    purposes=frozenset({"APPROVAL"}),
    zh="重点审查",
    en="Close review",
    legal_basis="参照《上海市社会信用条例》第三十条",
    published_on=TODAY,
)


def publish(store: Store, measure: Measure, *, by: Principal = ADMIN, on: date = TODAY) -> PublishedMeasure:
    return store.write(lambda session: measures.publish(session, principal=by, measure=measure, now=noon(on)))


def versions(store: Store, code: str) -> list[tuple[int, date, date | None]]:
    return [
        (each.version, each.published_on, each.withdrawn_on)
        for each in store.read(lambda session: measure_queries.list_measures(session))
        if each.code == code
    ]


def test_a_published_measure_applies_from_its_day_and_is_followed_by_the_next(store: Store) -> None:
    code = firm()
    fined(store, code)
    publish(store, CLOSE_LOOK)
    assert "CLOSE_LOOK" not in applied(check(store, code, on=TODAY - DAY))
    assert "CLOSE_LOOK" in applied(check(store, code))
    publish(store, replace(CLOSE_LOOK, zh="严格审查", published_on=TODAY + 10 * DAY))
    assert versions(store, "CLOSE_LOOK") == [(2, TODAY + 10 * DAY, None), (1, TODAY, TODAY + 9 * DAY)]
    on_the_list = store.read(lambda session: measure_queries.list_measures(session, on=TODAY + 10 * DAY))
    assert [each.zh for each in on_the_list if each.code == "CLOSE_LOOK"] == ["严格审查"]


def test_a_withdrawn_measure_applies_no_more(store: Store) -> None:
    code = firm()
    fined(store, code)
    made = publish(store, replace(CLOSE_LOOK, code="SHORT_LIVED"))

    def withdraw(etag: str, withdrawn_on: date, by: Principal = ADMIN) -> PublishedMeasure:
        return store.write(
            lambda session: measures.withdraw(
                session,
                principal=by,
                code="SHORT_LIVED",
                etag=etag,
                withdrawn_on=withdrawn_on,
                now=noon(TODAY + DAY),
            )
        )

    with pytest.raises(StaleEtag):
        withdraw("v0", TODAY)
    with pytest.raises(InvalidFields):
        withdraw(f"v{made.revision}", TODAY - DAY)
    with pytest.raises(NotForTheCity):
        withdraw(f"v{made.revision}", TODAY, CLERK)
    withdraw(f"v{made.revision}", TODAY)
    assert "SHORT_LIVED" in applied(check(store, code, on=TODAY))
    assert "SHORT_LIVED" not in applied(check(store, code, on=TODAY + DAY))
    with pytest.raises(MeasureNotFound):
        withdraw(f"v{made.revision + 1}", TODAY)


@pytest.mark.parametrize(
    "principal",
    [CLERK, replace(ADMIN, region="350602"), replace(ADMIN, region=""), replace(ADMIN, roles=frozenset())],
)
def test_only_the_citys_administrators_publish(store: Store, principal: Principal) -> None:
    with pytest.raises(NotForTheCity):
        publish(store, replace(CLOSE_LOOK, code="FOREIGN"), by=principal)
    assert versions(store, "FOREIGN") == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "close look"}, "measure.code"),
        ({"purposes": frozenset({"LOAN"})}, "measure.purposes"),
        ({"published_on": TODAY - DAY}, "measure.published_on"),
        ({"zh": ""}, "measure.zh"),
        ({"legal_basis": "法" * 501}, "measure.legal_basis"),
    ],
)
def test_a_measure_that_breaks_a_rule_is_not_published(store: Store, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        publish(store, replace(CLOSE_LOOK, **changes))
    assert [each.field for each in refused.value.violations] == [field]


def test_the_list_a_city_begins_with_is_configurable_and_seeded_once(store: Store) -> None:
    first = load_measures(published_on=START)
    assert store.write(lambda session: measures.seed(session, measures=first, now=noon(START))) == 0
    assert {each.code for each in first} >= {"FAST_LANE", "ORDINARY_ONLY"}
    with pytest.raises(MeasureNotConfigurable):
        replace(first[0], legal_basis="")


def graded(store: Store, code: str, *, on: date = TODAY) -> Grading:
    def read(session: Session) -> Grading:
        subject = queries.subject_by_code(session, code=code)
        assert subject is not None
        return measure_queries.grade_subject(session, subject_id=subject.id, on=on, house=store.house)

    return store.read(read)


def test_a_grade_names_the_records_behind_its_points(store: Store) -> None:
    code = firm()
    honour, fine = honoured(store, code), fined(store, code)
    entered(store, code, "CONTRACT", contract="采购合同", performance="已履行", signed_on="2026-05-01")
    found = graded(store, code)
    assert (found.grade, found.score) == (Grade.B, 750 + 60 - 60 + 10)
    assert {(each.record_id, each.points) for each in found.contributions} >= {(honour, 60), (fine, -60)}
    listing = listed(store, code)
    assert graded(store, code).grade is Grade.E
    assert listing in [each.record_id for each in graded(store, code).contributions if each.forces_lowest]


def test_false_material_of_a_repair_counts_against_the_subject(store: Store) -> None:
    code = firm()
    fine = fined(store, code)
    before = graded(store, code).score

    def revoke(session: Session) -> None:
        subject = queries.subject_by_code(session, code=code)
        assert subject is not None
        session.add(
            Repair(
                id=fine,
                record_id=fine,
                subject_id=subject.id,
                source="SCJG",
                filer="someone",
                state="REVOKED",
                corrected_on=TODAY,
                promise=True,
                submitted_on=TODAY,
                false_material_on=TODAY,
                created_at=noon(TODAY),
                updated_at=noon(TODAY),
            )
        )

    store.write(revoke)
    assert graded(store, code).score == before - 150
    assert graded(store, code, on=TODAY - DAY).score == before


def test_persons_are_not_graded(store: Store) -> None:
    put = store.put(penalty(**{**OF_PERSON, "ZJHM": person(), **FINE}), on=date(2026, 4, 3))
    subject_id = store.record(put.record_id).subject_id
    with pytest.raises(NotGraded):
        store.read(
            lambda session: measure_queries.grade_subject(session, subject_id=subject_id, on=TODAY, house=store.house)
        )


def register(store: Store, *, by: Principal = CLERK, **changes: Any) -> Subject:
    told = {"kind": SubjectKind.ORGANISATION, "code": firm(), "id_type": "", "name": "漳州新办企业", **changes}
    return store.write(
        lambda session: entries.register(session, principal=by, now=noon(TODAY), house=store.house, **told)
    )


def test_a_department_enters_a_subject_once_and_changes_none(store: Store) -> None:
    code = firm()
    made = register(store, code=code)
    again = register(store, code=code, name="别的名字")
    assert (again.id, again.name) == (made.id, "漳州新办企业")
    number = person()
    someone = register(store, kind=SubjectKind.PERSON, code=number, id_type="身份证", name=f"王五{number}")
    assert number not in someone.name
    assert register(store, kind=SubjectKind.PERSON, code=number, id_type="身份证", name="王五").id == someone.id


@pytest.mark.parametrize("roles", [{"citizen"}, {"partner"}, {"admin"}, {"enterprise"}])
def test_only_departments_enter_subjects(store: Store, roles: set[str]) -> None:
    with pytest.raises(entries.NotADepartment):
        register(store, by=replace(CLERK, roles=frozenset(roles)))


def test_a_subject_with_a_wrong_number_or_no_name_is_not_entered(store: Store) -> None:
    with pytest.raises(InvalidFields) as refused:
        register(store, code="91350602TUL0000000", name="-")
    assert [(each.field, each.rule) for each in refused.value.violations] == [
        ("code", "identifier"),
        ("name", "length"),
    ]
