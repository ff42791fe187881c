"""Writes Envoy's configuration for one machine or one cluster into a folder: bootstrap.yaml, cds.yaml, body_check.lua,
descriptors.binpb, and tls.yaml where there is a certificate."""

import argparse
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tulou_gateway.access import cluster_of, large_paths, policies, routes
from tulou_gateway.body_check import lua_tables
from tulou_gateway.descriptors import Api, load
from tulou_gateway.replies import mappers

# envoy.yaml, clusters.yaml, tls.yaml and lua/ stand beside the package.
SOURCES: Final = Path(__file__).resolve().parents[1]
OPEN_SERVICES: Final = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
PORTAL_PREFIXES: Final = (
    "/docs",
    "/openapi.json",
    "/traces",
    "/api/traces",
    "/static",
    "/dev/token",
    "/credit/verify",
)
LOCAL_ORIGINS: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"
MAX_JSON_BYTES: Final = 1024 * 1024
# 20 MiB, 512 MiB for data files, and a little more, because gRPC frames count too; the services hold the exact bounds.
MAX_UPLOAD_BYTES: Final = 20 * 1024 * 1024 + 64 * 1024
MAX_LARGE_UPLOAD_BYTES: Final = 512 * 1024 * 1024 + 1024 * 1024

_FILTER_CONFIG: Final = "type.googleapis.com/envoy.config.route.v3.FilterConfig"


@dataclass(frozen=True)
class Cluster:
    """One cluster of cds.yaml. `named`: the host is a name, behind which there may be many instances, not an address;
    `health` is how they are asked for theirs, "" if not at all."""

    name: str
    host: str
    port: int
    named: bool
    tls: bool
    grpc: bool
    health: str


def parser() -> argparse.ArgumentParser:
    """The arguments of `render`; every value that differs between deployments is one."""
    found = argparse.ArgumentParser(prog="python -m tulou_gateway render", description=__doc__)
    add = found.add_argument
    add("--out", type=Path, required=True, help="folder to write into")
    add("--address", default="127.0.0.1", help="address the gateway listens on (%(default)s)")
    add("--port", type=int, default=8080, help="port the gateway listens on (%(default)s)")
    add("--admin-port", type=int, help="port of Envoy's admin page on 127.0.0.1 (port + 2)")
    add("--metrics-address", type=_host_port, metavar="HOST:PORT", help="/metrics, /livez and /readyz; absent: none")
    add("--service", action="append", default=[], metavar="NAME=HOST:PORT", help="where a service is; for each service")
    add("--portal", metavar="HOST:PORT", help="where the docs, traces and token pages are; absent: no such pages")
    add("--otlp", metavar="URL", help="OTLP/HTTP endpoint, for example http://127.0.0.1:8081; absent: spans go nowhere")
    add("--sampling", type=float, default=100, help="per cent of the requests that are traced (%(default)s)")
    add("--issuer", default="https://tulou.localhost", help="issuer of the tokens (%(default)s)")
    add("--audience", default="tulou", help="audience of the tokens (%(default)s)")
    add("--jwks", required=True, metavar="FILE|URL", help="the issuer's keys")
    add("--tls-cert", type=Path, metavar="FILE", help="certificate chain, read again when renewed; absent: no TLS")
    add("--tls-key", type=Path, metavar="FILE", help="its private key")
    add("--cors", default=LOCAL_ORIGINS, metavar="REGEX", help="origins whose pages may call (pages of this machine)")
    add("--token-rate", type=int, default=200, help="requests a second of one token; twice that at once (%(default)s)")
    add("--address-rate", type=int, default=1000, help="the same for one address (%(default)s)")
    add("--trusted-hops", type=int, default=0, help="proxies before us that set x-forwarded-for (%(default)s)")
    add("--access-log", metavar="FILE", help="absent: standard output")
    add("--max-connections", type=int, default=10_000, help="open connections (%(default)s)")
    add("--max-requests", type=int, default=1_000, help="requests under way to one service (%(default)s)")
    add("--ca-file", default="/etc/ssl/certs/ca-certificates.crt", help="roots for a JWKS or OTLP URL with https")
    return found


def main(argv: list[str]) -> None:
    """Renders. Raises SystemExit on arguments that do not fit the protos."""
    arguments = parser().parse_args(argv)
    render(arguments, load())


def render(arguments: argparse.Namespace, api: Api) -> None:
    """Writes the files. Raises SystemExit unless each service of the descriptors, and no other, has an address, and
    when a certificate comes without its key."""
    addresses = dict(one.partition("=")[::2] for one in arguments.service)
    services = list(dict.fromkeys(cluster_of(service) for service in api.services))
    if set(addresses) != set(services):
        raise SystemExit(f"--service must be given for each of: {', '.join(services)}; got: {', '.join(addresses)}")
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        raise SystemExit("--tls-cert and --tls-key are given together or not at all")
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)

    admin_port = arguments.admin_port or arguments.port + 2
    clusters = []
    for name in services:
        asked = next(service for service in api.services if cluster_of(service) == name)
        health = f"grpc_health_check: {{service_name: {asked}}}"
        clusters.append(_cluster(name, f"//{addresses[name]}", grpc=True, health=health))
    if arguments.portal:
        clusters.append(_cluster("portal", f"//{arguments.portal}", health="http_health_check: {path: /healthz}"))
    if arguments.metrics_address:
        clusters.append(_cluster("admin", f"//127.0.0.1:{admin_port}"))
    if arguments.otlp:
        clusters.append(_cluster("otlp", arguments.otlp))
    if "://" in arguments.jwks:
        clusters.append(_cluster("jwks", arguments.jwks))

    environment = Environment(
        loader=FileSystemLoader(SOURCES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    values: dict[str, Any] = vars(arguments) | {
        "out": str(out),
        "admin_port": admin_port,
        "otlp_url": f"{(arguments.otlp or 'http://nowhere').rstrip('/')}/v1/traces",
        "sampling": arguments.sampling if arguments.otlp else 0,
        "jwks_url": arguments.jwks if "://" in arguments.jwks else "",
        # Not resolved: a mounted secret is a link, and where it leads is gone when the secret has changed.
        "jwks_file": Path(arguments.jwks).absolute(),
        "tls_cert": arguments.tls_cert and arguments.tls_cert.absolute(),
        "tls_key": arguments.tls_key and arguments.tls_key.absolute(),
        "max_json_bytes": MAX_JSON_BYTES,
        "max_upload_bytes": MAX_UPLOAD_BYTES,
        "max_large_upload_bytes": MAX_LARGE_UPLOAD_BYTES,
        "large_paths": large_paths(api.rpcs),
        "no_small_limit": {"body_size_limit": {"@type": _FILTER_CONFIG, "disabled": True}},
        "services": api.services,
        "policies": policies(api.rpcs),
        "routes": routes(api.rpcs),
        "methods": _methods(api),
        "open_services": OPEN_SERVICES,
        "open_cluster": services[0],
        "portal_prefixes": PORTAL_PREFIXES,
        "mappers": list(mappers()),
        "clusters": clusters,
        "bucket": _bucket,
    }
    templates = {"envoy.yaml": "bootstrap.yaml", "clusters.yaml": "cds.yaml"}
    if arguments.tls_cert:
        templates["tls.yaml"] = "tls.yaml"
    for template, name in templates.items():
        text = environment.get_template(template).render(values)
        yaml.safe_load(text)
        _write(out / name, text.encode())
    check = (SOURCES / "lua" / "body_check.lua").read_text()
    _write(out / "body_check.lua", (lua_tables(api.rpcs) + check).encode())
    _write(out / "descriptors.binpb", _without_comments(api.raw))


def _cluster(name: str, url: str, *, grpc: bool = False, health: str = "") -> Cluster:
    parts = urlsplit(url)
    if not parts.hostname:
        raise SystemExit(f"{name}: no host in {url.lstrip('/')!r}")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    return Cluster(name, parts.hostname, port, not _is_address(parts.hostname), tls, grpc, health)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _methods(api: Api) -> list[dict[str, Any]]:
    """Only these are counted by name: a caller must not be able to invent another."""
    names: dict[str, list[str]] = defaultdict(list)
    for rpc in api.rpcs:
        names[rpc.service].append(rpc.name)
    return [{"name": service, "method_names": found} for service, found in names.items()]


def _host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _bucket(rate: int) -> str:
    return json.dumps({"max_tokens": 2 * rate, "tokens_per_fill": rate, "fill_interval": "1s"})


def _without_comments(raw: bytes) -> bytes:
    """Envoy keeps the set in memory and needs no comments."""
    file_set = FileDescriptorSet.FromString(raw)
    for file in file_set.file:
        file.ClearField("source_code_info")
    return file_set.SerializeToString(deterministic=True)


def _write(path: Path, content: bytes) -> None:
    # Envoy watches cds.yaml for a rename, and must never read half a file.
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    os.replace(temporary, path)
