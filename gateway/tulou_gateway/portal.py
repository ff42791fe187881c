"""The portal: home, docs, traces, verification of reports, the receiver of spans, and tokens to try things out with."""

import argparse
import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tulou_gateway import openapi, tokens
from tulou_gateway.descriptors import Api, load
from tulou_gateway.pages import BodyTooLarge, SecurityHeaders, language_of, read_body, refuse, render
from tulou_gateway.trace_pages import trace_routes
from tulou_gateway.traces import TraceStore

MAX_TOKEN_REQUEST = 4096
APPLICANTS = ("citizen", "enterprise")
# Of a report's verification code as people write it; what the service takes, too.
LONGEST_CODE = 40
# The longest text of each field of a wish for a token.
LONGEST = {"role": 32, "department": 32, "region": 12, "subject": 128, "name": 100, "identity": 64}


@dataclass(frozen=True)
class Issuer:
    """What tokens are minted with."""

    key_pem: bytes
    issuer: str
    audience: str


@dataclass(frozen=True)
class Role:
    """A role that some RPC asks for, with what the protos call it."""

    name: str
    chinese: str
    english: str


def create_app(
    *, document: bytes, roles: Sequence[Role], traces: TraceStore | None, issuer: Issuer | None
) -> Starlette:
    """The portal over an OpenAPI document. Without a store there are no trace pages, without an issuer no tokens."""
    etag = f'"{hashlib.sha256(document).hexdigest()[:16]}"'

    def home(request: Request) -> Response:
        return render(request, "home.html", has_tokens=issuer is not None)

    def docs(request: Request) -> Response:
        return render(
            request,
            "docs.html",
            roles=roles if issuer else [],
            applicants=APPLICANTS,
            example_request_id=openapi.EXAMPLE_REQUEST_ID,
        )

    def verify(request: Request) -> Response:
        given = request.query_params.get
        chosen = language_of(request) if given("lang") else ""
        code = given("code", "")[:LONGEST_CODE]
        return render(request, "verify.html", code=code, longest=LONGEST_CODE, chosen_language=chosen)

    def document_json(request: Request) -> Response:
        headers = {"etag": etag}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(document, media_type="application/json", headers=headers)

    async def token(request: Request) -> Response:
        if issuer is None:
            return refuse(request, 404)
        try:
            wanted = json.loads(await read_body(request, MAX_TOKEN_REQUEST))
        except BodyTooLarge:
            return refuse(request, 413)
        except ValueError:
            return refuse(request, 400)
        if wrong := _wrong_field(wanted, {role.name for role in roles}):
            return refuse(request, 400, violation=wrong)
        return JSONResponse(_token(issuer, wanted), headers={"cache-control": "no-store"})

    def healthy(request: Request) -> Response:
        if request.app.state.ends_at:
            return PlainTextResponse("draining\n", 503)
        return PlainTextResponse("ok\n")

    def nothing(request: Request, _error: Exception) -> Response:
        return refuse(request, 404)

    routes = [
        Route("/", home),
        Route("/docs", docs),
        Route("/openapi.json", document_json),
        Route("/credit/verify", verify),
        Route("/dev/token", token, methods=["POST"]),
        Route("/healthz", healthy),
        Mount("/static", _Static(packages=[("tulou_gateway", "static")])),
        *(trace_routes(traces) if traces else []),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)], exception_handlers={404: nothing})
    app.state.has_traces = traces is not None
    # When it ends, by the monotonic clock; 0 until it is told to.
    app.state.ends_at = 0.0
    return app


def document_of(api: Api) -> bytes:
    """The OpenAPI document of the API with the packaged examples, as JSON."""
    return json.dumps(openapi.build(api, openapi.examples()), ensure_ascii=False).encode()


def roles_of(api: Api) -> list[Role]:
    """The roles that the API's RPCs name, in the order of the protos, with the words of their comments."""
    used = {role for rpc in api.rpcs if rpc.access for role in rpc.access.roles}
    enum = api.pool.FindEnumTypeByName("tulou.options.v1.Role")
    found = []
    for value in enum.values:
        name = value.name.removeprefix("ROLE_").lower()
        comment = api.comments.get(f"{enum.full_name}.{value.name}", "")
        english, _, chinese = comment.rstrip(").").partition(" (")
        if name in used:
            found.append(Role(name, chinese, english))
    return found


class _Server(uvicorn.Server):
    """Goes on serving for some seconds after SIGTERM, healthy no more; the process then ends with status 0."""

    def __init__(self, config: uvicorn.Config, app: Starlette, drain_delay: float) -> None:
        super().__init__(config)
        self._state = app.state
        self._drain_delay = drain_delay

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        elif not self._state.ends_at:
            self._state.ends_at = time.monotonic() + self._drain_delay

    async def on_tick(self, counter: int) -> bool:
        ended = 0 < self._state.ends_at <= time.monotonic()
        return await super().on_tick(counter) or ended


def parser() -> argparse.ArgumentParser:
    """The arguments of `portal`."""
    found = argparse.ArgumentParser(prog="python -m tulou_gateway portal", description=__doc__)
    add = found.add_argument
    add("--address", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=int(os.environ.get("PORT") or 8080) + 1, help="port (the gateway's PORT plus one)")
    add("--traces", type=Path, help="file of the span store; without it there are no trace pages")
    add("--signing-key", type=Path, help="issuer.pem; without it there is no /dev/token")
    add("--issuer", default=os.environ.get("TULOU_OIDC_ISSUER", "https://tulou.localhost"), help="iss of tokens")
    add("--audience", default=os.environ.get("TULOU_OIDC_AUDIENCE", "tulou"), help="aud of tokens")
    add("--drain-delay", type=float, default=0, help="how long requests are taken after SIGTERM (%(default)s)")
    return found


def main(argv: list[str]) -> None:
    """Serves the portal until SIGTERM."""
    given = parser().parse_args(argv)
    key = given.signing_key
    api = load()
    app = create_app(
        document=document_of(api),
        roles=roles_of(api),
        traces=TraceStore(given.traces) if given.traces else None,
        issuer=Issuer(key.read_bytes(), given.issuer, given.audience) if key else None,
    )
    del api  # It is large, and not needed any more.
    config = uvicorn.Config(
        app,
        host=given.address,
        port=given.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        # Envoy keeps connections for an hour; were they closed here first, a call could run into the closing.
        timeout_keep_alive=3660,
        timeout_graceful_shutdown=5,
        limit_concurrency=1_000,
    )
    _Server(config, app, given.drain_delay).run()


class _Static(StaticFiles):
    """Files of other projects stand under their version, so what a browser has of them stays right."""

    def file_response(
        self, full_path: Any, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        if "/vendor/" in scope["path"]:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def _wrong_field(wanted: Any, roles: set[str]) -> tuple[str, str, str, str] | None:
    """The first field that breaks its rule: name, rule, in Chinese, in English."""
    if not isinstance(wanted, dict):
        return "", "type", "应为 JSON 对象。", "Must be a JSON object."
    for name, longest in LONGEST.items():
        value = wanted.get(name, "")
        if not isinstance(value, str) or len(value) > longest:
            return (
                name,
                "max_length",
                f"应为不超过 {longest} 个字符的文本。",
                f"Must be text of at most {longest} characters.",
            )
    if wanted.get("role") not in roles:
        return "role", "enum", "不是已定义的角色。", "Not one of the defined roles."
    if not re.fullmatch(r"[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12}", wanted.get("region", "3506")):
        return "region", "format", "应为 4、6、9 或 12 位区划代码。", "Must be a division code of 4, 6, 9 or 12 digits."
    return None


def _token(issuer: Issuer, wanted: Mapping[str, str]) -> dict[str, Any]:
    role = wanted["role"]
    department = "" if role in APPLICANTS else wanted.get("department", "")
    subject = wanted.get("subject") or "-".join(filter(None, ["dev", role, department.lower()]))
    text = tokens.mint(
        issuer.key_pem,
        issuer=issuer.issuer,
        audience=issuer.audience,
        subject=subject,
        roles=[role],
        org=department,
        region=wanted.get("region", "3506"),
        name=wanted.get("name") or subject,
        identity=wanted.get("identity", "") if role in APPLICANTS else "",
    )
    return {"token": text, "expiresIn": tokens.MAX_TTL_SECONDS, "subject": subject}
