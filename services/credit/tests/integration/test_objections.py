"""Objections: filed with evidence, marked, forwarded, decided, closed; and who may do what."""

import threading
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session, select

from services.credit.tests.callers import citizen, enterprise, staff
from services.credit.tests.store import OF_PERSON, Store, firm, noon, penalty, person
from tulou_chassis import history
from tulou_chassis.etags import etag_of
from tulou_chassis.files import FileTooLarge, FileTypeRefused
from tulou_chassis.principals import Principal
from tulou_chassis.violations import InvalidFields, StaleEtag
from tulou_credit import proceedings_queries
from tulou_credit.domain.objection import ObjectionActionNotAllowed, ObjectionState
from tulou_credit.models import Evidence, Objection
from tulou_credit.operations import evidence, objections
from tulou_credit.operations.evidence import TooManyFiles
from tulou_credit.operations.objections import NotCorrected, ObjectionOpen
from tulou_credit.operations.parties import NotCompetent
from tulou_credit.proceedings_queries import EvidenceNotFound, ObjectionNotFound
from tulou_credit.queries import RecordNotFound

CAME, FILED = date(2024, 1, 4), date(2024, 3, 4)
OFFICE, PROVIDER, OTHER = staff("FGW"), staff("SCJG"), staff("STJ")
AUDITOR = staff("SJJ", "auditor")
Act = Callable[..., Objection]


class Dispute:
    """A firm with a penalty, and what it does about it."""

    def __init__(self, store: Store, **changes: str) -> None:
        self.store = store
        self.code = firm()
        self.changes = {"SHXYM": self.code} | changes
        self.record_id = store.put(penalty(**self.changes), on=CAME).record_id
        self.subject_id = store.record(self.record_id).subject_id
        self.firm = enterprise(self.code)
        self.objection: Objection | None = None

    def file(self, principal: Principal | None = None, **changed: Any) -> Objection:
        told = {"reason": "该处罚不是我公司的", "evidence_ids": [], "now": noon(FILED), "house": self.store.house}
        self.objection = self.store.write(
            lambda session: objections.file(
                session, principal=principal or self.firm, record_id=self.record_id, **(told | changed)
            )
        )
        return self.objection

    def act(self, act: Act, principal: Principal, on: date = FILED, **changed: Any) -> Objection:
        assert self.objection
        etag = changed.pop("etag", etag_of(self.objection.version))
        objection_id = self.objection.id
        self.objection = self.store.write(
            lambda session: act(
                session,
                principal=principal,
                objection_id=objection_id,
                etag=etag,
                now=noon(on),
                house=self.store.house,
                **changed,
            )
        )
        return self.objection

    def decide(self, principal: Principal, *, uphold: bool, withdraw_record: bool = False) -> Objection:
        told = {"uphold": uphold, "opinion": "经核查", "withdraw_record": withdraw_record}
        return self.act(objections.decide, principal, **told)

    def correct(self, on: date) -> None:
        self.store.put(penalty(**self.changes, BZ="更正"), on=on)

    def told(self) -> list[tuple[str, str]]:
        """What was told of the objection, with the state after it."""
        assert self.objection
        mine = [one for one in self.store.happened if getattr(one, "objection_id", "") == self.objection.id]
        return [(type(one).__name__, one.state.value) for one in mine]

    @property
    def disputed(self) -> bool:
        return self.store.record(self.record_id).disputed


def test_the_record_bears_the_mark_from_the_filing_on_and_stays_public(store: Store) -> None:
    dispute = Dispute(store)
    objection = dispute.file()
    assert (objection.state, objection.filed_on, objection.source) == ("MARKED", FILED, "SCJG")
    assert dispute.disputed
    assert store.public(dispute.subject_id, FILED) == [dispute.record_id]
    assert dispute.told() == [("ObjectionFiled", "MARKED")]
    heads = {objection.id: history.Head(objection.history_sequence, objection.history_hash)}
    assert store.read(lambda session: list(history.verify(session, store.house.keyring, heads))) == []
    assert objection.history_sequence == 2


def test_the_platform_s_own_error_is_upheld_by_the_office_and_closed_after_the_correction(store: Store) -> None:
    dispute = Dispute(store)
    dispute.file()
    upheld = dispute.decide(OFFICE, uphold=True)
    assert (upheld.state, upheld.platform_error, upheld.decided_on) == ("UPHELD", True, FILED)
    assert dispute.disputed
    with pytest.raises(NotCorrected):
        dispute.act(objections.close, OFFICE)
    dispute.correct(date(2024, 3, 6))
    closed = dispute.act(objections.close, OFFICE, on=date(2024, 3, 7))
    assert closed.state == "CLOSED"
    assert not dispute.disputed
    expected = [("ObjectionFiled", "MARKED"), ("ObjectionDecided", "UPHELD"), ("ObjectionClosed", "CLOSED")]
    assert dispute.told() == expected


def test_what_the_provider_corrected_before_it_decided_needs_no_second_correction(store: Store) -> None:
    dispute = Dispute(store)
    dispute.file()
    dispute.act(objections.forward, OFFICE)
    dispute.correct(date(2024, 3, 6))
    upheld = dispute.decide(PROVIDER, uphold=True)
    assert (upheld.state, upheld.platform_error) == ("UPHELD", False)
    assert dispute.act(objections.close, OFFICE).state == "CLOSED"


def test_an_upheld_objection_may_take_the_record_out_of_sight_at_once(store: Store) -> None:
    dispute = Dispute(store)
    dispute.file()
    dispute.act(objections.forward, OFFICE)
    dispute.decide(PROVIDER, uphold=True, withdraw_record=True)
    assert store.public(dispute.subject_id, FILED) == []
    assert "RecordWithdrawn" in store.told(dispute.record_id)
    assert dispute.act(objections.close, OFFICE).state == "CLOSED"


def test_a_dismissed_objection_takes_the_mark_away_and_leaves_the_record(store: Store) -> None:
    dispute = Dispute(store)
    dispute.file()
    dispute.act(objections.forward, OFFICE)
    dismissed = dispute.decide(PROVIDER, uphold=False)
    assert (dismissed.state, dismissed.opinion, dispute.disputed) == ("DISMISSED", "经核查", False)
    assert store.public(dispute.subject_id, FILED) == [dispute.record_id]
    with pytest.raises(ObjectionOpen):
        dispute.file()
    dispute.act(objections.close, OFFICE)
    assert dispute.file().state == "MARKED"


def test_only_an_upheld_objection_withdraws_the_record(store: Store) -> None:
    dispute = Dispute(store)
    dispute.file()
    with pytest.raises(InvalidFields):
        dispute.decide(OFFICE, uphold=False, withdraw_record=True)


def test_the_subject_takes_its_objection_back_and_may_file_anew(store: Store) -> None:
    dispute = Dispute(store)
    dispute.file()
    assert dispute.act(objections.withdraw, dispute.firm).state == "WITHDRAWN"
    assert not dispute.disputed
    assert dispute.told()[-1] == ("ObjectionClosed", "WITHDRAWN")
    assert dispute.file().state == "MARKED"
    assert dispute.disputed


def test_of_a_record_one_objection_is_open(store: Store) -> None:
    dispute = Dispute(store)
    first = dispute.file()
    with pytest.raises(ObjectionOpen) as refusal:
        dispute.file()
    assert refusal.value.objection_id == first.id


def test_of_two_that_file_at_once_one_does(store: Store) -> None:
    dispute = Dispute(store)
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def run() -> None:
        barrier.wait(timeout=20)
        for _ in range(3):
            try:
                dispute.file()
            except ObjectionOpen:
                outcomes.append("open")
            except (IntegrityError, StaleDataError, OperationalError):
                continue
            else:
                outcomes.append("filed")
            return

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["filed", "open"]


def test_only_the_subject_objects_and_to_others_the_record_does_not_exist(store: Store) -> None:
    dispute = Dispute(store)
    for caller in (enterprise(firm()), citizen(person()), citizen(""), PROVIDER, OFFICE, staff("FGW", "admin")):
        with pytest.raises(RecordNotFound):
            dispute.file(caller)
    assert not dispute.disputed


def test_a_citizen_objects_to_a_record_about_itself_and_numbers_in_the_reason_are_masked(store: Store) -> None:
    number = person()
    dispute = Dispute(store, **OF_PERSON | {"ZJHM": number})
    objection = dispute.file(citizen(number), reason=f"我的身份证号是{number}，不是本人")
    assert number not in objection.reason
    assert "不是本人" in objection.reason


def test_who_may_see_an_objection(store: Store) -> None:
    dispute = Dispute(store)
    objection = dispute.file()

    def seen(principal: Principal) -> bool:
        def ids(session: Session) -> list[str]:
            rows = proceedings_queries.list_objections(
                session,
                principal=principal,
                state=None,
                record_id=dispute.record_id,
                after=None,
                limit=10,
                house=store.house,
            )
            return [row.id for row in rows]

        listed = store.read(ids) == [objection.id]
        try:
            store.read(
                lambda session: proceedings_queries.get_objection(
                    session, principal=principal, objection_id=objection.id, house=store.house
                )
            )
        except ObjectionNotFound:
            assert not listed
        else:
            assert listed
        return listed

    strangers = [OTHER, enterprise(firm()), citizen(person()), citizen(""), staff("SCJG", "admin"), staff("", "clerk")]
    assert [seen(caller) for caller in (dispute.firm, OFFICE, AUDITOR, PROVIDER)] == [True, True, True, False]
    assert [seen(caller) for caller in strangers] == [False] * len(strangers)
    dispute.act(objections.forward, OFFICE)
    assert seen(PROVIDER)
    assert [seen(caller) for caller in strangers] == [False] * len(strangers)


def test_a_list_is_filtered_by_state_and_paged(store: Store) -> None:
    dispute = Dispute(store)
    first = dispute.file()
    dispute.act(objections.withdraw, dispute.firm)
    second = dispute.file(now=noon(FILED + timedelta(days=1)))

    def listed(**how: Any) -> list[str]:
        told = {"state": None, "record_id": dispute.record_id, "after": None, "limit": 10, "house": store.house} | how
        rows = store.read(lambda session: proceedings_queries.list_objections(session, principal=dispute.firm, **told))
        return [row.id for row in rows]

    assert listed() == [second.id, first.id]
    assert listed(state=ObjectionState.MARKED) == [second.id]
    assert listed(after=(second.created_at, second.id)) == listed(state=ObjectionState.WITHDRAWN) == [first.id]


def test_each_act_is_of_those_whose_act_it_is(store: Store) -> None:
    dispute = Dispute(store)
    dispute.file()
    for act, caller, refusal in (
        (objections.forward, dispute.firm, NotCompetent),
        (objections.forward, PROVIDER, ObjectionNotFound),
        (objections.forward, AUDITOR, NotCompetent),
        (objections.withdraw, OFFICE, NotCompetent),
        (objections.withdraw, enterprise(firm()), ObjectionNotFound),
        (objections.close, dispute.firm, NotCompetent),
        (objections.close, OFFICE, ObjectionActionNotAllowed),
    ):
        with pytest.raises(refusal):
            dispute.act(act, caller)
    with pytest.raises(NotCompetent):
        dispute.decide(dispute.firm, uphold=True)
    with pytest.raises(ObjectionNotFound):
        dispute.decide(PROVIDER, uphold=True)
    dispute.act(objections.forward, OFFICE)
    for caller, unfit in ((OFFICE, NotCompetent), (OTHER, ObjectionNotFound), (AUDITOR, NotCompetent)):
        with pytest.raises(unfit):
            dispute.decide(caller, uphold=True)
    with pytest.raises(ObjectionActionNotAllowed):
        dispute.act(objections.forward, OFFICE)
    dispute.decide(PROVIDER, uphold=False)
    with pytest.raises(NotCompetent):
        dispute.act(objections.close, PROVIDER)
    with pytest.raises(ObjectionActionNotAllowed):
        dispute.act(objections.withdraw, dispute.firm)


def test_who_read_an_older_version_is_refused(store: Store) -> None:
    dispute = Dispute(store)
    filed = dispute.file()
    dispute.act(objections.forward, OFFICE)
    with pytest.raises(StaleEtag):
        dispute.act(objections.withdraw, dispute.firm, etag=etag_of(filed.version))


def test_deadlines_are_those_of_the_way_it_goes(store: Store) -> None:
    dispute = Dispute(store)
    filed = dispute.file()

    def due(objection: Objection) -> dict[str, date]:
        return {each.step.value: each.due.date for each in objections.deadlines(objection, house=store.house)}

    # 2024-03-04 is a Monday.
    assert due(filed) == {"MARK": date(2024, 3, 5), "FORWARD": date(2024, 3, 6)}
    forwarded = dispute.act(objections.forward, OFFICE, on=date(2024, 3, 5))
    assert due(forwarded)["PROVIDER_DECISION"] == date(2024, 3, 12)


def add_file(store: Store, principal: Principal, on: date = FILED, **changed: Any) -> Evidence:
    told = {"filename": "证明.pdf", "media_type": "application/pdf", "size": 1000, "sha256": "cd" * 32} | changed
    return store.write(lambda session: evidence.add(session, principal=principal, now=noon(on), **told))


def test_evidence_belongs_to_one_objection_and_is_seen_by_who_decides(store: Store) -> None:
    dispute, other = Dispute(store), Dispute(store)
    file = add_file(store, dispute.firm)
    objection = dispute.file(evidence_ids=[file.id])
    given = store.read(lambda session: proceedings_queries.evidence_of(session, proceeding_ids=[objection.id, "none"]))
    assert given == {objection.id: [file.id], "none": []}
    dispute.act(objections.withdraw, dispute.firm)
    with pytest.raises(EvidenceNotFound):
        dispute.file(evidence_ids=[file.id])

    def seen(principal: Principal) -> bool:
        try:
            store.read(
                lambda session: proceedings_queries.get_evidence(
                    session, principal=principal, evidence_id=file.id, house=store.house
                )
            )
        except EvidenceNotFound:
            return False
        return True

    assert [seen(caller) for caller in (dispute.firm, enterprise(dispute.code), OFFICE)] == [True, True, True]
    assert [seen(caller) for caller in (other.firm, PROVIDER, OTHER, citizen(""))] == [False] * 4


def test_nobody_uses_or_sees_the_evidence_of_another(store: Store) -> None:
    dispute = Dispute(store)
    file = add_file(store, enterprise(firm()))
    for wrong in (file.id, "none"):
        with pytest.raises(EvidenceNotFound):
            dispute.file(evidence_ids=[wrong])
    assert not dispute.disputed
    with pytest.raises(EvidenceNotFound):
        store.read(
            lambda session: proceedings_queries.get_evidence(
                session, principal=OFFICE, evidence_id=file.id, house=store.house
            )
        )


def test_files_that_are_too_large_of_another_kind_or_too_many_are_refused(store: Store) -> None:
    owner = enterprise(firm())
    with pytest.raises(FileTooLarge):
        add_file(store, owner, size=10 * 1024 * 1024 + 1)
    with pytest.raises(FileTypeRefused):
        add_file(store, owner, media_type="text/html")
    with pytest.raises(InvalidFields):
        add_file(store, owner, filename="../证明.pdf")
    number = person()
    assert number not in add_file(store, owner, filename=f"{number}.pdf", size=10 * 1024 * 1024).filename
    for _ in range(9):
        add_file(store, owner)
    with pytest.raises(TooManyFiles):
        add_file(store, owner)
    assert add_file(store, owner, on=FILED + timedelta(days=1)).owner == owner.subject


def test_evidence_that_nothing_used_for_a_day_is_forgotten(store: Store) -> None:
    dispute = Dispute(store)
    used, unused = (add_file(store, dispute.firm, on=date(2020, 1, 1)) for _ in range(2))
    dispute.file(evidence_ids=[used.id])
    later = add_file(store, dispute.firm, on=date(2020, 1, 2))

    def purge(on: date) -> int:
        return store.write(lambda session: evidence.purge(session, now=noon(on), limit=100))

    assert purge(date(2020, 1, 1)) == 0
    assert purge(date(2020, 1, 2)) == 1
    ids = [used.id, unused.id, later.id]
    left = store.read(lambda session: [row for row in session.exec(select(Evidence.id)) if row in ids])
    assert sorted(left) == sorted([used.id, later.id])
