"""Takes the pictures of the docs from a running city:

    python -m gateway.tests.browser.screenshots http://127.0.0.1:8080 TRACE_ID CODE docs/images

TRACE_ID is the trace to be shown, for example the one that `make demo` ends with; CODE is the verification code of a
credit report.
"""

import sys
from pathlib import Path

from e2e.providers.browser import chromium
from gateway.tests.browser.pages import bars, get_token, open_docs, try_out, verify, watched_page


def main(origin: str, trace_id: str, code: str, folder: Path) -> None:
    """Writes docs-page.png, trace.png and verify.png."""
    with chromium() as browser:
        size = {"width": 1280, "height": 920}
        with watched_page(browser, origin, locale="zh-CN", viewport=size) as watched:
            page = watched.page
            open_docs(page)
            get_token(page, role="enterprise", region="350602")
            answer = try_out(page, "ApprovalService_CreateCase")
            answer.locator("tbody .highlight-code").first.wait_for()
            # The button, and all of the answer below it.
            execute = page.locator("button.execute")
            execute.evaluate("(button) => window.scrollBy(0, button.getBoundingClientRect().top - 250)")
            page.screenshot(path=folder / "docs-page.png")
        size = {"width": 1280, "height": 480}
        with watched_page(browser, origin, locale="zh-CN", viewport=size) as watched:
            bars(watched.page, trace_id)
            watched.page.screenshot(path=folder / "trace.png", full_page=True)
            verify(watched.page, code)
            watched.page.locator("#verdict article:visible").wait_for()
            watched.page.screenshot(path=folder / "verify.png", full_page=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
