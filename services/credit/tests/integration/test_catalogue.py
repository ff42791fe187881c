"""Entries of the catalogue: from draft to retirement, and what is refused."""

from dataclasses import replace
from datetime import date
from typing import Any, Final

import pytest
from sqlmodel import Session

from services.credit.tests.callers import staff
from services.credit.tests.store import Store, firm, noon, penalty
from tulou_chassis.etags import etag_of
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields
from tulou_civics.durations import Duration, Unit
from tulou_credit import queries
from tulou_credit.domain.catalogue import Category, Openness, PublicityRule, TypeState
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import RecordType
from tulou_credit.operations import catalogue, records
from tulou_credit.operations.catalogue import Entry
from tulou_credit.operations.parties import NotForTheCity
from tulou_credit.queries import RecordTypeNotFound
from tulou_credit.seed.load import load_catalogue

ADMIN: Final = staff("FGW", "admin")
NOW: Final = noon(date(2024, 1, 2))


def entry(code: str, *fields: str, **changes: Any) -> Entry:
    made = Entry(
        code=code,
        name="测试目录",
        category=Category.HONOUR,
        openness=Openness.PUBLIC,
        sources=("FGW",),
        subject_kinds=(SubjectKind.PERSON,),
        by_consent=False,
        content_schema={
            "type": "object",
            "additionalProperties": False,
            "properties": {field: {"type": "string"} for field in fields or ("title",)},
        },
        retention=Duration(5, Unit.YEAR),
        publicity=PublicityRule.VALIDITY,
    )
    return replace(made, **changes)


def draft(store: Store, made: Entry) -> RecordType:
    return store.write(lambda session: catalogue.draft(session, principal=ADMIN, entry=made))


def publish(store: Store, code: str) -> RecordType:
    def operation(session: Session) -> RecordType:
        etag = etag_of(queries.get_type(session, code=code, state=TypeState.DRAFT).revision)
        return catalogue.publish(session, principal=ADMIN, code=code, etag=etag, now=NOW)

    return store.write(operation)


def retire(session: Session, code: str) -> RecordType:
    etag = etag_of(queries.get_type(session, code=code).revision)
    return catalogue.retire(session, principal=ADMIN, code=code, etag=etag, now=NOW)


def refusals(store: Store, made: Entry) -> list[tuple[str, str]]:
    with pytest.raises(InvalidFields) as refused:
        draft(store, made)
    return [(violation.field.removeprefix("type."), violation.rule) for violation in refused.value.violations]


def test_a_version_in_force_is_followed_by_the_next(store: Store) -> None:
    draft(store, entry("NEXT"))
    assert publish(store, "NEXT").version == 1
    draft(store, entry("NEXT", "title", "level"))
    assert queries_type(store, "NEXT").version == 1
    draft(store, entry("NEXT", "title", "rank"))
    second = publish(store, "NEXT")
    assert (second.version, second.state, list(second.content_schema["properties"])) == (
        2,
        TypeState.PUBLISHED,
        ["title", "rank"],
    )
    assert queries_type(store, "NEXT") == second
    retired = store.read(lambda session: session.get_one(RecordType, ("NEXT", 1)))
    assert (retired.state, retired.retired_at) == (TypeState.RETIRED, NOW)


def queries_type(store: Store, code: str) -> RecordType:
    return store.read(lambda session: queries.get_type(session, code=code))


def test_nothing_is_published_or_retired_that_is_not_there(store: Store) -> None:
    with pytest.raises(RecordTypeNotFound):
        publish(store, "NONE")
    with pytest.raises(RecordTypeNotFound):
        store.write(lambda session: retire(session, "NONE"))


def test_the_catalogue_is_written_by_the_citys_administrators_alone(store: Store) -> None:
    county = Principal("a", frozenset({"admin"}), "FGW", "350602", "某人")
    for who in (county, replace(county, region=""), replace(county, region="3505"), staff("FGW", "clerk")):
        for operation in (
            lambda session, who=who: catalogue.draft(session, principal=who, entry=entry("COUNTY")),
            lambda session, who=who: catalogue.publish(session, principal=who, code="NONE", etag="", now=NOW),
            lambda session, who=who: catalogue.retire(session, principal=who, code="HONOUR", etag="", now=NOW),
        ):
            with pytest.raises(NotForTheCity):
                store.write(operation)


def test_of_a_retired_type_nothing_is_taken_in(store: Store) -> None:
    def take_in_and_retire(session: Session) -> None:
        records.put(session, penalty(SHXYM=firm()), source="SCJG", origin="i:2", now=NOW, house=store.house)
        retire(session, "PENALTY")
        with pytest.raises(RecordTypeNotFound):
            records.put(session, penalty(SHXYM=firm()), source="SCJG", origin="i:3", now=NOW, house=store.house)

    store.write(take_in_and_retire)
    with pytest.raises(RecordTypeNotFound):
        store.put(penalty(SHXYM=firm()), on=date(2024, 1, 4))
    penalties = next(each for each in load_catalogue() if each.code == "PENALTY")
    draft(store, penalties)
    publish(store, "PENALTY")
    put = store.put(penalty(SHXYM=firm()), on=date(2024, 1, 4))
    assert store.known(put.record_id).type_version == 2


def test_what_may_not_be_collected_about_persons_is_refused_by_name(store: Store) -> None:
    assert refusals(store, entry("BAD", "宗教信仰", "blood_type", "title", "income")) == [
        ("content_schema.宗教信仰", "forbidden"),
        ("content_schema.blood_type", "forbidden"),
        ("content_schema.income", "consent"),
    ]
    with pytest.raises(RecordTypeNotFound):
        store.read(lambda session: queries.get_type(session, code="BAD", state=TypeState.DRAFT))


def test_the_refusal_says_in_both_languages_what_it_is_about(store: Store) -> None:
    with pytest.raises(InvalidFields) as refused:
        draft(store, entry("BAD", "fingerprint"))
    (violation,) = refused.value.violations
    assert violation.zh == "禁止采集自然人的指纹信息。"
    assert violation.en == "May not be collected about natural persons: fingerprints."


def test_consent_opens_some_of_it_and_not_the_rest(store: Store) -> None:
    by_consent = {"by_consent": True, "openness": Openness.BY_AUTHORISATION, "publicity": PublicityRule.NONE}
    assert draft(store, entry("CONSENT", "income", "房产", **by_consent)).by_consent
    assert refusals(store, entry("CONSENT2", "income", "指纹", **by_consent)) == [("content_schema.指纹", "forbidden")]


def test_about_organisations_it_is_no_matter(store: Store) -> None:
    assert draft(store, entry("FIRMS", "income", subject_kinds=(SubjectKind.ORGANISATION,))).version == 1


def test_an_entry_without_source_or_subject_or_with_an_open_schema_is_refused(store: Store) -> None:
    made = entry("OPEN", sources=(), subject_kinds=(), content_schema={"type": "object"})
    assert refusals(store, made) == [
        ("content_schema", "json_schema"),
        ("sources", "required"),
        ("subject_kinds", "required"),
    ]
    assert refusals(store, entry("OPEN", openness=Openness.INTERNAL)) == [("publicity", "openness")]


def test_seeding_again_adds_nothing(store: Store) -> None:
    assert store.write(lambda session: catalogue.seed(session, entries=load_catalogue(), now=NOW)) == 0
    codes = {found.code for found in store.read(lambda session: queries.list_types(session))}
    assert codes >= {found.code for found in load_catalogue()}
