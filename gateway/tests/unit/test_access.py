"""Who may call what, and how each RPC is routed: from the descriptors."""

import re
from pathlib import Path

import pytest

from gateway.tests.shop import shop
from tulou_gateway import access
from tulou_gateway.descriptors import Api, load

API = load()


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return shop(Path(tmp_path_factory.mktemp("shop")))


@pytest.mark.parametrize("rpc", API.rpcs, ids=lambda rpc: rpc.path)
def test_every_rpc_says_who_may_call_it(rpc):
    assert rpc.access is not None
    assert rpc.access.anonymous != bool(rpc.access.roles), "either anyone or named roles"


def test_every_rpc_is_in_one_policy_with_its_own_roles():
    allowed = {path: set(policy.roles) for policy in access.policies(API.rpcs) for path in policy.paths}
    assert allowed == {rpc.path: set(rpc.access.roles) for rpc in API.rpcs if rpc.access}
    assert sum(len(policy.paths) for policy in access.policies(API.rpcs)) == len(API.rpcs)


def test_an_rpc_without_an_access_rule_is_in_no_policy(made_up):
    allowed = {path.rpartition("/")[2] for policy in access.policies(made_up.rpcs) for path in policy.paths}
    assert allowed == {rpc.name for rpc in made_up.rpcs} - {"StealWare", "HideWare"}


def test_equal_roles_in_another_order_make_one_policy(made_up):
    policies = {policy.name: policy.paths for policy in access.policies(made_up.rpcs)}
    assert [path.rpartition("/")[2] for path in policies["admin, clerk"]] == ["CreateWare", "ReplaceWare"]
    assert [path.rpartition("/")[2] for path in policies["anyone"]] == ["GetWare", "FetchPicture"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GetWare", access.READ),
        ("CreateWare", access.WRITE),
        ("ReplaceWare", access.WRITE),
        ("SellWare", access.CALL),
        ("UploadPicture", access.UPLOAD),
        ("FetchPicture", access.DOWNLOAD),
        ("WatchWares", access.STREAM),
        ("HideWare", access.CALL),
    ],
)
def test_the_kind_of_a_call_follows_from_its_proto(made_up, name, kind):
    (rpc,) = [rpc for rpc in made_up.rpcs if rpc.name == name]
    assert access.kind_of(rpc) is kind


def test_an_upload_of_a_data_file_has_its_own_bounds(made_up, monkeypatch):
    assert [rpc.name for rpc in API.rpcs if access.kind_of(rpc) is access.LARGE_UPLOAD] == ["UploadImport"]
    assert access.large_paths(API.rpcs) == ["/credit/v1/imports:upload"]
    monkeypatch.setattr(access, "LARGE_UPLOADS", ("/tulou.shop.v1.ShopService/UploadPicture",))
    (path,) = access.large_paths(made_up.rpcs)
    assert re.fullmatch(path, "/shop/v1/wares/w1:upload")
    assert not re.fullmatch(path, "/shop/v1/wares/w1/x:upload")


def test_what_other_packages_serve_is_not_served_here():
    assert {service.split(".")[0] for service in API.services} == {"tulou"}
    assert API.pool.FindServiceByName("google.longrunning.Operations"), "it is in the set, for its file is imported"


def test_only_what_may_be_repeated_is_repeated_after_it_was_seen():
    repeated = {kind for kind in vars(access).values() if isinstance(kind, access.Kind) and "reset," in kind.retry_on}
    assert repeated == {access.READ, access.WRITE}
    for rpc in API.rpcs:
        if access.kind_of(rpc) is access.WRITE:
            assert "request_id" in rpc.request.fields_by_name, rpc.name
        if access.kind_of(rpc) is access.READ:
            assert {binding.verb for binding in rpc.http} == {"GET"}, rpc.name


def test_every_rpc_has_one_route_and_other_paths_have_none():
    routes = access.routes(API.rpcs)
    for rpc in API.rpcs:
        (route,) = [route for route in routes if re.fullmatch(route.regex, rpc.path)]
        assert (route.cluster, route.kind) == (rpc.service.split(".")[1], access.kind_of(rpc))
        assert not [route for route in routes if re.fullmatch(route.regex, rpc.path + "s")]
        assert not [route for route in routes if re.fullmatch(route.regex, rpc.path.replace(".", "x"))]
