"""How often one token and one address may ask. The gateway here allows next to nothing: no test needs to be fast."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.tests.integration.conftest import Gateway, assert_refused, at, running_gateway
from tulou.approval.v1 import approval_service_pb2 as service
from tulou.approval.v1 import approval_service_pb2_grpc


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, issuer: Any, running_upstream: Any) -> Iterator[Gateway]:
    limits = ("--token-rate", "1", "--address-rate", "1", "--trusted-hops", "1")
    with running_gateway(Path(tmp_path_factory.mktemp("strict")), issuer, *at(running_upstream.port), *limits) as found:
        yield found


@pytest.fixture
def http(strict: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=strict.url) as client:
        yield client


def test_a_token_that_asks_too_often_must_wait(http, issuer):
    header = issuer.header("clerk")
    path = "/approval/v1/cases"
    answers = [http.get(path, headers={**header, "x-forwarded-for": f"203.0.113.{n}"}) for n in range(20)]
    assert answers[0].status_code == 200
    refused = [answer for answer in answers if answer.status_code != 200]
    assert_refused(refused[0], 429, 8, "RATE_LIMITED")
    assert int(refused[0].headers["retry-after"]) >= 1
    # Another token may go on.
    other = http.get(path, headers={**issuer.header("clerk"), "x-forwarded-for": "203.0.113.99"})
    assert other.status_code == 200


def test_an_address_that_asks_too_often_must_wait(http):
    path = "/approval/v1/items"
    headers = {"x-forwarded-for": "198.51.100.1", "accept-language": "en"}
    answers = [http.get(path, headers=headers) for _ in range(20)]
    assert answers[0].status_code == 200
    refused = [answer for answer in answers if answer.status_code != 200]
    assert_refused(refused[0], 429, 8, "RATE_LIMITED", "en")
    assert int(refused[0].headers["retry-after"]) >= 1
    assert http.get(path, headers={"x-forwarded-for": "198.51.100.2"}).status_code == 200


def test_an_address_made_up_by_the_caller_does_not_help(http):
    path = "/approval/v1/items"
    answers = [http.get(path, headers={"x-forwarded-for": f"192.0.2.{n}, 198.51.100.3"}) for n in range(20)]
    assert 429 in {answer.status_code for answer in answers}


def test_a_grpc_caller_that_asks_too_often_is_told_so(strict, issuer):
    metadata = tuple(issuer.header("clerk").items())
    request = service.GetCaseRequest(case_id="c1")
    with grpc.insecure_channel(f"127.0.0.1:{strict.port}") as channel:
        stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
        calls = [
            stub.GetCase.future(request, metadata=(*metadata, ("x-forwarded-for", f"203.0.113.{100 + n}")))
            for n in range(20)
        ]
        assert {call.code() for call in calls} == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
