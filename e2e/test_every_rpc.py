"""What holds for every RPC alike, read from the protos: who may not call is told so, and nothing unknown is taken."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from e2e.clients import METHODS, GrpcClient, HttpClient, Json, Refused
from e2e.providers.cities import Cities
from e2e.tokens import Tokens
from tulou.options.v1 import access_pb2
from tulou_city.layout import HOST
from tulou_gateway.openapi import examples

EXAMPLES: Final = examples()
ROLES: Final = {role: role.removeprefix("ROLE_").lower() for role in access_pb2.Role.keys()[1:]}
RESTRICTED: Final = [rpc for rpc in METHODS if not METHODS[rpc].GetOptions().Extensions[access_pb2.access].anonymous]
# Of what these send the type is not JSON.
UPLOADS: Final = [rpc for rpc in METHODS if METHODS[rpc].client_streaming]


class Callers:
    """Two ways through the gateway of one city, and tokens of every role."""

    def __init__(self, http: HttpClient, grpc: GrpcClient, tokens: Tokens) -> None:
        self.http, self.grpc, self._tokens = http, grpc, tokens

    def token(self, role: str) -> str:
        """Of someone who belongs somewhere."""
        return self._tokens.token(role=role, sub=f"every-{role}", org="SCJG")


@pytest.fixture(scope="module")
def callers(cities: Cities) -> Iterator[Callers]:
    city = cities()
    http, grpc = HttpClient(city.url), GrpcClient(f"{HOST}:{city.port}")
    yield Callers(http, grpc, Tokens(city))
    http.close()
    grpc.close()


def request_of(rpc: str) -> Json:
    """The example of the API's document: what of it does not exist in the city is looked for after all of this."""
    method = METHODS[rpc]
    body: Json = dict(EXAMPLES[f"{method.containing_service.full_name}.{method.name}"].get("request", {}))
    if rpc in UPLOADS:
        body["file"] = {"contentType": "application/pdf", "data": b"%PDF-1.4\n"}
    return body


def allowed(rpc: str) -> set[str]:
    """The roles that may call it."""
    rule = METHODS[rpc].GetOptions().Extensions[access_pb2.access]
    return {ROLES[access_pb2.Role.Name(role)] for role in rule.roles}


def refused(client: Any, rpc: str, token: str) -> Refused:
    """The refusal of the example."""
    try:
        if METHODS[rpc].name == "WatchEvents":
            next(client.watch(request_of(rpc), token=token, rpc=rpc))
        else:
            client.call(rpc, request_of(rpc), token=token)
    except Refused as found:
        return found
    raise AssertionError(f"{rpc} was not refused")


@pytest.mark.parametrize("rpc", RESTRICTED)
def test_without_a_token_nothing_is_done(callers: Callers, rpc: str) -> None:
    for client in (callers.http, callers.grpc):
        found = refused(client, rpc, "")
        assert (found.status, found.reason, found.http) in (
            ("UNAUTHENTICATED", "TOKEN_MISSING", 401),
            ("UNAUTHENTICATED", "TOKEN_MISSING", None),
        )
        assert found.localized == "此接口需要登录令牌。"


@pytest.mark.parametrize("rpc", RESTRICTED)
def test_other_roles_than_those_of_the_rpc_are_refused(callers: Callers, rpc: str) -> None:
    for role in sorted(set(ROLES.values()) - allowed(rpc)):
        found = refused(callers.http, rpc, callers.token(role))
        assert (found.status, found.reason, found.http) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED", 403), role


@pytest.mark.parametrize("rpc", METHODS)
def test_a_field_or_parameter_that_nobody_knows_is_refused(callers: Callers, rpc: str) -> None:
    token = callers.token(min(allowed(rpc))) if rpc in RESTRICTED else ""
    request = callers.http.request(rpc, request_of(rpc))
    if request.headers.get("content-type") == "application/json":
        request = callers.http.request(rpc, {**request_of(rpc), "colour": "red"})
    else:
        request.query["colour"] = "red"
    if token:
        request.headers["authorization"] = f"Bearer {token}"
    response = callers.http.send(request)
    with pytest.raises(Refused) as found:
        callers.http.answer(response)
    assert (found.value.status, found.value.reason, found.value.http) == ("INVALID_ARGUMENT", "INVALID_FIELD", 400)
    assert "colour" in response.text


def test_every_rpc_says_who_may_call_it() -> None:
    assert len(RESTRICTED) + 20 > len(METHODS) > len(RESTRICTED)
    assert all(allowed(rpc) for rpc in RESTRICTED)
