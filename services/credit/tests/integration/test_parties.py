"""Who calls: the subject itself, a department, the office."""

from datetime import date

import pytest

from services.credit.tests.callers import citizen, enterprise, staff
from services.credit.tests.hostile.recipes import FIRM
from services.credit.tests.store import OF_PERSON, Store, firm, licence, noon, person
from tulou_chassis.principals import Principal
from tulou_credit.operations import parties, subjects
from tulou_credit.operations.parties import IdentityMissing

DAY = date(2024, 1, 4)


def own(store: Store, principal: Principal) -> str | None:
    found = store.read(lambda session: parties.own_subject(session, principal=principal, house=store.house))
    return found.id if found else None


def test_a_citizen_is_the_subject_of_the_verified_number_and_of_no_other(store: Store) -> None:
    mine, others = person(), person()
    put = store.put(licence(**OF_PERSON | {"ZJHM": mine}), on=DAY)
    store.put(licence(**OF_PERSON | {"ZJHM": others}), on=DAY)
    assert own(store, citizen(mine)) == store.record(put.record_id).subject_id
    assert own(store, citizen(mine.lower())) == store.record(put.record_id).subject_id
    assert own(store, citizen(others)) not in (None, store.record(put.record_id).subject_id)


def test_an_enterprise_is_the_subject_of_its_credit_code(store: Store) -> None:
    code = firm()
    put = store.put(licence(SHXYM=code), on=DAY)
    subject_id = store.record(put.record_id).subject_id
    assert own(store, enterprise(code)) == subject_id
    for caller, expected in ((enterprise(code), True), (enterprise(firm()), False)):
        found = store.read(
            lambda session, caller=caller: parties.owns(  # type: ignore[misc]
                session, principal=caller, subject_id=subject_id, house=store.house
            )
        )
        assert found is expected


def test_who_has_no_verified_number_owns_nothing(store: Store) -> None:
    code, number = firm(), person()
    store.put(licence(SHXYM=code), on=DAY)
    store.put(licence(**OF_PERSON | {"ZJHM": number}), on=DAY)
    # A number counts only with the role it was verified for: that of an enterprise is not a citizen's.
    callers = [
        citizen(""),
        enterprise(""),
        citizen(code),
        enterprise(number),
        enterprise(code[:-1]),
        Principal("x", frozenset({"clerk", "admin"}), "SCJG", "350600", "", code),
    ]
    assert [own(store, caller) for caller in callers] == [None] * len(callers)


def test_a_subject_of_which_nothing_was_known_is_made_once_with_its_number_sealed(store: Store) -> None:
    number = person()
    caller = citizen(number)

    def ensure() -> str:
        return store.write(
            lambda session: parties.ensure_own_subject(session, principal=caller, now=noon(DAY), house=store.house).id
        )

    assert own(store, caller) is None
    made = ensure()
    assert ensure() == made == own(store, caller)
    subject = store.read(lambda session: parties.own_subject(session, principal=caller, house=store.house))
    assert subject is not None
    assert (subject.kind, subject.name, subject.code) == ("PERSON", "张三", None)
    assert subjects.reveal(subject=subject, house=store.house) == number
    assert number not in repr(subject.model_dump())


def test_no_subject_is_made_of_who_has_no_verified_number(store: Store) -> None:
    with pytest.raises(IdentityMissing):
        store.write(
            lambda session: parties.ensure_own_subject(
                session, principal=citizen("350602199001011017"), now=noon(DAY), house=store.house
            )
        )


def test_departments_and_the_office_are_told_by_role_and_organisation(store: Store) -> None:
    office = store.house.office
    assert parties.is_office(staff(office), store.house)
    assert parties.is_office(staff(office, "approver"), store.house)
    assert not parties.is_office(staff("SCJG"), store.house)
    assert not parties.is_office(staff(office, "admin", "auditor", "partner"), store.house)
    assert parties.is_department(staff("SCJG"))
    assert not parties.is_department(staff(""))
    assert not parties.is_department(staff("BANK", "partner"))


def test_one_asks_for_an_organisation_or_for_an_enterprise(store: Store) -> None:
    assert parties.asker_of(staff("SCJG")) == "SCJG"
    assert parties.asker_of(staff("BANK", "partner")) == "BANK"
    assert parties.asker_of(enterprise(FIRM)) == FIRM
    assert parties.asker_of(citizen(person())) == ""
