"""What all pages share: language, templates, the headers that keep them safe, and bounded bodies."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tulou_gateway.replies import REPLIES

ZH, EN = "zh-CN", "en"

_ENVIRONMENT = Environment(
    loader=PackageLoader("tulou_gateway"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)

# Nothing from elsewhere, nothing inline. data: is for the small icons in Swagger UI's style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class SecurityHeaders:
    """Adds the same protecting headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                # What a page shows is of the moment; files bring their own validators.
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def language_of(request: Request) -> str:
    """Either "en" or "zh-CN": as ?lang= says, else whichever of the two `accept-language` names first, else Chinese."""
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
    first = re.search(r"(?:^|,)\s*(zh|en)\b", asked, re.IGNORECASE)
    return EN if first and first[1].lower() == "en" else ZH


def render(request: Request, template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """A page. In templates t(chinese, english) picks the text, link(path) keeps a language chosen by hand."""
    language = language_of(request)
    other = request.url.include_query_params(lang=EN if language == ZH else "zh")
    html = _ENVIRONMENT.get_template(template).render(
        language=language,
        t=partial(_text, language),
        link=_linker(request),
        other_language=f"{other.path}?{other.query}",
        path=request.url.path,
        has_traces=request.app.state.has_traces,
        **values,
    )
    return HTMLResponse(html, status_code, headers={"content-language": language, "vary": "accept-language"})


class BodyTooLarge(Exception):
    """The caller sends more than is taken."""


async def read_body(request: Request, largest: int) -> bytes:
    """The body. Raises BodyTooLarge as soon as it passes `largest` bytes."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > largest:
            raise BodyTooLarge
    return bytes(body)


def refuse(request: Request, status_code: int, *, violation: tuple[str, str, str, str] | None = None) -> JSONResponse:
    """A refusal in the one error model; `violation` is field, rule, Chinese and English."""
    reply = next(reply for reply in REPLIES if reply.http == status_code)
    return JSONResponse(replace(reply, violation=violation).body(language_of(request)), status_code)


def _text(language: str, chinese: str, english: str) -> str:
    return english if language == EN else chinese


def _linker(request: Request) -> Callable[[str], str]:
    chosen = request.query_params.get("lang")
    return lambda path: f"{path}?lang={language_of(request)}" if chosen else path
