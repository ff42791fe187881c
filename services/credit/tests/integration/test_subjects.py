"""Subjects: made and kept up to date by decisions, and found by code, name, region and status."""

from datetime import date
from typing import Any

import pytest

from services.credit.tests.store import OF_PERSON, Store, firm, licence, noon, penalty, person
from tulou_chassis import history
from tulou_credit import queries
from tulou_credit.domain.records import Outcome
from tulou_credit.domain.subjects import SubjectKind, SubjectStatus
from tulou_credit.models import FormerName, Subject
from tulou_credit.operations import subjects
from tulou_credit.queries import SubjectFilter, SubjectNotFound


def put(store: Store, code: str, name: str, told_on: date, **more: Any) -> Subject:
    told = subjects.Description(kind=SubjectKind.ORGANISATION, code=code, name=name, told_on=told_on, **more)
    ref = store.write(
        lambda session: subjects.put(
            session, told=told, actor="test", organisation="SCJG", now=noon(told_on), house=store.house
        )
    )
    return store.read(lambda session: queries.get_subject(session, subject_id=ref.id))


def former(store: Store, subject: Subject) -> list[tuple[str, date, date]]:
    rows: list[FormerName] = list(store.read(lambda session: queries.former_names(session, subject_id=subject.id)))
    return [(row.name, row.valid_from, row.valid_to) for row in rows]


def found(store: Store, *, limit: int = 100, after: tuple[str, str] | None = None, **filter: Any) -> list[str]:
    rows = store.read(
        lambda session: queries.search_subjects(session, filter=SubjectFilter(**filter), after=after, limit=limit)
    )
    return [row.name for row in rows]


def test_a_subject_is_found_by_its_code(store: Store) -> None:
    code = firm()
    made = put(store, code, "漳州某某茶叶有限公司", date(2024, 1, 2), representative="张三")
    got = store.read(lambda session: queries.subject_by_code(session, code=code))
    assert got == made
    assert (made.region_code, made.status, made.representative) == ("350602", "ACTIVE", "张三")
    assert store.read(lambda session: queries.get_subject(session, subject_id=made.id)) == made
    with pytest.raises(SubjectNotFound):
        store.read(lambda session: queries.get_subject(session, subject_id="none"))


def test_the_same_told_again_writes_nothing(store: Store) -> None:
    code = firm()
    made = put(store, code, "漳州甲公司", date(2024, 1, 2), representative="张三", representative_id=person())
    again = put(store, code, "漳州甲公司", date(2024, 1, 2), representative="张三")
    assert (again.version, again.updated_at) == (made.version, made.updated_at)


def test_a_changed_name_becomes_a_former_one(store: Store) -> None:
    code = firm()
    put(store, code, "漳州旧名公司", date(2022, 1, 4))
    subject = put(store, code, "漳州新名公司", date(2024, 1, 2))
    assert subject.name == "漳州新名公司"
    assert former(store, subject) == [("漳州旧名公司", date(2022, 1, 4), date(2024, 1, 2))]


def test_an_older_decision_that_comes_later_does_not_bring_the_old_name_back(store: Store) -> None:
    code = firm()
    put(store, code, "漳州今名公司", date(2024, 1, 2), representative="今人")
    for day in (date(2020, 5, 6), date(2021, 5, 6)):
        subject = put(store, code, "漳州昔名公司", day, representative="昔人")
        assert (subject.name, subject.representative) == ("漳州今名公司", "今人")
    assert former(store, subject) == [("漳州昔名公司", date(2020, 5, 6), date(2024, 1, 2))]


def test_other_brackets_and_spaces_are_no_other_name(store: Store) -> None:
    code = firm()
    put(store, code, "漳州（闽南）食品有限公司", date(2022, 1, 4))
    subject = put(store, code, "漳州(闽南)食品 有限公司", date(2024, 1, 2))
    assert subject.name == "漳州（闽南）食品有限公司"
    assert former(store, subject) == []


def test_a_sole_trader_stays_one_though_the_edition_of_2015_cannot_tell(store: Store) -> None:
    code = firm()
    first = store.put(penalty(SHXYM=code, LB="法人及非法人组织"), on=date(2024, 1, 4))
    store.put(penalty(SHXYM=code, LB="个体工商户", WSH="其二"), on=date(2024, 1, 4))
    store.put(penalty(SHXYM=code, LB="法人及非法人组织", WSH="其三"), on=date(2024, 1, 4))
    subject_id = store.record(first.record_id).subject_id
    assert store.read(lambda session: queries.get_subject(session, subject_id=subject_id)).kind == "SOLE_TRADER"


def test_a_person_is_found_by_number_which_is_sealed_and_shown_masked(store: Store) -> None:
    number = person()
    made = store.put(licence(**{**OF_PERSON, "ZJHM": number}), on=date(2024, 1, 4))
    again = store.put(penalty(**{**OF_PERSON, "ZJHM": number}), on=date(2024, 1, 4))
    assert store.record(made.record_id).subject_id == store.record(again.record_id).subject_id
    typed = f" {number[:6]} {number[6:]}".translate({ord(str(n)): 0xFF10 + n for n in range(10)})
    subject = store.read(
        lambda session: queries.subject_by_number(session, id_type="身份证", number=typed, house=store.house)
    )
    assert subject is not None
    assert (subject.code, subject.region_code) == (None, "")
    assert subject.number_masked == f"350*************{number[-2:]}"
    assert number not in subject.model_dump_json()
    assert subjects.reveal(subject=subject, house=store.house) == number
    passport = store.read(
        lambda session: queries.subject_by_number(session, id_type="护照号", number=number, house=store.house)
    )
    assert passport is None


def test_a_new_representative_takes_the_place_of_the_old_with_the_number(store: Store) -> None:
    code, number = firm(), person()
    one = put(
        store,
        code,
        "漳州乙公司",
        date(2022, 1, 4),
        representative="张三",
        representative_id_type="身份证",
        representative_id=number,
    )
    assert one.representative_sealed
    assert number not in one.model_dump_json()
    kept = put(store, code, "漳州乙公司", date(2023, 1, 4), representative="张三")
    assert kept.representative_sealed == one.representative_sealed
    two = put(store, code, "漳州乙公司", date(2024, 1, 2), representative="李四")
    assert (two.representative, two.representative_sealed, two.representative_index) == ("李四", "", "")


def test_another_number_under_the_same_name_is_another_representative(store: Store) -> None:
    code, first, second = firm(), person(), person()
    one, two = (
        put(
            store,
            code,
            "漳州丁公司",
            day,
            representative="张伟",
            representative_id_type="身份证",
            representative_id=number,
        )
        for day, number in ((date(2022, 1, 4), first), (date(2023, 1, 4), second))
    )
    assert one.representative_index != two.representative_index
    context = f"credit_subject.representative:{two.id}"
    assert store.house.keyring.decrypt(two.representative_sealed, context=context) == second


def test_an_older_decision_with_the_same_name_dates_it_back(store: Store) -> None:
    code = firm()
    put(store, code, "漳州戊公司", date(2023, 1, 4))
    put(store, code, "漳州戊公司", date(2020, 1, 6))
    subject = put(store, code, "漳州己公司", date(2024, 1, 2))
    assert former(store, subject) == [("漳州戊公司", date(2020, 1, 6), date(2024, 1, 2))]


def test_a_status_is_kept_until_another_is_told(store: Store) -> None:
    code = firm()
    put(store, code, "漳州丙公司", date(2022, 1, 4), status=SubjectStatus.REVOKED)
    assert put(store, code, "漳州丙公司", date(2023, 1, 4)).status == "REVOKED"


def test_the_history_of_a_subject_names_fields_and_no_values(store: Store) -> None:
    code = firm()
    put(store, code, "漳州秘密公司", date(2022, 1, 4))
    subject = put(store, code, "漳州公开公司", date(2024, 1, 2), representative="张三")
    heads = {subject.id: history.Head(subject.history_sequence, subject.history_hash)}
    assert subject.history_sequence == 2
    assert store.read(lambda session: list(history.verify(session, store.house.keyring, heads))) == []


def test_names_are_found_by_beginning_part_and_former_name_however_they_are_typed(store: Store) -> None:
    put(store, firm(), "龙海Ａ1水产（集团）公司", date(2024, 1, 2))
    code = firm()
    put(store, code, "龙海旧水产公司", date(2022, 1, 4))
    put(store, code, "云霄果业公司", date(2024, 1, 2))
    assert found(store, name="龙海 a1") == ["龙海Ａ1水产（集团）公司"]
    assert found(store, name="水产") == []
    assert found(store, name="产(集", anywhere=True) == ["龙海Ａ1水产（集团）公司"]
    assert found(store, name="龙海") == ["云霄果业公司", "龙海Ａ1水产（集团）公司"]
    assert found(store, name="旧水", anywhere=True) == ["云霄果业公司"]
    for wild in ("%", "_", "（）", "龙%公司"):
        assert found(store, name=wild, anywhere=True) == []


def test_natural_persons_are_never_listed(store: Store) -> None:
    store.put(licence(**{**OF_PERSON, "MC": "名录甲", "ZJHM": person()}), on=date(2024, 1, 4))
    code = firm()
    put(store, code, "名录甲公司", date(2024, 1, 2))
    assert found(store, name="名录甲") == found(store, name="录甲", anywhere=True) == ["名录甲公司"]
    assert found(store, code=f" {code[:8].lower()} {code[8:]}") == ["名录甲公司"]
    assert found(store, code=code, name="别名") == []


def test_regions_take_in_what_lies_in_them_also_by_former_codes(store: Store) -> None:
    put(store, "91350602MA2XA1B244", "区域甲公司", date(2024, 1, 2))
    # 龙海, a city until 2021, has another code as a district.
    put(store, "92350681MA2YC3D400", "区域乙公司", date(2024, 1, 2))
    put(store, "91440300708461136T", "区域丙公司", date(2024, 1, 2))
    assert found(store, name="区域", region_code="3506") == ["区域乙公司", "区域甲公司"]
    assert found(store, name="区域", region_code="350602") == ["区域甲公司"]
    assert found(store, name="区域", region_code="350681") == ["区域乙公司"]
    assert found(store, name="区域", region_code="没有") == []
    assert found(store, name="区域") == ["区域丙公司", "区域乙公司", "区域甲公司"]


def test_status_filters(store: Store) -> None:
    put(store, firm(), "状态甲公司", date(2024, 1, 2), status=SubjectStatus.CANCELLED)
    put(store, firm(), "状态乙公司", date(2024, 1, 2))
    assert found(store, name="状态", status=SubjectStatus.CANCELLED) == ["状态甲公司"]


def test_pages_follow_one_another_also_where_names_are_the_same(store: Store) -> None:
    made = sorted(put(store, firm(), "同名公司", date(2024, 1, 2)).id for _ in range(5))
    seen: list[str] = []
    after = None
    for _ in range(3):
        rows = store.read(
            lambda session, after=after: queries.search_subjects(  # type: ignore[misc]
                session, filter=SubjectFilter(name="同名"), after=after, limit=2
            )
        )
        seen += [row.id for row in rows]
        after = (rows[-1].name_key, rows[-1].id)
    assert seen == made
    assert store.put(penalty(SHXYM=firm()), on=date(2024, 1, 4)).outcome is Outcome.CREATED
