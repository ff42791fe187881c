"""The two languages that callers are answered in."""

from typing import Final

ZH: Final = "zh-CN"
EN: Final = "en"


def locale_of(accepted: str) -> str:
    """English when the caller puts it before Chinese, else Chinese."""
    for part in accepted.lower().split(","):
        language = part.strip().partition(";")[0]
        if language.startswith("en"):
            return EN
        if language.startswith("zh"):
            return ZH
    return ZH
