"""A headless Chromium for tests of pages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from e2e.providers.packages import installed

# As root in a closed network: no sandbox, and nothing that looks for hosts of its own.
_QUIET: Final = (
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The one that CHROMIUM names, else the installed one, else Debian's. Raises Unavailable where there is none."""
    path = os.environ.get("CHROMIUM") or installed("chromium", package="chromium", folders="/usr/bin")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_QUIET))
        yield browser
        browser.close()
