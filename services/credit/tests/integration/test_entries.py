"""Records of other types than the double-publicity files have, and what a listing says of a subject's standing."""

import json
from dataclasses import replace
from datetime import date
from typing import Any, Final

import pytest
from sqlmodel import Session, col, select

from services.credit.tests.callers import staff
from services.credit.tests.store import Store, firm, noon, penalty, person
from tulou_chassis.etags import etag_of
from tulou_chassis.tables import HistoryRecord
from tulou_chassis.violations import InvalidFields
from tulou_credit import queries
from tulou_credit.domain.catalogue import Category, Openness, PublicityRule
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.happenings import StandingChanged
from tulou_credit.domain.records import Outcome, WithdrawalReason
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.operations import catalogue, content, entries, records
from tulou_credit.operations.records import SourceNotAllowed
from tulou_credit.operations.schemas import ContentNotAllowed
from tulou_credit.queries import RecordTypeNotFound
from tulou_credit.seed.load import load_catalogue

DAY: Final = date(2026, 5, 6)


def honour(**changes: Any) -> Entry:
    made = Entry(
        type_code="HONOUR",
        subject_kind=SubjectKind.ORGANISATION,
        subject_code=firm(),
        subject_name="漳州测试食品有限公司",
        source_key="HJ-1",
        valid_from=date(2026, 5, 1),
        content={"title": "守合同重信用企业", "granted_on": "2026-05-01"},
    )
    return replace(made, **changes)


def listing(**changes: Any) -> Entry:
    said = {"reason": "虚假登记", "listed_on": "2026-05-01", "legal_basis": "《市场监督管理严重违法失信名单管理办法》"}
    return honour(type_code="SERIOUS_LIST", content=said, **changes)


def put(store: Store, entry: Entry, *, on: date = DAY, source: str = "SCJG") -> records.Put:
    return store.write(
        lambda session: entries.put(session, entry=entry, source=source, origin="test", now=noon(on), house=store.house)
    )


def standings(store: Store, record_id: str) -> list[str]:
    return [one.standing for one in store.happened if isinstance(one, StandingChanged) and one.record_id == record_id]


def refused(store: Store, entry: Entry) -> list[tuple[str, str]]:
    with pytest.raises(InvalidFields) as found:
        put(store, entry)
    return [(each.field, each.rule) for each in found.value.violations]


def test_an_entry_becomes_a_public_record_for_as_long_as_it_is_valid(store: Store) -> None:
    made = put(store, honour(valid_to=date(2027, 4, 30)))
    version = store.known(made.record_id)
    assert made.outcome is Outcome.CREATED
    assert (version.valid_from, version.valid_to) == (date(2026, 5, 1), date(2027, 5, 1))
    assert (version.public_from, version.public_until) == (date(2026, 5, 1), date(2027, 4, 30))
    assert (version.organ_name, version.content["title"]) == ("SCJG", "守合同重信用企业")
    assert store.told(made.record_id) == ["RecordPublished"]


def test_the_same_again_changes_nothing_and_other_content_supersedes(store: Store) -> None:
    entry = honour()
    first = put(store, entry)
    assert put(store, entry) == records.Put(Outcome.UNCHANGED, first.record_id)
    corrected = replace(entry, content={**entry.content, "title": "诚信示范企业"})
    assert put(store, corrected) == records.Put(Outcome.SUPERSEDED, first.record_id)
    assert store.known(first.record_id).content["title"] == "诚信示范企业"


def test_key_sender_and_subject_name_the_record(store: Store) -> None:
    entry = honour()
    others = [
        put(store, entry, source="GAJ"),
        put(store, replace(entry, source_key="HJ-2")),
        put(store, replace(entry, subject_code=firm())),
    ]
    assert len({put(store, entry).record_id, *(each.record_id for each in others)}) == 4


def test_numbers_of_persons_are_masked_and_sealed_wherever_they_stand(store: Store) -> None:
    number = person()
    entry = honour(
        subject_kind=SubjectKind.PERSON,
        subject_code=number,
        id_type="身份证",
        subject_name="张三",
        content={"title": f"道德模范（{number}）13800001111", "granted_on": "2026-05-01"},
    )
    version = store.known(put(store, entry).record_id)
    assert version.content["title"] == "道德模范（350*************" + number[-2:] + "）138****1111"
    in_clear = content.reveal(version=version, house=store.house)
    assert in_clear == {"title": entry.content["title"]}
    assert number not in json.dumps([repr(entry), version.content])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type_code": "PENALTY"}, [("type_code", "double_publicity")]),
        ({"subject_code": "91350602TUL000000A"}, [("subject_code", "identifier")]),
        ({"id_type": "身份证"}, [("id_type", "not_for_organisation")]),
        ({"subject_kind": SubjectKind.PERSON}, [("id_type", "required")]),
        (
            {"subject_kind": SubjectKind.PERSON, "id_type": "身份证", "subject_code": "350602199001011017"},
            [("subject_code", "identifier")],
        ),
        (
            {"subject_kind": SubjectKind.PERSON, "id_type": "护照号", "subject_code": "E 1"},
            [("subject_code", "form")],
        ),
        ({"subject_name": " "}, [("subject_name", "length")]),
        ({"source_key": ""}, [("source_key", "length")]),
        ({"valid_from": date(2026, 5, 7)}, [("valid_from", "range")]),
        ({"valid_to": date(2026, 4, 30)}, [("valid_to", "range")]),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(
    store: Store, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert refused(store, honour(**changes)) == expected


def test_only_who_the_catalogue_names_may_send_what_it_names(store: Store) -> None:
    tax = honour(type_code="COMPLIANCE", content={"duty": "社会保险费", "due_on": "2026-03-31"})
    with pytest.raises(SourceNotAllowed):
        put(store, tax)
    assert put(store, tax, source="SWJ").outcome is Outcome.CREATED
    with pytest.raises(ContentNotAllowed) as found:
        put(store, honour(content={"title": "x", "remark": "秘密"}))
    assert found.value.fields == ("granted_on", "remark")
    with pytest.raises(RecordTypeNotFound):
        put(store, honour(type_code="NONE"))


def test_what_is_collected_by_consent_needs_its_proof(store: Store) -> None:
    made = replace(
        next(each for each in load_catalogue() if each.code == "PROFESSION"),
        code="INCOME",
        category=Category.VOLUNTARY,
        openness=Openness.BY_AUTHORISATION,
        publicity=PublicityRule.NONE,
        by_consent=True,
        content_schema={
            "type": "object",
            "additionalProperties": False,
            "properties": {"income": {"type": "integer"}},
        },
    )

    def publish(session: Session) -> None:
        admin = staff("FGW", "admin")
        drafted = catalogue.draft(session, principal=admin, entry=made)
        catalogue.publish(session, principal=admin, code="INCOME", etag=etag_of(drafted.revision), now=noon(DAY))

    store.write(publish)
    entry = honour(
        type_code="INCOME",
        subject_kind=SubjectKind.PERSON,
        subject_code=person(),
        id_type="身份证",
        subject_name="李四",
        content={"income": 1},
    )
    with pytest.raises(InvalidFields) as found:
        put(store, entry, source="RSJ")
    assert [each.rule for each in found.value.violations] == ["consent"]
    proof = "a" * 64
    done = put(store, replace(entry, consent_proof=proof), source="RSJ")
    history = store.read(
        lambda session: session.exec(
            select(HistoryRecord.details).where(col(HistoryRecord.aggregate) == done.record_id)
        ).all()
    )
    assert [json.loads(each)["consent_proof"] for each in history] == [proof]


def test_only_licences_and_penalties_are_judged_by_the_limit_of_double_publicity(store: Store) -> None:
    put(store, honour(valid_from=date(2010, 1, 4)), source="TIMELY")
    found = store.read(
        lambda session: queries.timeliness(session, source="TIMELY", from_=date(2026, 1, 1), to=date(2026, 12, 31))
    )
    assert (found.records, found.latest) == (0, 0)


def test_a_listing_tells_the_standing_when_it_comes_and_when_it_goes(store: Store) -> None:
    code = firm()
    store.put(penalty(SHXYM=code, CFLB="罚款", NR_FK="5", JDRQ="2026-04-02"), on=date(2026, 4, 3))
    entry = listing(subject_code=code)
    listed = put(store, entry)
    assert standings(store, listed.record_id) == ["SERIOUS"]
    put(store, entry)
    assert standings(store, listed.record_id) == ["SERIOUS"]
    removed = replace(entry, content={**entry.content, "removed_on": "2026-05-06"})
    put(store, removed)
    assert standings(store, listed.record_id) == ["SERIOUS", "BAD"]


def test_a_withdrawn_listing_leaves_the_standing_of_the_rest(store: Store) -> None:
    entry = listing()
    listed = put(store, entry)
    store.write(
        lambda session: records.withdraw(
            session,
            record_id=listed.record_id,
            reason=WithdrawalReason.REVOKED,
            now=noon(date(2026, 5, 20)),
            house=store.house,
        )
    )
    assert standings(store, listed.record_id) == ["SERIOUS", "NONE"]


def test_a_listing_that_ends_by_time_tells_it_the_day_after(store: Store) -> None:
    listed = put(store, listing(valid_to=date(2026, 5, 31)))

    def archive(on: date) -> None:
        store.write(lambda session: records.archive_due(session, now=noon(on), limit=100, house=store.house))

    archive(date(2026, 5, 31))
    assert standings(store, listed.record_id) == ["SERIOUS"]
    archive(date(2026, 6, 1))
    assert standings(store, listed.record_id) == ["SERIOUS", "NONE"]


def test_other_records_tell_no_standing(store: Store) -> None:
    made = put(store, honour())
    assert standings(store, made.record_id) == []
