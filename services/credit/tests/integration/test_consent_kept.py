"""Authorisations are granted, used and revoked, and every query for what is not public is kept."""

import threading
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from services.credit.tests.callers import citizen, enterprise, staff
from services.credit.tests.store import OF_PERSON, Store, firm, licence, noon, person
from tulou_chassis import history
from tulou_chassis.etags import etag_of
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, StaleEtag
from tulou_credit import proceedings_queries, queries
from tulou_credit.domain.consent import Lack
from tulou_credit.models import Authorisation, QueryLog, Subject
from tulou_credit.operations import consent
from tulou_credit.operations.consent import AlreadyRevoked, QueryDenied
from tulou_credit.operations.parties import IdentityMissing
from tulou_credit.proceedings_queries import AuthorisationNotFound
from tulou_credit.queries import SubjectNotFound

DAY = date(2024, 3, 1)
BANK = staff("BANK-1", "partner")
TITLES = frozenset({"PROFESSION"})


def someone(store: Store) -> tuple[Principal, Subject]:
    """A person of whom something is known."""
    number = person()
    put = store.put(licence(**OF_PERSON | {"ZJHM": number}), on=date(2024, 1, 4))
    return citizen(number), subject_of(store, store.record(put.record_id).subject_id)


def a_firm(store: Store) -> tuple[Principal, Subject]:
    code = firm()
    put = store.put(licence(SHXYM=code), on=date(2024, 1, 4))
    return enterprise(code), subject_of(store, store.record(put.record_id).subject_id)


def subject_of(store: Store, subject_id: str) -> Subject:
    return store.read(lambda session: queries.get_subject(session, subject_id=subject_id))


def granted(store: Store, grantor: Principal, **changed: Any) -> Authorisation:
    told = {
        "grantee": "BANK-1",
        "purpose": "LOAN",
        "scope": TITLES,
        "valid_from": DAY,
        "valid_to": date(2024, 12, 31),
        "uses_max": None,
        "proof": "ab" * 32,
        "channel": "ONLINE",
        "now": noon(DAY),
        "house": store.house,
    }
    return store.write(lambda session: consent.grant(session, principal=grantor, **(told | changed)))


def revoked(store: Store, grantor: Principal, authorisation: Authorisation, on: date, **changed: Any) -> Authorisation:
    etag = changed.get("etag", etag_of(authorisation.version))
    return store.write(
        lambda session: consent.revoke(
            session,
            principal=grantor,
            authorisation_id=authorisation.id,
            etag=etag,
            now=noon(on),
            house=store.house,
        )
    )


def asked(
    store: Store,
    principal: Principal,
    subject: Subject | None,
    *,
    purpose: str = "LOAN",
    types: frozenset[str] = TITLES,
    on: date = DAY,
) -> QueryLog:
    return store.write(
        lambda session: consent.open_query(
            session,
            principal=principal,
            subject=subject,
            purpose=purpose,
            record_types=types,
            now=noon(on),
            house=store.house,
        )
    )


def denied(store: Store, *who: Any, **how: Any) -> tuple[Lack, ...]:
    with pytest.raises(QueryDenied) as refusal:
        asked(store, *who, **how)
    return refusal.value.lacks


def kept(store: Store, principal: Principal, subject_id: str | None) -> list[QueryLog]:
    return list(
        store.read(
            lambda session: proceedings_queries.list_queries(
                session, principal=principal, subject_id=subject_id, after=None, limit=50, house=store.house
            )
        )
    )


def test_a_query_with_an_authorisation_is_answered_and_kept_with_it(store: Store) -> None:
    who, subject = someone(store)
    authorisation = granted(store, who)
    log = asked(store, BANK, subject)
    assert (log.basis, log.authorisation_id) == ("AUTHORISATION", authorisation.id)
    (found,) = kept(store, who, subject.id)
    assert (found.asker, found.actor, found.purpose) == ("BANK-1", BANK.subject, "LOAN")
    assert (found.record_types, found.asked_at) == (["PROFESSION"], noon(DAY))
    read = store.read(
        lambda session: proceedings_queries.get_authorisation(
            session, principal=who, authorisation_id=authorisation.id, house=store.house
        )
    )
    assert read.uses == 1
    heads = {read.id: history.Head(read.history_sequence, read.history_hash)}
    assert store.read(lambda session: list(history.verify(session, store.house.keyring, heads))) == []
    assert read.history_sequence == 2


def test_own_data_is_open_without_authorisation_and_that_too_is_kept(store: Store) -> None:
    who, subject = someone(store)
    log = asked(store, who, subject, purpose="")
    assert (log.basis, log.authorisation_id, log.asker) == ("OWN", None, "")
    assert [each.id for each in kept(store, who, None)] == [log.id]


@pytest.mark.parametrize(
    "role", ["admin", "auditor", "clerk", "approver", "supervisor", "operator", "partner", "enterprise", "citizen"]
)
def test_no_role_sees_a_person_s_data_without_authorisation(store: Store, role: str) -> None:
    _, subject = someone(store)
    for caller in (staff("FGW", role), staff("", role), staff("SCJG", role, "admin")):
        assert denied(store, caller, subject) == (Lack.NO_AUTHORISATION,)
    assert kept(store, staff("", "auditor"), subject.id) == []


def test_another_citizen_is_denied_and_so_is_who_asks_about_nobody(store: Store) -> None:
    _, subject = someone(store)
    other, _ = someone(store)
    assert denied(store, other, subject) == denied(store, other, None) == (Lack.NO_AUTHORISATION,)
    assert denied(store, BANK, None) == (Lack.NO_AUTHORISATION,)


def test_an_authorisation_is_of_its_grantee_alone(store: Store) -> None:
    who, subject = someone(store)
    granted(store, who)
    assert denied(store, staff("BANK-2", "partner"), subject) == (Lack.NO_AUTHORISATION,)
    grantee, _ = a_firm(store)
    granted(store, who, grantee=grantee.identity)
    assert asked(store, grantee, subject).asker == grantee.identity


def test_what_an_authorisation_lacks_is_told(store: Store) -> None:
    who, subject = someone(store)
    granted(store, who, uses_max=1, valid_from=date(2024, 3, 2))
    assert denied(store, BANK, subject, on=DAY) == (Lack.NOT_YET_VALID,)
    assert denied(store, BANK, subject, on=date(2025, 1, 1)) == (Lack.EXPIRED,)
    on = date(2024, 12, 31)
    assert denied(store, BANK, subject, purpose="RECRUITMENT", on=on) == (Lack.OTHER_PURPOSE,)
    with pytest.raises(QueryDenied) as refusal:
        asked(store, BANK, subject, types=TITLES | {"HONOUR"}, on=on)
    assert (refusal.value.lacks, refusal.value.uncovered) == ((Lack.OUT_OF_SCOPE,), frozenset({"HONOUR"}))
    asked(store, BANK, subject, on=on)
    assert denied(store, BANK, subject, on=on) == (Lack.USED_UP,)
    assert len(kept(store, who, None)) == 1


def test_a_revoked_authorisation_holds_no_more_on_the_day_it_is_revoked(store: Store) -> None:
    who, subject = someone(store)
    authorisation = granted(store, who)
    after = revoked(store, who, authorisation, date(2024, 4, 1))
    assert denied(store, BANK, subject, on=date(2024, 4, 1)) == (Lack.REVOKED,)
    with pytest.raises(AlreadyRevoked):
        revoked(store, who, after, date(2024, 5, 1))
    names = [type(one).__name__ for one in store.happened if getattr(one, "authorisation_id", "") == authorisation.id]
    assert names == ["AuthorisationGranted", "AuthorisationRevoked"]


def test_only_its_grantor_revokes_and_with_the_newest_etag(store: Store) -> None:
    who, subject = someone(store)
    other, _ = someone(store)
    authorisation = granted(store, who)
    for caller in (other, BANK, staff("FGW", "admin"), citizen("")):
        with pytest.raises(AuthorisationNotFound):
            revoked(store, caller, authorisation, DAY)
    asked(store, BANK, subject)
    with pytest.raises(StaleEtag):
        revoked(store, who, authorisation, DAY)


def test_of_two_that_want_the_last_use_at_once_one_gets_it(store: Store) -> None:
    who, subject = someone(store)
    authorisation = granted(store, who, uses_max=1)
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def run() -> None:
        barrier.wait(timeout=20)
        for _ in range(3):
            try:
                asked(store, BANK, subject)
            except QueryDenied as refusal:
                outcomes.append(refusal.lacks[0])
            except (StaleDataError, OperationalError):
                continue
            else:
                outcomes.append("answered")
            return

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["USED_UP", "answered"]
    (found,) = kept(store, who, None)
    assert found.authorisation_id == authorisation.id


def test_internal_records_of_organisations_are_open_to_departments_and_only_those(store: Store) -> None:
    grantor, subject = a_firm(store)
    _, of_person = someone(store)
    internal = frozenset({"CONTRACT"})
    log = asked(store, staff("SCJG"), subject, purpose="PROCUREMENT", types=internal)
    assert (log.basis, log.authorisation_id, log.asker) == ("DEPARTMENT", None, "SCJG")
    assert denied(store, BANK, subject, types=internal) == (Lack.NO_AUTHORISATION,)
    assert denied(store, staff("SCJG", "admin"), subject, types=internal) == (Lack.NO_AUTHORISATION,)
    assert denied(store, staff("SCJG"), of_person, types=internal) == (Lack.NO_AUTHORISATION,)
    both = internal | {"EVALUATION"}
    assert denied(store, staff("SCJG"), subject, types=both) == (Lack.NO_AUTHORISATION,)
    granted(store, grantor, grantee="SCJG", scope=frozenset({"EVALUATION"}))
    assert asked(store, staff("SCJG"), subject, types=both).basis == "AUTHORISATION"


def test_a_grantor_of_whom_nothing_was_known_becomes_a_subject(store: Store) -> None:
    who = citizen(person())
    authorisation = granted(store, who)
    subject = subject_of(store, authorisation.grantor_id)
    assert asked(store, BANK, subject).authorisation_id == authorisation.id


def test_who_has_no_verified_number_can_grant_nothing(store: Store) -> None:
    for caller in (citizen(""), staff("SCJG"), staff("FGW", "admin")):
        with pytest.raises(IdentityMissing):
            granted(store, caller)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"valid_to": date(2024, 2, 29)}, "valid_to"),
        ({"valid_from": date(2024, 1, 1), "valid_to": date(2024, 2, 29)}, "valid_to"),
        ({"valid_to": date(2029, 3, 2)}, "valid_to"),
        ({"scope": frozenset()}, "type_codes"),
        ({"scope": frozenset({"PROFESSION", "GENES"})}, "type_codes"),
        ({"grantee": ""}, "grantee"),
        ({"purpose": ""}, "purpose"),
        ({"uses_max": 0}, "uses_max"),
        ({"proof": "AB" * 32}, "proof"),
    ],
)
def test_an_authorisation_that_cannot_be_is_refused_with_the_field(
    store: Store, changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidFields) as refusal:
        granted(store, citizen(person()), **changed)
    assert [each.field for each in refusal.value.violations] == [f"authorisation.{field}"]


def test_five_years_to_the_day_are_granted(store: Store) -> None:
    assert granted(store, citizen(person()), valid_to=date(2029, 3, 1)).valid_to == date(2029, 3, 1)


def test_a_query_names_its_purpose_and_types_of_the_catalogue(store: Store) -> None:
    who, subject = someone(store)
    for how, field in (({"purpose": ""}, "purpose"), ({"types": frozenset()}, "type_codes")):
        with pytest.raises(InvalidFields) as refusal:
            asked(store, BANK, subject, **how)  # type: ignore[arg-type]
        assert [each.field for each in refusal.value.violations] == [field]
    with pytest.raises(InvalidFields):
        asked(store, who, subject, types=frozenset({"GENES"}))


def test_both_sides_see_an_authorisation_and_nobody_else(store: Store) -> None:
    who, _ = someone(store)
    first, second = (granted(store, who, grantee="BANK-9", now=noon(DAY + timedelta(days=days))) for days in (0, 1))
    bank = staff("BANK-9", "partner")

    def listed(principal: Principal, *, as_grantee: bool, **how: Any) -> list[str]:
        rows = store.read(
            lambda session: proceedings_queries.list_authorisations(
                session,
                principal=principal,
                as_grantee=as_grantee,
                **({"after": None, "limit": 50, "house": store.house} | how),
            )
        )
        return [row.id for row in rows]

    assert listed(who, as_grantee=False) == listed(bank, as_grantee=True) == [second.id, first.id]
    assert listed(bank, as_grantee=True, limit=1) == [second.id]
    assert listed(bank, as_grantee=True, after=(second.created_at, second.id)) == [first.id]
    assert listed(who, as_grantee=True) == listed(bank, as_grantee=False) == []
    assert listed(citizen(""), as_grantee=True) == []

    def got(session: Session, principal: Principal) -> Authorisation:
        return proceedings_queries.get_authorisation(
            session, principal=principal, authorisation_id=first.id, house=store.house
        )

    for principal in (who, bank):
        assert store.read(lambda session, caller=principal: got(session, caller)).id == first.id  # type: ignore[misc]
    for principal in (someone(store)[0], staff("BANK-8", "partner"), staff("FGW", "admin"), citizen("")):
        with pytest.raises(AuthorisationNotFound):
            store.read(lambda session, caller=principal: got(session, caller))  # type: ignore[misc]


def test_subjects_see_who_asked_about_them_and_auditors_see_all(store: Store) -> None:
    who, subject = someone(store)
    other, other_subject = someone(store)
    granted(store, who)
    logs = [asked(store, BANK, subject, on=DAY + timedelta(days=days)) for days in (0, 1)]
    assert [each.id for each in kept(store, who, subject.id)] == [each.id for each in reversed(logs)]
    assert kept(store, other, None) == []
    with pytest.raises(SubjectNotFound):
        kept(store, other, subject.id)
    for caller in (BANK, staff("FGW", "admin"), staff("FGW")):
        with pytest.raises(SubjectNotFound):
            kept(store, caller, subject.id)
        assert kept(store, caller, None) == []
    auditor = staff("SJJ", "auditor")
    assert len(kept(store, auditor, subject.id)) == 2
    assert kept(store, auditor, other_subject.id) == []
    assert {each.id for each in logs} <= {each.id for each in kept(store, auditor, None)}
