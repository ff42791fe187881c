"""Every API case of cases/*.yaml, over HTTP and gRPC through the gateway, and straight to the service."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import pytest

from e2e.api_cases import ApiCase, Outcome, Run, api_cases
from e2e.clients import METHODS, Client, GrpcClient, HttpClient, service_of
from e2e.providers.cities import Cities, Database
from e2e.tokens import Tokens
from tulou_city.layout import HOST, City
from tulou_city.services import SERVICES

CASES: Final = api_cases()
# HTTP on SQLite, straight gRPC on PostgreSQL: between them every case meets both databases.
DATABASES: Final[Mapping[str, Database]] = {"http": "sqlite", "grpc": "sqlite", "direct": "postgresql"}


def _reasons(module: str, enum: str, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in getattr(import_module(module), enum).keys()[1:]}


# By domain.
REASONS: Final[Mapping[str, set[str]]] = {
    "tulou": _reasons("tulou.type.v1.error_reason_pb2", "CommonErrorReason", "COMMON_ERROR_REASON_"),
    **{
        f"{service.name}.tulou": _reasons(f"tulou.{service.name}.v1.error_reason_pb2", "ErrorReason", "ERROR_REASON_")
        for service in SERVICES
    },
}
# What no request can bring about in a healthy city today.
OUT_OF_REACH: Final = {
    ("tulou", "INTERNAL"): "takes a fault of the service",
    ("tulou", "UNAVAILABLE"): "takes a stopped service",
    ("tulou", "DEADLINE_EXCEEDED"): "takes a slow service",
    ("tulou", "RATE_LIMITED"): "would slow every other test; the gateway's own tests have it",
    ("approval.tulou", "EXTENSION_TOO_LATE"): "takes twenty working days; the approval service's own tests have it",
    ("approval.tulou", "TOO_MANY_FILES"): "takes two hundred uploads; the approval service's own tests have it",
}

Connect = Callable[[str], tuple[Client, Tokens]]


@pytest.fixture(scope="module")
def connect(cities: Cities) -> Iterator[Connect]:
    opened: dict[str, tuple[Client, Tokens]] = {}
    prepared: set[int] = set()

    def give(transport: str) -> tuple[Client, Tokens]:
        if transport not in opened:
            city = cities(database=DATABASES[transport])
            opened[transport] = client_of(city, transport), Tokens(city)
            if city.port not in prepared:
                Run(*opened[transport]).prepare(("the licence without materials",))
                prepared.add(city.port)
        return opened[transport]

    yield give
    for client, _ in opened.values():
        client.close()


def client_of(city: City, transport: str) -> Client:
    if transport == "http":
        return HttpClient(city.url)
    services = {service.name: f"{HOST}:{city.port + service.grpc_offset}" for service in SERVICES}
    return GrpcClient(f"{HOST}:{city.port}", services=services if transport == "direct" else None)


@pytest.mark.parametrize(
    ("case", "transport"),
    [
        pytest.param(case, way, id=f"{case.file}-{case.name}-{way}")
        for way in DATABASES
        for case in CASES
        if way in case.only
    ],
)
def test_the_api_keeps_to_its_case_law(case: ApiCase, transport: str, connect: Connect) -> None:
    run = Run(*connect(transport))
    run.prepare(case.given)
    outcome = run.perform(case)
    expected = {name: _for(value, transport) for name, value in run.resolve(case.expect).items()}
    told = f"{outcome.status} {outcome.http}: {outcome.refusal or outcome.answer}"
    assert outcome.status == expected.pop("grpc"), told
    http = expected.pop("http")
    if outcome.http is not None:
        assert outcome.http == http, told
        assert outcome.headers["x-request-id"]
        assert outcome.headers["traceparent"].startswith("00-")
    if outcome.refusal:
        _check_refusal(outcome, expected, case.language)
    else:
        assert not expected, "an answer has none of these"
        _assert_within(run.resolve(case.answer), outcome.answer, "answer")


def _check_refusal(outcome: Outcome, expected: Mapping[str, Any], language: str) -> None:
    refusal = outcome.refusal
    assert refusal is not None
    if not expected:
        # gRPC itself refuses what no proto knows, without details.
        return
    assert refusal.reason == expected["reason"], refusal
    assert refusal.reason in REASONS[refusal.domain]
    assert refusal.message.isascii()
    assert refusal.locale == ("en" if language.startswith("en") else "zh-CN")
    assert refusal.localized.isascii() == (refusal.locale == "en")
    if refusal.reason == "TOKEN_MISSING" and outcome.http:
        assert outcome.headers["www-authenticate"].startswith("Bearer")
    violated = {violation["field"]: violation for violation in refusal.violations}
    if expected.get("field") is not None:
        assert expected["field"] in violated, refusal
        violation = violated[expected["field"]]
        assert violation["description"]
        assert violation["reason"] == expected.get("rule", violation["reason"])
    if "message" in expected:
        assert refusal.localized == expected["message"]
    _assert_within(expected.get("metadata", {}), refusal.metadata, "metadata")
    known = {"reason", "field", "rule", "message", "metadata"}
    assert expected.keys() <= known, "a misspelt expectation would be no expectation"


def _for(value: Any, transport: str) -> Any:
    """An expectation that differs between HTTP and gRPC is written as {http: …, grpc: …}."""
    if isinstance(value, Mapping) and value.keys() == {"http", "grpc"}:
        return value["http" if transport == "http" else "grpc"]
    return value


def _assert_within(expected: Any, found: Any, where: str) -> None:
    """What is expected is there; in objects there may be more. "*" stands for anything that is not empty."""
    if isinstance(expected, Mapping):
        assert isinstance(found, Mapping), where
        for key, value in expected.items():
            assert key in found, f"{where}.{key} is not there, but {sorted(found)}"
            _assert_within(value, found[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(found), f"{where}: {found}"
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            _assert_within(one, other, f"{where}[{index}]")
    elif expected == "*":
        assert found, f"{where} is empty"
    else:
        assert found == expected, where


def test_there_are_at_least_sixty_cases_with_names_of_their_own() -> None:
    assert len(CASES) >= 60
    assert not [name for name, count in Counter(case.name for case in CASES).items() if count > 1]


def test_a_case_that_leaves_a_transport_out_says_why() -> None:
    assert not [case.name for case in CASES if len(case.only) < len(DATABASES) and not case.because]


def test_every_rpc_has_a_case() -> None:
    # They never end; the journeys read from them.
    ending = {name for name, method in METHODS.items() if method.name != "WatchEvents"}
    assert {case.call for case in CASES if case.call} >= ending


def test_every_reason_for_a_refusal_has_a_case() -> None:
    told = [(case.call, case.expect["reason"]) for case in CASES if "reason" in case.expect]
    shown = {("tulou" if reason in REASONS["tulou"] else f"{service_of(rpc)}.tulou", reason) for rpc, reason in told}
    known = {(domain, reason) for domain, reasons in REASONS.items() for reason in reasons}
    assert known - shown == OUT_OF_REACH.keys()
