"""The check of JSON bodies, in Envoy, on a made-up service with every kind of field."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.tests.integration.conftest import running_gateway
from gateway.tests.shop import shop


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory, issuer: Any) -> Any:
    """The gateway of a shop that is closed: what passes the checks finds nobody and gets 503."""
    folder = Path(tmp_path_factory.mktemp("shop"))
    nobody = ("--service", "shop=127.0.0.1:9")
    with (
        running_gateway(folder, issuer, *nobody, api=shop(folder)) as gateway,
        httpx.Client(base_url=gateway.url, headers=issuer.header("clerk")) as client,
    ):
        yield client


def sent(counter: httpx.Client, ware: str) -> tuple[str, str] | None:
    """The field and the rule that a ware breaks; None when it passes."""
    headers = {"content-type": "application/json"}
    answer = counter.post("/shop/v1/wares", content=f'{{"ware": {ware}}}'.encode(), headers=headers)
    if answer.status_code == 503:
        return None
    assert answer.status_code == 400
    (violation,) = answer.json()["details"][2]["fieldViolations"]
    return violation["field"], violation["reason"]


@pytest.mark.parametrize(
    "ware",
    [
        '{"displayName": "茶", "price_fen": "9007199254740993", "weight": -1.5e3, "sold": true, "code": "AQI="}',
        '{"priceFen": 12, "weight": "NaN", "sold": false, "colour": "COLOUR_RED", "small": 1, "ODD": "x"}',
        '{"colour": 1, "parts": {"任意键": {"name": "lid", "parts": [{"name": "knob"}]}}, "stock": {"a b": 1, "c": 2}}',
        '{"spares": [], "tags": ["a", "b"], "inside": {"inside": {"displayName": "x"}}}',
        '{"made": "2026-01-01T00:00:00Z", "mask": "displayName,sold", "note": "x"}',
        '{"free": {"a": {"b": [1, {"displayName": 1}]}}, "value": [{"x": 1}], "list": [[{"y": null}], 2]}',
        '{"value": null, "note": null, "inside": null, "spares": null, "oddly_named": null}',
        '{"any": {"@type": "type.googleapis.com/tulou.shop.v1.Part", "name": "x"}}',
    ],
)
def test_what_the_proto_knows_passes(counter, ware):
    assert sent(counter, ware) is None


@pytest.mark.parametrize(
    ("ware", "field", "rule"),
    [
        ('{"parts": {"a": {"nmae": 1}}}', "ware.parts.a.nmae", "unknown_field"),
        ('{"parts": {"a": {"parts": [{}, {"x": 1}]}}}', "ware.parts.a.parts[1].x", "unknown_field"),
        ('{"spares": [{"name": "a"}, {"colour": 1}]}', "ware.spares[1].colour", "unknown_field"),
        ('{"oddlyNamed": "x"}', "ware.oddlyNamed", "unknown_field"),
        ('{"disp\\u006cayName": "x"}', "ware.disp?u006cayName", "unknown_field"),
        ('{"stock": {"a": 1, "a": 2}}', "ware.stock.a", "duplicate_field"),
        ('{"ODD": "x", "oddly_named": "y"}', "ware.oddly_named", "duplicate_field"),
        ('{"parts": []}', "ware.parts", "type"),
        ('{"parts": {"a": "x"}}', "ware.parts.a", "type"),
        ('{"stock": {"a": true}}', "ware.stock.a", "type"),
        ('{"tags": "a"}', "ware.tags", "type"),
        ('{"tags": ["a", 1]}', "ware.tags[1]", "type"),
        ('{"code": [1]}', "ware.code", "type"),
        ('{"colour": true}', "ware.colour", "type"),
        ('{"made": 1767225600}', "ware.made", "type"),
        ('{"free": []}', "ware.free", "type"),
        ('{"list": {}}', "ware.list", "type"),
        ('{"value": x}', "ware.value", "json"),
        ('{"tags": ["a",]}', "ware.tags[1]", "type"),
        ('{"sold": true,}', "ware.sold", "json"),
        ('{"displayName": "x}', "ware.display_name", "json"),
        ('{"displayName" "x"}', "ware.display_name", "json"),
        ('{"free": {"a": [1}}', "ware.free.a[0]", "json"),
        ('{"free": {"a": 1]}', "ware.free.a", "json"),
    ],
)
def test_what_it_does_not_know_is_named(counter, ware, field, rule):
    assert sent(counter, ware) == (field, rule)


def test_a_body_that_is_one_field_is_checked_as_that_field(counter):
    assert counter.put("/shop/v1/wares/r1", json={"displayName": "x"}).status_code == 503
    assert counter.put("/shop/v1/wares/r1", json={"ware": {}}).status_code == 400


def test_each_binding_of_an_rpc_is_checked(counter):
    path = "/shop/v1/wares/r1:replace"
    assert counter.post(path, json={"ware": {}}).status_code == 503
    assert counter.post(path, json={"ware": {}, "requestId": "r2"}).status_code == 400
    assert counter.post(path, json={"x": 1}).status_code == 400


def test_an_upload_is_not_looked_into(counter):
    answer = counter.post("/shop/v1/wares/w1:upload", content=b'{"x": ', headers={"content-type": "application/json"})
    assert answer.status_code == 503


def test_the_call_without_a_rule_is_denied_to_every_role(counter, issuer):
    roles = ("citizen", "clerk", "admin", "partner", "operator")
    for headers in ({}, issuer.header(*roles)):
        assert counter.get("/shop/v1/wares/w1:steal", headers=headers).status_code == 403
    assert counter.get("/shop/v1/wares/w1").status_code == 503
