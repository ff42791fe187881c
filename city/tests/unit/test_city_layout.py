"""Where things lie. That every place which names services names the same ones: templates/entries.py."""

from pathlib import Path

import pytest
from stdnum.cn import uscc

from tulou_city import sample
from tulou_city.layout import ROOT, City, city
from tulou_city.services import SERVICES

PLAIN = City(port=9000, var=Path("/tmp/x"), database_url="sqlite:////tmp/x/db/{service}.db", amqp_uri="")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "VAR", "DATABASE_URL", "AMQP_URI", "TULOU_OTLP_ENDPOINT", "TULOU_AMQP_URI"):
        monkeypatch.delenv(name, raising=False)


def test_no_two_things_share_a_port() -> None:
    assert len(PLAIN.ports) == 4 + 2 * len(SERVICES)


def test_without_settings_a_city_lies_at_8080_and_under_var() -> None:
    found = city()
    assert (found.port, found.var, found.amqp_uri) == (8080, ROOT / "var", "")
    assert found.database_url == f"sqlite:///{ROOT}/var/db/{{service}}.db"


def test_settings_move_a_city(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9100")
    monkeypatch.setenv("VAR", "/tmp/other")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/tulou_{service}")
    monkeypatch.setenv("AMQP_URI", "amqp://h/v")
    found = city()
    assert found.url == "http://127.0.0.1:9100"
    environment = found.environment("approval")
    assert environment["TULOU_DATABASE_URL"] == "postgresql://u:p@h/tulou_{service}"
    assert environment["TULOU_AMQP_URI"] == "amqp://h/v"
    assert environment["TULOU_GRPC_ADDRESS"] == "127.0.0.1:9110"
    assert environment["TULOU_KEYRING_FILE"] == "/tmp/other/secrets/keyring.json"


def test_every_process_knows_where_the_services_are() -> None:
    for process in ("approval", "credit", "worker"):
        environment = PLAIN.environment(process)
        assert environment["TULOU_APPROVAL_ADDRESS"] == "127.0.0.1:9010"
        assert environment["TULOU_CREDIT_ADDRESS"] == "127.0.0.1:9012"
    assert PLAIN.environment("credit")["TULOU_GRPC_ADDRESS"] == "127.0.0.1:9012"


def test_without_a_broker_no_process_hears_of_one() -> None:
    assert "TULOU_AMQP_URI" not in PLAIN.environment("approval")


def test_another_otlp_endpoint_takes_the_place_of_the_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PLAIN.environment("worker")["TULOU_OTLP_ENDPOINT"] == "http://127.0.0.1:9001"
    monkeypatch.setenv("TULOU_OTLP_ENDPOINT", "http://collector:4318")
    assert PLAIN.environment("worker")["TULOU_OTLP_ENDPOINT"] == "http://collector:4318"


@pytest.mark.parametrize("port", ["eighty", "0", "65001"])
def test_a_port_that_cannot_be_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SystemExit, match=r"^PORT must"):
        city()


@pytest.mark.parametrize("serial", [0, 7, 12345, 66128, 99999])
def test_the_demos_companies_have_valid_credit_codes(serial: int) -> None:
    code = sample.credit_code(serial)
    assert uscc.is_valid(code)
    assert code != sample.credit_code((serial + 1) % 100_000)
    # GB 11714: eight characters and theirs.
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    check = 11 - sum(int(c, 36) * weight for c, weight in zip(code[8:16], weights, strict=True)) % 11
    assert code[16] == {10: "X", 11: "0"}.get(check, str(check))


def test_a_state_folder_too_deep_for_a_socket_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAR", "/" + "v" * 80)
    with pytest.raises(SystemExit, match=r"^VAR: .* at most 75 characters"):
        city()
