"""Who may call what, and on which rows: every RPC, every role, from outside every border."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from services.approval.tests.office import (
    ACTS,
    ADMIN,
    APPROVER,
    AUDITOR,
    CITIZEN,
    CLERK,
    COMPANY,
    COURIER,
    FOOD,
    METHODS,
    OPERATOR,
    PARTNER,
    SUPERVISOR,
    WAYS,
    Office,
    Refused,
    Who,
    application,
    elsewhere,
    item,
    usual,
)
from tulou.approval.v1 import case_pb2
from tulou.options.v1 import access_pb2
from tulou_approval.convert.cases import ROLE_ACTIONS
from tulou_approval.domain.states import Action

EVERYONE = (CITIZEN, COMPANY, CLERK, APPROVER, SUPERVISOR, AUDITOR, ADMIN, PARTNER, OPERATOR, COURIER)
APPLICANTS = {"citizen", "enterprise"}
STAFF = {"clerk", "approver"}
SEEING = APPLICANTS | STAFF | {"supervisor", "auditor"}
ANYONE: set[str] = set()
CASE = {"case_id": "00000000-0000-0000-0000-000000000000"}

# Who may call each RPC, and with what. A new RPC fails the tests until it stands here.
RULES: dict[str, tuple[set[str], dict[str, Any]]] = {
    "CreateCase": (APPLICANTS, {"case": application()}),
    "UpdateCase": (APPLICANTS, {**CASE, "etag": "v1", **ACTS["UpdateCase"]}),
    "GetCase": (SEEING, CASE),
    "ListCases": (SEEING, {}),
    "SubmitCase": (APPLICANTS, {**CASE, "etag": "v1"}),
    "StartPreReview": (STAFF, {**CASE, "etag": "v1"}),
    "RequestCorrection": (STAFF, {**CASE, "etag": "v1", **ACTS["RequestCorrection"]}),
    "ResubmitCase": (APPLICANTS, {**CASE, "etag": "v1"}),
    "AcceptCase": (STAFF, {**CASE, "etag": "v1"}),
    "DeclineCase": (STAFF, {**CASE, "etag": "v1", **ACTS["DeclineCase"]}),
    "StartReview": ({"approver"}, {**CASE, "etag": "v1", **ACTS["StartReview"]}),
    "PauseCase": ({"approver"}, {**CASE, "etag": "v1", **ACTS["PauseCase"]}),
    "ResumeCase": ({"approver"}, {**CASE, "etag": "v1", **ACTS["ResumeCase"]}),
    "ExtendCase": ({"approver"}, {**CASE, "etag": "v1", **ACTS["ExtendCase"]}),
    "GrantCase": ({"approver"}, {**CASE, "etag": "v1", **ACTS["GrantCase"]}),
    "RefuseCase": ({"approver"}, {**CASE, "etag": "v1", **ACTS["RefuseCase"]}),
    "CertifyCase": (STAFF, {**CASE, "etag": "v1"}),
    "DeliverCase": (STAFF, {**CASE, "etag": "v1", **ACTS["DeliverCase"]}),
    "CloseCase": (STAFF, {**CASE, "etag": "v1"}),
    "WithdrawCase": (APPLICANTS, {**CASE, "etag": "v1"}),
    "TerminateCase": ({"approver"}, {**CASE, "etag": "v1", **ACTS["TerminateCase"]}),
    "ListCaseHistory": (SEEING, CASE),
    "ListCaseDocuments": (SEEING, CASE),
    "ExplainClock": (SEEING, CASE),
    "RevealApplicant": (STAFF, {**CASE, "purpose": "核对申请人身份"}),
    "UploadMaterial": (APPLICANTS, CASE),
    "ListMaterials": (SEEING, CASE),
    "FetchMaterial": (SEEING, {**CASE, "file_id": CASE["case_id"]}),
    "TrackCase": (ANYONE, {"number": "35060020261122000017", "identity_tail": "0036"}),
    "ListNotices": (APPLICANTS, {}),
    "ListGrants": (ANYONE, {}),
    "WatchEvents": ({"partner", "operator", "supervisor"}, {}),
    "ListDepartments": (ANYONE, {}),
    "ListDivisions": (ANYONE, {}),
    "ListItems": (ANYONE, {}),
    "GetItem": (ANYONE, {"code": FOOD}),
    "ListItemVersions": ({"admin", "auditor", "supervisor"}, {"code": FOOD}),
    "CreateItem": ({"admin"}, {"item": item("SCJG-XK-9900")}),
    "DraftItem": ({"admin"}, {"code": "SCJG-XK-9901"}),
    "UpdateItem": ({"admin"}, {"code": "SCJG-XK-9901", "etag": "v1", "item": {"name": "改"}, "update_mask": "name"}),
    "PublishItem": ({"admin"}, {"code": "SCJG-XK-9901", "etag": "v1"}),
    "RetireItem": ({"admin"}, {"code": "SCJG-XK-9901", "etag": "v1"}),
}


def call(office: Office, rpc: str, by: Who | str | None) -> Any:
    """Calls the RPC with the table's arguments, whatever its shape."""
    fields = RULES[rpc][1]
    if rpc == "UploadMaterial":
        return office.upload(fields["case_id"], by=by)
    if METHODS[rpc].server_streaming:
        try:
            return next(iter(office.stream(rpc, by=by, timeout=0.3, **fields)), None)
        except Refused as refused:
            # An endless stream that was allowed ends with the patience of who asked.
            if refused.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            return None
    return office.ask(rpc, by=by, **fields)


def refusal(office: Office, rpc: str, by: Who | str | None) -> str:
    try:
        call(office, rpc, by)
    except Refused as refused:
        return refused.reason
    return ""


def roles_of(rpc: str) -> tuple[bool, set[str]]:
    rule = METHODS[rpc].GetOptions().Extensions[access_pb2.access]
    return rule.anonymous, {access_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in rule.roles}


def test_every_rpc_has_its_rule_in_the_table() -> None:
    assert set(RULES) == set(METHODS)
    for rpc, (roles, _) in RULES.items():
        assert roles_of(rpc) == (not roles, roles), rpc


@pytest.mark.parametrize("rpc", RULES)
def test_without_a_token_only_what_is_open_to_everyone_answers(office: Office, rpc: str) -> None:
    reason = refusal(office, rpc, None)
    assert (reason == "TOKEN_MISSING") == bool(RULES[rpc][0])


@pytest.mark.parametrize("rpc", RULES)
def test_a_bad_token_is_refused_everywhere(office: Office, rpc: str) -> None:
    with pytest.raises(Refused) as refused:
        call(office, rpc, office.token(CITIZEN, issuer="https://elsewhere.test"))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


@pytest.mark.parametrize("rpc", [rpc for rpc, (roles, _) in RULES.items() if roles])
def test_a_role_that_is_not_named_is_refused(office: Office, rpc: str) -> None:
    roles = RULES[rpc][0]
    for who in EVERYONE:
        if roles.isdisjoint(who.roles):
            with pytest.raises(Refused) as refused:
                call(office, rpc, who)
            assert refused.value.code is grpc.StatusCode.PERMISSION_DENIED
            assert refused.value.reason == "ROLE_NOT_ALLOWED"
            assert refused.value.metadata["method"].endswith(f"/{rpc}")
        else:
            assert refusal(office, rpc, who) != "ROLE_NOT_ALLOWED"


def test_a_token_without_roles_opens_nothing(office: Office) -> None:
    assert refusal(office, "GetCase", elsewhere(CITIZEN, roles=())) == "ROLE_NOT_ALLOWED"


READS = ("GetCase", "ListCaseHistory", "ListCaseDocuments", "ExplainClock", "ListMaterials")
STRANGERS = {
    "another applicant": elsewhere(CITIZEN, subject="citizen-2"),
    "another department": elsewhere(CLERK, org="SWJ"),
    "no department": elsewhere(CLERK, org=""),
    "another county": elsewhere(CLERK, region="350603"),
    "another city": elsewhere(CLERK, region="3505"),
    "no region": elsewhere(CLERK, region=""),
    "a region that is none": elsewhere(CLERK, region="x%"),
    "a supervisor elsewhere": elsewhere(SUPERVISOR, region="350603"),
    "an auditor of nowhere": elsewhere(AUDITOR, region=""),
}


@pytest.fixture(scope="module")
def case(office: Office) -> case_pb2.Case:
    """A case of 350602 that citizen-1 handed in to the SCJG."""
    return office.submitted()


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_do_not_learn_that_a_case_exists(office: Office, case: case_pb2.Case, stranger: str) -> None:
    who = STRANGERS[stranger]
    for rpc in READS:
        with pytest.raises(Refused) as refused:
            office.ask(rpc, by=who, case_id=case.id)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, "CASE_NOT_FOUND")
    assert not office.ask("ListCases", by=who, number=case.number).cases
    file = office.ask("ListMaterials", by=CITIZEN, case_id=case.id).files[0]
    with pytest.raises(Refused, match="CASE_NOT_FOUND"):
        list(office.stream("FetchMaterial", by=who, case_id=case.id, file_id=file.id))


def test_those_whose_case_it_is_see_it(office: Office, case: case_pb2.Case) -> None:
    own_county = elsewhere(CLERK, region="350602")
    long_form = elsewhere(CLERK, region="350600")
    for who in (CITIZEN, CLERK, APPROVER, SUPERVISOR, AUDITOR, own_county, long_form):
        for rpc in READS:
            office.ask(rpc, by=who, case_id=case.id)
        assert len(office.ask("ListCases", by=who, number=case.number).cases) == 1


ACTIONS = [rpc for rpc in RULES if rpc in ACTS]


@pytest.mark.parametrize("rpc", ACTIONS)
def test_nobody_acts_on_a_case_that_is_not_theirs(office: Office, case: case_pb2.Case, rpc: str) -> None:
    # The role would do, the row does not.
    allowed = usual(rpc)
    assert allowed is not None
    if set(allowed.roles) & STAFF:
        strangers = [elsewhere(allowed, org="SWJ"), elsewhere(allowed, region="350603"), elsewhere(allowed, org="")]
        # The owner, in the office of another department; the supervision, with staff's role elsewhere.
        strangers.append(Who(subject="citizen-1", roles=("citizen", *allowed.roles), org="SWJ"))
        strangers.append(Who(subject="x", roles=("supervisor", "auditor", *allowed.roles), org="SWJ"))
    else:
        strangers = [elsewhere(allowed, subject="citizen-2")]
        # The department's own staff, who are citizens too.
        strangers.append(Who(subject="x", roles=("clerk", "approver", "supervisor", "citizen"), org="SCJG"))
    before = office.row(case.id)
    for who in strangers:
        with pytest.raises(Refused, match="CASE_NOT_FOUND"):
            office.act(rpc, case, who)
    assert office.row(case.id).model_dump() == before.model_dump()


def test_nobody_looks_at_an_applicant_or_uploads_for_another(office: Office, case: case_pb2.Case) -> None:
    for who in (
        elsewhere(CLERK, org="SWJ"),
        elsewhere(CLERK, region="350603"),
        Who(subject="citizen-1", roles=("citizen", "clerk"), org="SWJ"),
        Who(subject="x", roles=("supervisor", "clerk"), org="SWJ"),
    ):
        with pytest.raises(Refused, match="CASE_NOT_FOUND"):
            office.ask("RevealApplicant", by=who, case_id=case.id, purpose="核对申请人身份")
    draft = office.draft()
    for who in (elsewhere(CITIZEN, subject="citizen-2"), Who(subject="x", roles=("citizen", "clerk"), org="SCJG")):
        with pytest.raises(Refused, match="CASE_NOT_FOUND"):
            office.upload(draft.id, by=who)


def test_a_draft_is_its_owners_alone(office: Office) -> None:
    draft = office.draft()
    office.case(draft.id, CITIZEN)
    for who in (CLERK, APPROVER, SUPERVISOR, AUDITOR):
        with pytest.raises(Refused, match="CASE_NOT_FOUND"):
            office.case(draft.id, who)


ITEM_WRITES: dict[str, Callable[[str], dict[str, Any]]] = {
    "CreateItem": lambda _: {"item": item("SCJG-XK-9902")},
    "DraftItem": lambda code: {"code": code},
    "UpdateItem": lambda code: {"code": code, "etag": "v1", "item": {"name": "改"}, "update_mask": "name"},
    "PublishItem": lambda code: {"code": code, "etag": "v1"},
    "RetireItem": lambda code: {"code": code, "etag": "v1"},
}


@pytest.mark.parametrize("rpc", ITEM_WRITES)
def test_the_catalogue_is_kept_by_the_admins_of_its_region(office: Office, rpc: str) -> None:
    for region in ("350602", "3505", "", "x"):
        with pytest.raises(Refused) as refused:
            office.ask(rpc, by=elsewhere(ADMIN, region=region), **ITEM_WRITES[rpc](FOOD))
        assert refused.value.reason == ("NOT_COMPETENT" if rpc == "CreateItem" else "ITEM_NOT_FOUND")


def action_of(rpc: str) -> Action:
    """SUBMIT for SubmitCase, PRE_REVIEW for StartPreReview."""
    name = {"StartPreReview": "PRE_REVIEW", "StartReview": "START_REVIEW", "RequestCorrection": "REQUEST_CORRECTION"}
    return Action(name.get(rpc, rpc.removesuffix("Case").upper()))


def test_what_a_role_may_do_is_what_the_protos_say() -> None:
    stated = {role: {action_of(rpc) for rpc in ACTS if role in roles_of(rpc)[1]} for role in APPLICANTS | STAFF}
    assert {role: set(actions) for role, actions in ROLE_ACTIONS.items()} == stated
    assert set().union(*stated.values()) == set(Action) - {Action.DEEM_ACCEPTED}


@pytest.mark.parametrize("state", ["DRAFT", *WAYS])
def test_what_a_case_does_not_say_is_allowed_is_refused(office: Office, state: str) -> None:
    case = office.in_state(state)
    for who in (CITIZEN, CLERK, APPROVER) if state != "DRAFT" else (CITIZEN,):
        told = office.case(case.id, who)
        said = {case_pb2.CaseAction.Name(action).removeprefix("CASE_ACTION_") for action in told.allowed_actions}
        for rpc in ACTS:
            if set(who.roles) & roles_of(rpc)[1] and action_of(rpc) not in said:
                with pytest.raises(Refused, match=r"ACTION_NOT_ALLOWED|CORRECTION_ALREADY_USED"):
                    office.act(rpc, told, who)


def test_what_a_case_says_is_allowed_depends_on_whose_it_is(office: Office) -> None:
    case = office.submitted()
    clerk_elsewhere = elsewhere(CLERK, org="SWJ", roles=("clerk", "supervisor"))
    for who in (SUPERVISOR, AUDITOR, clerk_elsewhere):
        assert not office.case(case.id, who).allowed_actions
    assert office.case(case.id, elsewhere(CLERK, region="350602")).allowed_actions
