"""From the RPCs to Envoy's rules: who may call what, and how each kind of call is routed, bounded and tried again."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tulou_gateway.descriptors import Rpc

HTTP_BODY: Final = "google.api.HttpBody"
# The uploads that take whole data files; each service holds the exact bound, the gateway that of render.py.
LARGE_UPLOADS: Final = ("/tulou.credit.v1.ImportService/UploadImport",)


@dataclass(frozen=True)
class Policy:
    """One access rule with the RPCs it holds for. No roles means anyone."""

    name: str
    roles: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """How calls of one kind are treated. `timeout` runs from the end of the request, `longest` bounds the whole stream,
    `idle_timeout` replaces the listener's. When time is up the service's call is cancelled too. A `large` one may have
    a larger body than others."""

    title: str
    timeout: str
    longest: str
    idle_timeout: str = ""
    retry_on: str = ""
    per_try_timeout: str = ""
    large: bool = False


# Tried again whatever happened: doing it twice is doing it once. An instance that could wait no longer says CANCELLED.
_ANY_FAILURE: Final = "connect-failure,refused-stream,reset-before-request,reset,unavailable,cancelled"
# Tried again only if no service has seen it; of an upload only as long as no more than a buffer has come.
_NOT_SEEN: Final = "connect-failure,refused-stream,reset-before-request"

READ: Final = Kind("Reads: safe to repeat.", "15s", "20s", retry_on=_ANY_FAILURE, per_try_timeout="5s")
WRITE: Final = Kind(
    "Writes with a request_id: the service answers a repeated id with its first answer.",
    "15s", "20s", retry_on=_ANY_FAILURE,
)  # fmt: skip
CALL: Final = Kind("Calls that could take effect twice.", "15s", "20s", retry_on=_NOT_SEEN)
UPLOAD: Final = Kind("Uploads: passed on as they come.", "30s", "240s", retry_on=_NOT_SEEN)
# The slowest: 512 MiB at 2.5 Mbit/s.
LARGE_UPLOAD: Final = Kind("Uploads of data files.", "60s", "1800s", retry_on=_NOT_SEEN, large=True)
DOWNLOAD: Final = Kind("Downloads.", "60s", "240s", retry_on=_NOT_SEEN)
# The caller comes back with its cursor when the hour is over.
STREAM: Final = Kind("Event streams: quiet ones are not cut off.", "0s", "3600s", idle_timeout="0s", retry_on=_NOT_SEEN)


def kind_of(rpc: Rpc) -> Kind:
    """How a call of this RPC is treated."""
    if rpc.client_streaming:
        return LARGE_UPLOAD if rpc.path in LARGE_UPLOADS else UPLOAD
    if rpc.server_streaming:
        return DOWNLOAD if rpc.response.full_name == HTTP_BODY else STREAM
    if all(binding.verb == "GET" for binding in rpc.http) and rpc.http:
        return READ
    return WRITE if "request_id" in rpc.request.fields_by_name else CALL


def policies(rpcs: Iterable[Rpc]) -> list[Policy]:
    """The policies, RPCs with equal roles together. An RPC without an access rule is in none: denied."""
    paths: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for rpc in rpcs:
        if rpc.access and (rpc.access.anonymous or rpc.access.roles):
            paths[() if rpc.access.anonymous else tuple(sorted(rpc.access.roles))].append(rpc.path)
    return [Policy(", ".join(roles) or "anyone", roles, tuple(found)) for roles, found in sorted(paths.items())]


@dataclass(frozen=True)
class Route:
    """One route: the RPCs of one kind in one service, as a regular expression over the gRPC path."""

    regex: str
    cluster: str
    kind: Kind


def routes(rpcs: Iterable[Rpc]) -> list[Route]:
    """The routes. A path of no known RPC has none."""
    names: dict[tuple[str, Kind], list[str]] = defaultdict(list)
    for rpc in rpcs:
        names[rpc.service, kind_of(rpc)].append(rpc.name)
    return [
        Route(f"/{re.escape(service)}/({'|'.join(found)})", cluster_of(service), kind)
        for (service, kind), found in names.items()
    ]


def large_paths(rpcs: Iterable[Rpc]) -> list[str]:
    """The HTTP paths of the calls with large bodies, as regular expressions."""
    templates = (binding.template for rpc in rpcs if kind_of(rpc).large for binding in rpc.http)
    return [re.sub(r"\\\{[^{}]*\\\}", "[^/]+", re.escape(template)) for template in templates]


def cluster_of(service: str) -> str:
    """The cluster of a gRPC service: "approval" for "tulou.approval.v1.ApprovalService"."""
    return service.split(".")[1]
