"""Which lines of the log wait, and which do not."""

import asyncio
from io import BytesIO

import pytest

from tulou_chassis import logs
from tulou_chassis.logs import Lines


class Paper(BytesIO):
    """Knows what has been flushed."""

    flushed = b""

    def flush(self) -> None:
        """See BytesIO."""
        self.flushed = self.getvalue()


@pytest.fixture
def paper() -> Paper:
    """Nothing on it yet."""
    return Paper()


def test_without_an_event_loop_every_line_is_written_at_once(paper: Paper) -> None:
    Lines(paper).info(b"one")
    assert paper.flushed == b"one\n"


async def test_on_an_event_loop_lines_are_written_together(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0)
    lines = Lines(paper)
    for turn in (b"one\ntwo\n", b"one\ntwo\none\ntwo\n"):
        before = paper.flushed
        lines.info(b"one")
        lines.debug(b"two")
        assert paper.flushed == before
        await asyncio.sleep(0.01)
        assert paper.flushed == turn


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
async def test_what_is_wrong_is_written_at_once_with_what_waits(paper: Paper, level: str) -> None:
    lines = Lines(paper)
    lines.info(b"before")
    getattr(lines, level)(b"wrong")
    assert paper.flushed == b"before\nwrong\n"
