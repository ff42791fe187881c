"""Settings are read whole or not at all: every wrong variable is named, and no secret is repeated."""

import os
from pathlib import Path

import pytest

from tulou_chassis.settings import Settings, read_settings

PORT_RULE = "must be a host and a port of 1 to 65535, like 127.0.0.1:50051"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment of a process that would start."""
    for name in [name for name in os.environ if name.startswith("TULOU_")]:
        monkeypatch.delenv(name)
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    (tmp_path / "keyring.json").write_text("{}")
    good = {
        "TULOU_DATABASE_URL": "postgresql://user:hunter2@db.test/{service}",
        "TULOU_OIDC_ISSUER": "https://issuer.test",
        "TULOU_OIDC_JWKS": str(tmp_path / "jwks.json"),
        "TULOU_KEYRING_FILE": str(tmp_path / "keyring.json"),
    }
    for name, value in good.items():
        monkeypatch.setenv(name, value)
    return good


def complaints() -> list[str]:
    """What is said of the environment, a line each variable."""
    with pytest.raises(SystemExit) as ended:
        read_settings(Settings)
    # So that the traceback of the one does not show the other.
    assert ended.value.__suppress_context__
    title, *lines = str(ended.value).splitlines()
    assert title == "These settings are missing or wrong:"
    return [line.strip() for line in lines]


def test_an_environment_without_faults_is_read(environment: dict[str, str]) -> None:
    settings = read_settings(Settings)
    assert settings.database_for("approval") == "postgresql://user:hunter2@db.test/approval"
    assert settings.keyring_file == Path(environment["TULOU_KEYRING_FILE"])
    assert (settings.grpc_address, settings.metrics_address) == ("127.0.0.1:50051", "127.0.0.1:9464")


def test_every_wrong_variable_has_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TULOU_OIDC_ISSUER")
    monkeypatch.setenv("TULOU_DATABASE_URL", "nonsense")
    monkeypatch.setenv("TULOU_GRPC_ADDRESS", "127.0.0.1")
    monkeypatch.setenv("TULOU_DATABASE_POOL", "many")
    lines = complaints()
    assert [line.partition(": ")[0] for line in lines] == [
        "TULOU_DATABASE_URL",
        "TULOU_GRPC_ADDRESS",
        "TULOU_OIDC_ISSUER",
        "TULOU_DATABASE_POOL",
    ]
    assert lines[:2] == ["TULOU_DATABASE_URL: is not a database URL", f"TULOU_GRPC_ADDRESS: {PORT_RULE}"]


def test_an_empty_variable_is_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TULOU_OIDC_AUDIENCE", "")
    monkeypatch.setenv("TULOU_KEYRING_FILE", "")
    assert complaints() == ["TULOU_KEYRING_FILE: Field required"]


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "postgresql:/user:hunter2@db.test/approval",
        # What follows the last colon of these is taken for a port.
        "postgresql://user:hunter2",
        "postgresql://user:hunter2/approval",
        "postgresql://user@db.test:hunter2/approval",
    ],
)
def test_a_malformed_database_url_is_not_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TULOU_DATABASE_URL", url)
    assert complaints() == ["TULOU_DATABASE_URL: is not a database URL"]


@pytest.mark.parametrize("url", ["mysql://user:hunter2@db.test/approval", "postgres://user:hunter2@db.test/approval"])
def test_a_database_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TULOU_DATABASE_URL", url)
    assert complaints() == ["TULOU_DATABASE_URL: must begin with sqlite:// or postgresql://"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TULOU_AMQP_URI", "http://user:hunter2@broker.test"),
        ("TULOU_OTLP_ENDPOINT", "user:hunter2@collector.test"),
        ("TULOU_OTLP_ENDPOINT", "http://user:hunter2@collector.test:hunter2"),
        ("TULOU_OIDC_JWKS", "ftp://user:hunter2@issuer.test/jwks"),
        ("TULOU_LOG_LEVEL", "hunter2"),
        ("TULOU_DRAIN_SECONDS", "hunter2"),
        ("TULOU_GRPC_ADDRESS", "hunter2"),
    ],
)
def test_a_wrong_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    [line] = complaints()
    assert line.startswith(f"{name}: ")
    assert "hunter2" not in line


@pytest.mark.parametrize("name", ["TULOU_GRPC_ADDRESS", "TULOU_METRICS_ADDRESS"])
@pytest.mark.parametrize(
    "value", ["h:0", "h:65536", "h:100000", "h:-1", "h:+1", "h:", "h", ":9464", "9464", "h:٩٤٦٤", "h:94 64", "h:1\n"]
)
def test_a_port_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert complaints() == [f"{name}: {PORT_RULE}"]


@pytest.mark.parametrize("value", ["127.0.0.1:1", "0.0.0.0:65535", "[::]:50051", "approval.tulou.svc:50051"])
def test_an_address_is_a_host_and_a_port(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TULOU_GRPC_ADDRESS", value)
    assert read_settings(Settings).grpc_address == value


@pytest.mark.parametrize("value", ["ftp://issuer.test/jwks", "file:///etc/jwks.json", "https://", "http:///jwks"])
def test_keys_come_over_http_where_they_come_from_a_url(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TULOU_OIDC_JWKS", value)
    assert complaints() == ["TULOU_OIDC_JWKS: must be a file, or a URL that begins with http:// or https://"]


def test_keys_are_in_a_file_where_they_are_at_no_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for wrong in (tmp_path / "none.json", tmp_path):
        monkeypatch.setenv("TULOU_OIDC_JWKS", str(wrong))
        assert complaints() == ["TULOU_OIDC_JWKS: must be a file, or a URL that begins with http:// or https://"]


@pytest.mark.parametrize("value", ["/nowhere/keyring.json", "/", '{"keys": "hunter2"}', "long" * 100])
def test_a_keyring_that_is_no_file_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TULOU_KEYRING_FILE", value)
    assert complaints() == ["TULOU_KEYRING_FILE: is not a file"]


@pytest.mark.parametrize("value", ["http://issuer.test/jwks", "https://issuer.test/jwks"])
def test_keys_may_be_at_a_url(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TULOU_OIDC_JWKS", value)
    assert read_settings(Settings).oidc_jwks == value


def test_the_calendar_file_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = tmp_path / "2027.json"
    there.write_text("{}")
    for wrong in (tmp_path / "none.json", tmp_path, tmp_path / ("long" * 100)):
        monkeypatch.setenv("TULOU_CALENDAR_FILES", f"{there},{wrong}")
        assert complaints() == [f"TULOU_CALENDAR_FILES: {wrong} is not a file"]


def test_calendar_files_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = (tmp_path / "2027.json", tmp_path / "local.json")
    for path in files:
        path.write_text("{}")
    monkeypatch.setenv("TULOU_CALENDAR_FILES", ",".join(map(str, files)))
    assert read_settings(Settings).calendar_files == files


def test_a_database_url_may_say_how_to_connect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    said = f"sslmode=verify-full&sslrootcert={tmp_path}/ca.pem&connect_timeout=3&application_name=a&tcp_user_timeout=9"
    monkeypatch.setenv("TULOU_DATABASE_URL", f"postgresql://user@db.test/{{service}}?{said}")
    assert read_settings(Settings).database_url.endswith(said)


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("TULOU_DATABASE_URL", "postgresql://u:hunter2@db/a?sslmode=require&pool=3", "says pool, which is not one of"),
        (
            "TULOU_DATABASE_URL",
            "postgresql://u:hunter2@db/a?sslrootcert=/no/ca",
            "says sslrootcert=/no/ca, which is no",
        ),
        ("TULOU_AMQP_URI", "amqps://u:hunter2@mq/?verify=verify_none", "says verify, which is not one of cacertfile"),
        ("TULOU_AMQP_URI", "amqps://u:hunter2@mq/?cacertfile=/no/ca", "says cacertfile=/no/ca, which is not a file"),
        ("TULOU_DRAIN_DELAY", "61", "Input should be less than or equal to 60"),
    ],
)
def test_what_cannot_be_meant_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(variable, value)
    [line] = complaints()
    assert line.startswith(f"{variable}: {complaint}")
    assert "hunter2" not in line
