"""What a person does on the portal's pages, for browser tests of one page and of the whole city."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

PATIENCE_MS = 15_000


class Watched:
    """A page and what it complained about: script errors, blocked content, and requests to other origins."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        page.on("request", self._requested)

    def _heard(self, message: Any) -> None:
        # A refused call is an answer to be shown, not a fault of the page.
        if message.type == "error" and "the server responded with a status of" not in message.text:
            self.complaints.append(message.text)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.complaints.append(f"asked another origin: {request.url}")


@contextmanager
def watched_page(browser: Browser, origin: str, **options: Any) -> Iterator[Watched]:
    """A fresh page in a context of its own; relative addresses are under `origin`."""
    context = browser.new_context(base_url=origin, **options)
    yield Watched(context.new_page(), origin)
    context.close()


def open_docs(page: Page) -> None:
    """Opens the docs page and waits until its operations are drawn."""
    page.goto("/docs")
    expect(page.locator(".opblock").first).to_be_visible(timeout=PATIENCE_MS)


def get_token(page: Page, *, role: str, department: str = "", region: str = "3506") -> None:
    """Fills the token box and waits until the page says for whom the token is."""
    form = page.locator("#token")
    form.locator("[name=role]").select_option(role)
    if department:
        form.locator("[name=department]").fill(department)
    form.locator("[name=region]").fill(region)
    form.locator("button[type=submit]").click()
    expect(page.locator("#holder")).to_have_class("good", timeout=PATIENCE_MS)


def try_out(page: Page, operation: str, *, body: str | None = None, **parameters: str) -> Locator:
    """Opens an operation ("ApprovalService_CreateCase"), presses Try it out, fills what is given over the examples,
    presses Execute. Returns the block of the answer once it is there."""
    block = page.locator(f"[id='operations-{operation.partition('_')[0]}-{operation}']")
    if "is-open" not in (block.get_attribute("class") or ""):
        block.locator(".opblock-summary-control").click()
    if block.locator("button.execute").count() == 0:
        block.locator("button.try-out__btn").click()
    if body is not None:
        block.locator("textarea.body-param__text").fill(body)
    for name, value in parameters.items():
        block.locator(f"tr[data-param-name={name}] input").fill(value)
    if block.locator("button.btn-clear").count():
        block.locator("button.btn-clear").click()  # else the answer before would be taken for the new one
    block.locator("button.execute").click()
    answer = block.locator(".live-responses-table")
    expect(answer).to_be_visible(timeout=PATIENCE_MS)
    return answer


def status_of(answer: Locator) -> int:
    """The HTTP status in the block of an answer."""
    return int(answer.locator("tbody .response-col_status").first.inner_text().split()[0])


def text_of(answer: Locator) -> str:
    """The body in the block of an answer."""
    return answer.locator("tbody .highlight-code pre").first.inner_text()


def verify(page: Page, code: str, path: str | None = "/credit/verify") -> None:
    """Types the code of a credit report into the verification page, of the page that is open where `path` is None."""
    if path:
        page.goto(path)
    page.locator("#verify [name=code]").fill(code)
    page.locator("#verify button").click()


def bars(page: Page, trace_id: str) -> dict[str, float]:
    """Opens a trace; the width in pixels of the bar of each span, by the span's name."""
    page.goto(f"/traces/{trace_id}")
    spans = page.locator("details.span")
    expect(spans.first).to_be_visible(timeout=PATIENCE_MS)
    found = {}
    for span in spans.all():
        box = span.locator("svg rect:not(.pause)").bounding_box()
        found[span.locator(".what").inner_text()] = box["width"] if box else 0.0
    return found
