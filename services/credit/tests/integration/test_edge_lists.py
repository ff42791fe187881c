"""Every list comes page by page: no row twice, none left out, and no token of another list."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from services.credit.tests.edge import (
    AUDITOR,
    CLERK,
    OFFICE,
    PARTNER,
    Edge,
    Refused,
    Who,
    authorisation,
    elsewhere,
    entry,
    penalties,
)
from services.credit.tests.store import firm

ROWS: Final = 5
STATEMENT: Final = "事实有误，我没有做过"
# Who asks, the filters, and other ones.
Asked = tuple[Who | None, dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def lists(each_edge: Edge) -> dict[str, Asked]:
    """ROWS rows of each list, and who asks for them."""
    edge = each_edge
    department = elsewhere(CLERK, subject="clerk-lists", org="STJ")
    company, _ = edge.breach(subject_name="分页茶厂")
    subject_id = edge.own(company)
    for number in range(ROWS):
        alike = {"kind": "SUBJECT_KIND_ORGANISATION", "code": firm(), "name": f"一样的名称{number % 2}"}
        edge.ask("RegisterSubject", by=CLERK, **alike)
        honour = entry(company.identity, "HONOUR", source_key=f"H{number}", subject_name="分页茶厂")
        edge.ask("PutRecord", by=department, **honour)
        granted = authorisation(purpose=f"贷款{number}", type_codes=["HONOUR"])
        edge.ask("GrantAuthorisation", by=company, authorisation=granted)
        asked = {"subject_id": subject_id, "purpose": f"贷款{number}"}
        edge.ask("QueryRecords", by=PARTNER, type_codes=["HONOUR"], **asked)
        edge.ask("CreateReport", by=company, purpose="自查")
        edge.upload("UploadImport", b"x", "text/csv", by=department, filename="一.csv")
        other, record_id = edge.breach()
        edge.ask("FileObjection", by=other, record_id=record_id, reason=STATEMENT)
        told = {"record_id": record_id, "corrected_on": "2026-05-06", "promise": True}
        edge.ask("SubmitRepair", by=other, evidence_ids=[edge.evidence(other)], **told)
    wrong = [{"CF_JDRQ": "2024-02-30", "CF_WSH": f"漳市监罚〔2024〕{number}号"} for number in range(ROWS)]
    import_id = edge.taken(penalties(*wrong), by=department).import_id
    nobody = {"record_id": record_id}
    return {
        "SearchSubjects": (None, {"name": "一样的名称"}, {"name": "一样的名"}),
        "ListRecords": (None, {"subject_id": subject_id, "type_code": "HONOUR"}, {"type_code": "PENALTY"}),
        "ListQueries": (company, {"subject_id": subject_id}, {"subject_id": edge.own(other)}),
        "ListImports": (department, {"state": "IMPORT_STATE_QUEUED"}, {"state": "IMPORT_STATE_DONE"}),
        "ListQuarantinedRows": (department, {"import_id": import_id}, {"import_id": "0" * 8 + import_id[8:]}),
        "ListAuthorisations": (company, {}, {"granted_to_me": True}),
        "ListObjections": (OFFICE, {"state": "OBJECTION_STATE_MARKED"}, nobody),
        "ListRepairs": (AUDITOR, {"state": "REPAIR_STATE_SUBMITTED"}, nobody),
        "ListReports": (company, {}, {}),
    }


# What the answer calls its rows, and tells them apart by.
NAMES: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "SearchSubjects": ("subjects", lambda each: each.id),
    "ListRecords": ("records", lambda each: each.id),
    "ListQueries": ("queries", lambda each: each.id),
    "ListImports": ("operations", lambda each: each.name),
    "ListQuarantinedRows": ("rows", lambda each: each.row),
    "ListAuthorisations": ("authorisations", lambda each: each.id),
    "ListObjections": ("objections", lambda each: each.id),
    "ListRepairs": ("repairs", lambda each: each.id),
    "ListReports": ("reports", lambda each: each.id),
}


def pages(edge: Edge, rpc: str, lists: dict[str, Asked], size: int) -> list[list[Any]]:
    """The ids of each page."""
    by, filters, _ = lists[rpc]
    rows, identity = NAMES[rpc]
    found, token = [], ""
    while True:
        answer = edge.ask(rpc, by=by, page_size=size, page_token=token, **filters)
        found.append([identity(each) for each in getattr(answer, rows)])
        token = answer.next_page_token
        if not token:
            return found


def test_every_list_with_pages_is_here(edge: Edge) -> None:
    paged = {rpc for rpc, each in edge.methods.items() if "page_token" in each.input_type.fields_by_name}
    assert paged == set(NAMES)


@pytest.mark.parametrize("rpc", NAMES)
def test_pages_follow_one_another(each_edge: Edge, lists: dict[str, Asked], rpc: str) -> None:
    [whole] = pages(each_edge, rpc, lists, 100)
    # One's own reports are queries too.
    count = ROWS * 2 if rpc == "ListQueries" else ROWS
    assert len(whole) == count == len(set(whole))
    for size in (1, 2, 3, 4, 5, 6):
        parts = pages(each_edge, rpc, lists, size)
        assert [each for part in parts for each in part] == whole
        # An empty last page would be one call too many.
        assert [len(part) for part in parts] == [min(size, count - at) for at in range(0, count, size)]


@pytest.mark.parametrize("rpc", NAMES)
def test_a_token_belongs_to_its_list_and_filters(each_edge: Edge, lists: dict[str, Asked], rpc: str) -> None:
    by, filters, others = lists[rpc]
    token = each_edge.ask(rpc, by=by, page_size=2, **filters).next_page_token
    each_edge.ask(rpc, by=by, page_size=100, page_token=token, **filters)
    for wrong in (token[:-2], token[::-1], "x", "W10", f"{token}{token}"[:300]):
        assert each_edge.refused(rpc, by=by, page_token=wrong, **filters).reason == "PAGE_TOKEN_INVALID"
    if others:
        refused = each_edge.refused(rpc, by=by, page_token=token, **filters | others)
        assert refused.reason in ("PAGE_TOKEN_INVALID", "SUBJECT_NOT_FOUND", "IMPORT_NOT_FOUND")
    foreign = "ListReports" if rpc != "ListReports" else "ListAuthorisations"
    with pytest.raises(Refused, match="PAGE_TOKEN_INVALID"):
        each_edge.ask(foreign, by=lists["ListReports"][0], page_token=token)


def test_twenty_rows_are_a_page_where_nothing_is_said(edge: Edge) -> None:
    for _ in range(21):
        edge.ask("RegisterSubject", by=CLERK, kind="SUBJECT_KIND_ORGANISATION", code=firm(), name="很多一样的")
    assert len(edge.ask("SearchSubjects", name="很多一样的").subjects) == 20


def test_what_comes_meanwhile_moves_no_page(each_edge: Edge, lists: dict[str, Asked]) -> None:
    by, filters, _ = lists["ListAuthorisations"]
    assert by is not None
    first = each_edge.ask("ListAuthorisations", by=by, page_size=2, **filters)
    each_edge.ask("GrantAuthorisation", by=by, authorisation=authorisation(type_codes=["HONOUR"]))
    rest = each_edge.ask("ListAuthorisations", by=by, page_token=first.next_page_token, **filters)
    seen = [each.id for each in (*first.authorisations, *rest.authorisations)]
    assert len(seen) == len(set(seen)) == ROWS
