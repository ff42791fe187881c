"""Repair: asked for by the subject, decided by who determined the breach, and what it does to the record."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlmodel import Session

from services.credit.tests.callers import citizen, enterprise, staff
from services.credit.tests.store import OF_PERSON, Store, firm, licence, noon, penalty, person
from tulou_chassis import history
from tulou_chassis.etags import etag_of
from tulou_chassis.principals import Principal
from tulou_chassis.violations import StaleEtag
from tulou_credit import proceedings_queries, queries
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.records import WithdrawalReason
from tulou_credit.domain.repair import RepairActionNotAllowed, RepairCondition, RepairState
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.models import Repair
from tulou_credit.operations import entries, evidence, records, repairs
from tulou_credit.operations.parties import NotCompetent
from tulou_credit.operations.publicity import rules_of
from tulou_credit.operations.repairs import ConditionsNotMet, RepairOpen
from tulou_credit.proceedings_queries import EvidenceNotFound, RepairNotFound
from tulou_credit.queries import RecordNotFound

OFFICE, PROVIDER, OTHER = staff("FGW"), staff("SCJG"), staff("STJ")
AUDITOR = staff("SJJ", "auditor")
# A large fine under the rules from 2026-04-01: three months at least, and shown until it is corrected.
FINED = {"JDRQ": "2026-04-01", "CFLB": "没收违法所得", "YJ": "《产品质量法》第四十九条"}
CAME, MINIMUM_END, ASKED = date(2026, 4, 3), date(2026, 7, 1), date(2026, 7, 2)
Act = Callable[..., Repair]


class Request:
    """A firm with a penalty, and its request for repair."""

    def __init__(self, store: Store, **changes: str) -> None:
        self.store = store
        self.code = firm()
        self.firm = enterprise(self.code)
        self.changes = {"SHXYM": self.code, "WSH": "漳市监罚〔2026〕8号"} | FINED | changes
        self.record_id = store.put(penalty(**self.changes), on=CAME).record_id
        self.subject_id = store.record(self.record_id).subject_id
        self.repair: Repair | None = None

    def file(self, principal: Principal | None = None) -> str:
        told = {"filename": "证明.pdf", "media_type": "application/pdf", "size": 9, "sha256": "ef" * 32}
        owner = principal or self.firm
        return self.store.write(
            lambda session: evidence.add(session, principal=owner, now=noon(ASKED), **told).id  # type: ignore[arg-type]
        )

    def submit(self, principal: Principal | None = None, on: date = ASKED, **changed: Any) -> Repair:
        told = {"record_id": self.record_id, "corrected_on": date(2026, 5, 6), "promise": True} | changed
        told.setdefault("evidence_ids", [self.file(principal)])
        self.repair = self.store.write(
            lambda session: repairs.submit(
                session, principal=principal or self.firm, now=noon(on), house=self.store.house, **told
            )
        )
        return self.repair

    def act(self, act: Act, principal: Principal = PROVIDER, on: date = ASKED, **changed: Any) -> Repair:
        assert self.repair
        repair_id, etag = self.repair.id, changed.pop("etag", etag_of(self.repair.version))
        if act not in (repairs.accept, repairs.withdraw):
            changed.setdefault("opinion", "经核查")
        self.repair = self.store.write(
            lambda session: act(
                session,
                principal=principal,
                repair_id=repair_id,
                etag=etag,
                now=noon(on),
                house=self.store.house,
                **changed,
            )
        )
        return self.repair

    def granted(self, on: date = ASKED) -> Repair:
        self.submit(on=on)
        self.act(repairs.accept, on=on)
        return self.act(repairs.grant, on=on)

    def unmet(self, **how: Any) -> set[RepairCondition]:
        with pytest.raises(ConditionsNotMet) as refusal:
            self.submit(**how)
        return {each.condition for each in refusal.value.unmet}

    def told(self) -> list[tuple[str, str]]:
        assert self.repair
        mine = [one for one in self.store.happened if getattr(one, "repair_id", "") == self.repair.id]
        return [(type(one).__name__, one.state.value) for one in mine]


def test_a_granted_repair_ends_the_publicity_and_is_told(store: Store) -> None:
    request = Request(store)
    granted = request.granted()
    assert (granted.state, granted.accepted_on, granted.decided_on) == ("GRANTED", ASKED, ASKED)
    assert store.public(request.subject_id, MINIMUM_END) == [request.record_id]
    assert store.public(request.subject_id, ASKED) == []
    assert store.told(request.record_id)[-3:] == ["RepairAccepted", "RecordRepaired", "RepairDecided"]
    assert request.told() == [
        ("RepairSubmitted", "SUBMITTED"),
        ("RepairAccepted", "ACCEPTED"),
        ("RepairDecided", "GRANTED"),
    ]
    heads = {granted.id: history.Head(granted.history_sequence, granted.history_hash)}
    assert store.read(lambda session: list(history.verify(session, store.house.keyring, heads))) == []
    assert granted.history_sequence == 3


def test_it_is_taken_on_the_first_day_after_the_minimum_and_not_before(store: Store) -> None:
    request = Request(store)
    with pytest.raises(ConditionsNotMet) as refusal:
        request.submit(on=MINIMUM_END)
    (only,) = refusal.value.unmet
    assert (only.condition, only.possible_from) == (RepairCondition.MINIMUM_REACHED, ASKED)
    assert request.submit(on=ASKED).state == "SUBMITTED"


def test_everything_that_is_lacking_is_told_at_once(store: Store) -> None:
    request = Request(store)
    lacking = request.unmet(corrected_on=date(2026, 7, 3), promise=False, evidence_ids=[])
    assert lacking == {RepairCondition.DUTIES_FULFILLED, RepairCondition.PROMISE, RepairCondition.PROOF}


def test_what_is_shown_for_want_of_correction_can_be_repaired_after_the_maximum(store: Store) -> None:
    # A year would be over on 2027-04-01; uncorrected it is public further on.
    request = Request(store)
    late = date(2027, 6, 1)
    assert store.public(request.subject_id, late) == [request.record_id]
    assert request.submit(on=late, corrected_on=date(2027, 5, 6)).state == "SUBMITTED"


def test_what_is_public_no_more_or_never_was_needs_no_repair(store: Store) -> None:
    withdrawn, unpublished = Request(store), Request(store, CFLB="警告")
    store.write(
        lambda session: records.withdraw(
            session,
            record_id=withdrawn.record_id,
            reason=WithdrawalReason.REVOKED,
            now=noon(date(2026, 6, 1)),
            house=store.house,
        )
    )
    assert withdrawn.unmet() == {RepairCondition.PUBLISHED}
    assert unpublished.unmet() == {RepairCondition.PUBLISHED}
    repaired = Request(store)
    repaired.granted()
    assert repaired.unmet() == {RepairCondition.PUBLISHED}


def test_what_the_rules_shut_out_is_not_repaired(store: Store) -> None:
    request = Request(store, JDRQ="2022-05-06", CFLB="责令停产停业", YJ="《食品安全法》第一百二十二条")
    assert request.unmet(on=date(2024, 5, 6)) >= {RepairCondition.REPAIRABLE}


def test_what_tells_of_no_breach_is_not_repaired(store: Store) -> None:
    request = Request(store)
    request.record_id = store.put(licence(SHXYM=request.code), on=CAME).record_id
    assert request.unmet() == {RepairCondition.OF_A_BREACH}
    before_the_rules = Request(store, JDRQ="2019-06-30")
    assert before_the_rules.unmet() == {RepairCondition.OF_A_BREACH}


def test_rules_are_recomputed_as_they_were_when_the_penalty_came(store: Store) -> None:
    for changes in ({}, {"CFLB": "吊销许可证件"}, {"JDRQ": "2023-05-01"}, {"CFLB": "警告", "GSJZQ": "2026-06-01"}):
        version = store.known(Request(store, **changes).record_id)
        rules = rules_of(version, house=store.house)
        assert rules is not None
        assert (rules.severity.value, rules.rule_set, rules.minimum_end, rules.published) == (
            version.severity,
            version.rule_set,
            version.minimum_end,
            version.public_from is not None,
        )


def listed(store: Store, code: str, type_code: str) -> str:
    entry = Entry(
        type_code=type_code,
        subject_kind=SubjectKind.ORGANISATION,
        subject_code=code,
        subject_name="漳州某某土楼茶叶有限公司",
        source_key="名单-1",
        valid_from=date(2026, 4, 1),
        content={"reason": "未按规定公示年度报告", "listed_on": "2026-04-01"}
        | ({"legal_basis": "《企业信息公示暂行条例》第十七条"} if type_code == "SERIOUS_LIST" else {}),
    )
    return store.write(
        lambda session: (
            entries.put(
                session, entry=entry, source="SCJG", origin="test:1", now=noon(CAME), house=store.house
            ).record_id
        )
    )


@pytest.mark.parametrize(
    ("type_code", "first_day"),
    [("ABNORMAL_LIST", date(2026, 5, 6)), ("SERIOUS_LIST", date(2027, 4, 2))],
)
def test_entries_of_lists_are_repaired_by_their_class(store: Store, type_code: str, first_day: date) -> None:
    request = Request(store)
    request.record_id = listed(store, request.code, type_code)
    if type_code == "SERIOUS_LIST":
        assert request.unmet(on=date(2027, 4, 1)) == {RepairCondition.MINIMUM_REACHED}
    request.granted(on=first_day)
    assert request.record_id not in store.public(request.subject_id, first_day)
    moved = [one.standing for one in store.happened if type(one).__name__ == "StandingChanged"]
    if type_code == "SERIOUS_LIST":
        assert moved[-2:] == ["SERIOUS", "BAD"]


def test_false_material_brings_the_record_back_and_bars_new_requests_for_years(store: Store) -> None:
    request = Request(store)
    request.granted()
    found = date(2026, 9, 1)
    revoked = request.act(repairs.revoke, OFFICE, on=found, opinion="证明系伪造")
    assert (revoked.state, revoked.false_material_on) == ("REVOKED", found)
    assert store.public(request.subject_id, date(2026, 8, 31)) == []
    assert store.public(request.subject_id, found) == [request.record_id]
    assert store.told(request.record_id)[-2:] == ["RecordRestored", "RepairDecided"]
    assert request.unmet(on=date(2026, 9, 2)) == {RepairCondition.NO_FALSE_MATERIAL_BEFORE}
    another = store.put(penalty(**request.changes | {"WSH": "漳市监罚〔2026〕9号"}), on=CAME).record_id
    assert request.unmet(on=date(2026, 9, 2), record_id=another) == {RepairCondition.NO_FALSE_MATERIAL_BEFORE}
    assert Request(store).submit(on=date(2026, 9, 2)).state == "SUBMITTED"


def test_what_changed_since_the_request_is_looked_at_when_it_is_granted(store: Store) -> None:
    request = Request(store)
    request.submit()
    accepted = request.act(repairs.accept)
    # The correction says that a licence was revoked: a year at least.
    store.put(penalty(**request.changes | {"CFLB": "吊销许可证件"}), on=ASKED)
    with pytest.raises(ConditionsNotMet) as refusal:
        request.act(repairs.grant)
    assert [each.condition for each in refusal.value.unmet] == [RepairCondition.MINIMUM_REACHED]
    left = store.read(
        lambda session: proceedings_queries.get_repair(
            session, principal=OFFICE, repair_id=accepted.id, house=store.house
        )
    )
    assert (left.state, left.version) == ("ACCEPTED", accepted.version)
    assert request.act(repairs.refuse).state == "REFUSED"


def test_a_request_is_declined_extended_refused_or_taken_back(store: Store) -> None:
    declined = Request(store)
    declined.submit()
    assert declined.act(repairs.decline).state == "NOT_ACCEPTED"
    refused = Request(store)
    refused.submit()
    refused.act(repairs.accept)
    extended = refused.act(repairs.extend)
    assert (extended.state, extended.extended) == ("EXTENDED", True)
    with pytest.raises(RepairActionNotAllowed):
        refused.act(repairs.extend)
    assert refused.act(repairs.refuse).state == "REFUSED"
    taken_back = Request(store)
    taken_back.submit()
    assert taken_back.act(repairs.withdraw, taken_back.firm).state == "WITHDRAWN"
    for request, state in ((declined, "NOT_ACCEPTED"), (refused, "REFUSED"), (taken_back, "WITHDRAWN")):
        assert request.told()[-1] == ("RepairDecided", state)
        assert store.public(request.subject_id, ASKED) == [request.record_id]
        assert request.submit().state == "SUBMITTED"


def test_rules_that_know_of_no_extension_allow_none(store: Store) -> None:
    request = Request(store, JDRQ="2025-01-06")
    before = date(2026, 3, 31)
    request.submit(on=before, corrected_on=date(2025, 5, 6))
    request.act(repairs.accept, on=before)
    with pytest.raises(RepairActionNotAllowed):
        request.act(repairs.extend, on=before)


def test_of_a_record_one_request_is_open(store: Store) -> None:
    request = Request(store)
    first = request.submit()
    with pytest.raises(RepairOpen) as refusal:
        request.submit()
    assert refusal.value.repair_id == first.id


def test_only_the_subject_asks_and_to_others_the_record_does_not_exist(store: Store) -> None:
    request = Request(store)
    for caller in (enterprise(firm()), citizen(person()), citizen(""), PROVIDER, OFFICE, staff("FGW", "admin")):
        with pytest.raises(RecordNotFound):
            request.submit(caller)
        with pytest.raises(RecordNotFound):
            told(request, caller)


def told(request: Request, principal: Principal, on: date = ASKED) -> set[RepairCondition]:
    store = request.store
    unmet = store.read(
        lambda session: repairs.conditions(
            session, principal=principal, record_id=request.record_id, now=noon(on), house=store.house
        )
    )
    return {each.condition for each in unmet}


def test_the_subject_is_told_beforehand_what_is_lacking(store: Store) -> None:
    request = Request(store)
    assert told(request, request.firm, MINIMUM_END) == {RepairCondition.MINIMUM_REACHED}
    assert told(request, request.firm) == set()


def test_a_citizen_s_penalty_is_repaired_and_stays_sealed(store: Store) -> None:
    number = person()
    request = Request(store, **OF_PERSON | {"ZJHM": number})
    request.firm = citizen(number)
    request.granted()
    assert store.public(request.subject_id, ASKED) == []
    assert number not in str(store.known(request.record_id).content)


def test_the_evidence_must_be_the_caller_s(store: Store) -> None:
    request = Request(store)
    with pytest.raises(EvidenceNotFound):
        request.submit(evidence_ids=[request.file(enterprise(firm()))])
    assert request.submit().state == "SUBMITTED"


def test_each_act_is_of_those_whose_act_it_is(store: Store) -> None:
    request = Request(store)
    request.submit()
    for act, caller, refusal in (
        (repairs.accept, request.firm, NotCompetent),
        (repairs.accept, AUDITOR, NotCompetent),
        (repairs.accept, OTHER, RepairNotFound),
        (repairs.accept, staff("SCJG", "admin"), RepairNotFound),
        (repairs.accept, enterprise(firm()), RepairNotFound),
        (repairs.withdraw, PROVIDER, NotCompetent),
        (repairs.withdraw, citizen(person()), RepairNotFound),
        (repairs.grant, PROVIDER, RepairActionNotAllowed),
        (repairs.revoke, PROVIDER, RepairActionNotAllowed),
    ):
        with pytest.raises(refusal):
            request.act(act, caller)
    request.act(repairs.accept, OFFICE)
    assert request.act(repairs.grant, staff("SCJG", "approver")).state == "GRANTED"
    with pytest.raises(RepairActionNotAllowed):
        request.act(repairs.withdraw, request.firm)


def test_who_read_an_older_version_is_refused(store: Store) -> None:
    request = Request(store)
    submitted = request.submit()
    request.act(repairs.accept)
    for act, caller in ((repairs.refuse, PROVIDER), (repairs.withdraw, request.firm)):
        with pytest.raises(StaleEtag):
            request.act(act, caller, etag=etag_of(submitted.version))


def test_a_request_is_seen_by_its_subject_the_department_the_office_and_auditors(store: Store) -> None:
    request = Request(store)
    repair = request.submit()

    def seen(principal: Principal, state: RepairState | None = None) -> bool:
        def ids(session: Session) -> list[str]:
            rows = proceedings_queries.list_repairs(
                session,
                principal=principal,
                state=state,
                record_id=request.record_id,
                after=None,
                limit=10,
                house=store.house,
            )
            return [row.id for row in rows]

        return store.read(ids) == [repair.id]

    for caller in (request.firm, PROVIDER, OFFICE, AUDITOR):
        assert seen(caller)
        assert seen(caller, RepairState.SUBMITTED)
        assert not seen(caller, RepairState.GRANTED)
    for caller in (OTHER, enterprise(firm()), citizen(""), staff("SCJG", "admin"), staff("", "clerk")):
        assert not seen(caller)


def test_deadlines_are_known_as_the_steps_are_taken(store: Store) -> None:
    request = Request(store)

    def due(repair: Repair) -> dict[str, date]:
        return {each.step.value: each.due.date for each in repairs.deadlines(repair, house=store.house)}

    assert due(request.submit()) == {"ACCEPTANCE": date(2026, 7, 7)}
    accepted = due(request.act(repairs.accept))
    assert accepted["DECISION"] == date(2026, 7, 16)
    assert due(request.act(repairs.extend))["DECISION"] == date(2026, 7, 30)
    assert due(request.act(repairs.grant))["PASS_ON"] == date(2026, 7, 7)


def test_a_correction_that_comes_after_the_repair_leaves_it_lifted(store: Store) -> None:
    request = Request(store)
    request.granted()
    store.put(penalty(**request.changes, BZ="更正"), on=date(2026, 8, 3))
    assert store.public(request.subject_id, date(2026, 8, 4)) == []
    assert store.read(lambda session: queries.get_record(session, record_id=request.record_id)).newest == 3
