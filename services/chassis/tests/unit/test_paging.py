"""Page tokens point behind a row of one list, and nothing else is believed to."""

import base64
import json
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message

from tulou.approval.v1.approval_service_pb2 import ListCaseHistoryRequest, ListCasesRequest
from tulou_chassis import paging
from tulou_chassis.errors import PAGE_TOKEN_INVALID, Refusal

THEN = datetime(2026, 3, 2, 1, 2, 3, 456, tzinfo=UTC)


def token(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def forged(request: Message, *keys: object) -> str:
    """A token with the right filters and keys of the forger's choice."""
    real = paging.next_token(request, ["x"])  # type: ignore[arg-type]
    filters = json.loads(base64.urlsafe_b64decode(real + "==="[: -len(real) % 4]))[0]
    return token([filters, *keys])


def test_the_first_page_has_no_position() -> None:
    assert paging.position(ListCasesRequest(), keys=2) is None
    assert paging.time_key(ListCasesRequest()) is None
    assert paging.number_key(ListCaseHistoryRequest()) == 0


def test_a_size_of_zero_is_the_default() -> None:
    assert paging.page_size(ListCasesRequest(), default=20) == 20
    assert paging.page_size(ListCasesRequest(page_size=3), default=20) == 3


def test_a_token_gives_its_keys_back() -> None:
    request = ListCasesRequest(item_code="A")
    request.page_token = paging.next_token(request, [THEN, "id-1"])
    assert paging.time_key(request) == (THEN, "id-1")
    assert paging.position(request, keys=2) == [THEN.isoformat(), "id-1"]
    history = ListCaseHistoryRequest(case_id="1")
    history.page_token = paging.next_token(history, [7])
    assert paging.number_key(history) == 7


def test_a_token_fits_whatever_size_the_next_page_has() -> None:
    request = ListCasesRequest(item_code="A", page_size=5)
    request.page_token = paging.next_token(request, [THEN, "id-1"])
    request.page_size = 50
    assert paging.time_key(request) == (THEN, "id-1")


@pytest.mark.parametrize("change", [{"item_code": "B"}, {"open_only": True}, {"region_code": "3506"}])
def test_a_token_of_other_filters_is_refused(change: dict[str, object]) -> None:
    first = ListCasesRequest(item_code="A")
    given = paging.next_token(first, [THEN, "id-1"])
    with pytest.raises(Refusal) as refused:
        paging.time_key(ListCasesRequest(**{"item_code": "A", **change, "page_token": given}))  # type: ignore[arg-type]
    assert refused.value.answer is PAGE_TOKEN_INVALID


def test_a_token_of_another_list_is_refused() -> None:
    given = paging.next_token(ListCasesRequest(), [7])
    with pytest.raises(Refusal):
        paging.number_key(ListCaseHistoryRequest(case_id="1", page_token=given))


@pytest.mark.parametrize(
    "garbage",
    ["x", "!!!", "字", "=", "AAAA", token({}), token([]), token(7), token(None), token("x"), token([1, 2, 3, 4])],
)
def test_garbage_is_refused(garbage: str) -> None:
    for read in (paging.time_key, lambda request: paging.position(request, keys=1)):
        with pytest.raises(Refusal) as refused:
            read(ListCasesRequest(page_token=garbage))
        assert refused.value.answer is PAGE_TOKEN_INVALID


@pytest.mark.parametrize(
    "keys",
    [
        ["2026-03-02T01:02:03", "id"],
        ["2026-03-02", "id"],
        ["yesterday", "id"],
        [7, "id"],
        [THEN.isoformat(), None],
        [THEN.isoformat(), ["id"]],
        [THEN.isoformat(), "id\x00"],
        [THEN.isoformat(), True],
        [THEN.isoformat()],
        ["9999-12-31T23:59:59-23:59", "id"],
    ],
    ids=str,
)
def test_a_forged_time_is_refused(keys: list[object]) -> None:
    request = ListCasesRequest()
    request.page_token = forged(request, *keys)
    with pytest.raises(Refusal):
        paging.time_key(request)


@pytest.mark.parametrize("key", ["7", 1.5, True, None, -1, 2**31, [7]], ids=str)
def test_a_forged_number_is_refused(key: object) -> None:
    request = ListCaseHistoryRequest(case_id="1")
    request.page_token = forged(request, key)
    with pytest.raises(Refusal):
        paging.number_key(request)


def test_a_date_is_read_or_refused() -> None:
    request = ListCasesRequest()
    request.page_token = forged(request, "2026-03-02", "number")
    assert paging.date_key(request) == (THEN.date(), "number")
    for wrong in ("2026-02-30", "today", "", 7):
        request.page_token = forged(request, wrong, "number")
        with pytest.raises(Refusal):
            paging.date_key(request)
