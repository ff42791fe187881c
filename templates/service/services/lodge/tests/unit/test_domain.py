"""What a note may say."""

import pytest

from tulou_lodge.domain import TextBlank, text_of


def test_blanks_around_a_text_are_left_out() -> None:
    assert text_of(" 漏水 \n") == "漏水"


@pytest.mark.parametrize("written", ["", " ", "\t\n", "　"])
def test_a_note_that_says_nothing_is_refused(written: str) -> None:
    with pytest.raises(TextBlank):
        text_of(written)
