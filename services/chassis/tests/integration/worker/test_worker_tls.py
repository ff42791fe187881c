"""RabbitMQ behind TLS: the broker's certificate and name are checked."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.chassis.tests.integration.certificates import make_certificates
from services.chassis.tests.integration.worker.home import Home
from services.chassis.tests.integration.worker.proxy import Proxy


@pytest.fixture
def proxy(cluster: Home, tmp_path: Path) -> Proxy:
    """The end of TLS in front of the broker, which the workers are told to connect to."""
    make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    uri = urlsplit(cluster.environment["TULOU_AMQP_URI"])
    assert uri.hostname
    assert uri.port
    proxy = Proxy(uri.hostname, uri.port, context)
    address = f"{uri.username}:{uri.password}@127.0.0.1:{proxy.port}"
    cluster.environment["TULOU_AMQP_URI"] = uri._replace(scheme="amqps", netloc=address).geturl()
    return proxy


def test_events_travel_over_tls_and_go_on_after_the_connection_is_cut(
    cluster: Home, proxy: Proxy, tmp_path: Path
) -> None:
    cluster.environment["TULOU_AMQP_URI"] += f"?cacertfile={tmp_path}/ca.pem"
    cluster.start()
    cluster.emit(*(("case-1", StringValue(value=str(number))) for number in range(20)))
    cluster.wait("the events", lambda: len(cluster.noted()) == 20)

    proxy.cut()
    cluster.emit(*(("case-1", StringValue(value=str(number))) for number in range(20, 40)))
    cluster.wait("the failure", lambda: "relay_publish_failed" in cluster.logs())
    proxy.open()

    cluster.wait("the rest", lambda: len(cluster.noted()) >= 40)
    assert [text for _, text in cluster.noted()] == [str(number) for number in range(40)]


@pytest.mark.parametrize("authorities", ["", "?cacertfile={}/other.pem"], ids=["the system's", "another"])
def test_a_broker_whose_certificate_no_known_authority_signed_is_told_nothing(
    cluster: Home, proxy: Proxy, tmp_path: Path, authorities: str
) -> None:
    cluster.environment["TULOU_AMQP_URI"] += authorities.format(tmp_path)
    cluster.start()
    cluster.emit(("case-1", StringValue(value="1")))
    cluster.wait("the refusal", lambda: "CERTIFICATE_VERIFY_FAILED" in cluster.logs())
    assert cluster.noted() == []
