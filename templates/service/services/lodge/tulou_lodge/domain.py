"""What a note may say."""


class TextBlank(Exception):
    """A note's text holds nothing but blanks."""


def text_of(written: str) -> str:
    """The text without the blanks around it. Raises TextBlank when nothing is left."""
    text = written.strip()
    if not text:
        raise TextBlank
    return text
