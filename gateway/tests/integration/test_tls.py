"""TLS at the gateway itself, and a certificate that is renewed."""

import datetime
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.tests.integration.conftest import Gateway, at, running_gateway
from tulou.approval.v1 import approval_service_pb2 as service
from tulou.approval.v1 import approval_service_pb2_grpc
from tulou_gateway import render
from tulou_gateway.descriptors import load


class Secret:
    """A folder like a mounted secret: its files are links through `..data`, which is replaced as one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._versions = 0
        self.certificate = b""
        self.renew()
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(f"..data/{name}")

    def renew(self) -> None:
        """A fresh key with its certificate for 127.0.0.1."""
        self._versions += 1
        version = self.folder / f"..version-{self._versions}"
        version.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gateway {self._versions}")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, SHA256())
        )
        self.certificate = certificate.public_bytes(Encoding.PEM)
        (version / "tls.crt").write_bytes(self.certificate)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (version / "tls.key").write_bytes(pem)
        (self.folder / "..data_tmp").symlink_to(version.name)
        os.replace(self.folder / "..data_tmp", self.folder / "..data")

    @property
    def arguments(self) -> tuple[str, ...]:
        return "--tls-cert", str(self.folder / "tls.crt"), "--tls-key", str(self.folder / "tls.key")


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    return Secret(tmp_path / "secret")


@pytest.fixture
def secured(tmp_path: Path, issuer: Any, upstream: Any, secret: Secret) -> Iterator[Gateway]:
    with running_gateway(tmp_path, issuer, *at(upstream.port), *secret.arguments, scheme="https") as gateway:
        yield gateway


@contextmanager
def handshake(gateway: Gateway, secret: Secret, *protocols: str) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cadata=secret.certificate.decode())
    context.set_alpn_protocols(protocols)
    with (
        socket.create_connection(("127.0.0.1", gateway.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection


def test_partners_call_by_grpc_over_tls(secured, secret, issuer):
    with grpc.secure_channel(f"127.0.0.1:{secured.port}", grpc.ssl_channel_credentials(secret.certificate)) as channel:
        stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
        stub.GetCase(service.GetCaseRequest(case_id="c1"), metadata=tuple(issuer.header("clerk").items()))


def test_both_protocols_of_http_are_offered_and_nothing_without_tls(secured, secret, issuer):
    context = ssl.create_default_context(cadata=secret.certificate.decode())
    answer = httpx.get(f"{secured.url}/approval/v1/cases", headers=issuer.header("clerk"), verify=context)
    assert answer.status_code == 200
    for protocol in ("h2", "http/1.1"):
        with handshake(secured, secret, protocol) as connection:
            assert connection.selected_alpn_protocol() == protocol
            assert connection.version() == "TLSv1.3"
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{secured.port}/healthz")


def test_a_renewed_certificate_is_served_without_a_restart(secured, secret):
    secret.renew()
    for _ in range(100):
        try:
            with handshake(secured, secret):
                return
        except ssl.SSLCertVerificationError:
            time.sleep(0.1)
    raise AssertionError("still the old certificate")


def test_a_certificate_without_its_key_is_refused(tmp_path):
    arguments = ["--out", str(tmp_path), "--jwks", "x", *at(1), "--tls-cert", "tls.crt"]
    with pytest.raises(SystemExit, match="--tls-key"):
        render.render(render.parser().parse_args(arguments), load())
