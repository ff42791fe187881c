"""Waiting for what comes about soon, bounded."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
SECONDS: Final = 30.0


def eventually(look: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """What `look` gives, once it raises no AssertionError and gives nothing that is false (None is not).

    Looks ten times a second. Raises the last AssertionError when time is up.
    """
    give_up = time.monotonic() + seconds
    while True:
        try:
            found = look()
            assert found or found is None, f"still {found!r} after {seconds} s"
            return found
        except AssertionError:
            if time.monotonic() > give_up:
                raise
        time.sleep(0.1)
