"""What commands take for a time."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime

import pytest

from tulou_chassis.arguments import instant


def test_a_time_with_its_zone_is_an_instant() -> None:
    assert instant("2026-03-01T08:00+08:00") == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01", "2026-03-01T08:00"])
def test_a_time_whose_zone_is_a_guess_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="no time with its zone"):
        instant(text)
