"""Credit reports (信用报告): how much they tell, what third parties see of names, and the code they are verified by."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from tulou_civics.identifiers import mask_name

CODE_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without what is easily taken for another: 0 and O, 1 and I."""
CODE_LENGTH: Final = 16
_PERSONS: Final = ("representative",)


class ReportKind(StrEnum):
    """How much a report tells."""

    OWN = "OWN"  # 本人报告: all, to the subject itself
    AUTHORISED = "AUTHORISED"  # 授权报告: what is public, and what an authorisation covers
    PUBLIC = "PUBLIC"  # 公开信息报告: what is public


def code_as_kept(typed: str) -> str:
    """A code as people type it, without spaces and hyphens, in capital letters."""
    return "".join(typed.split()).replace("-", "").upper()


def code_as_shown(code: str) -> str:
    """A code in groups of four."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def masked_content(content: Mapping[str, Any], *, names: Sequence[str]) -> dict[str, Any]:
    """What a record says, for third parties: the `names` of persons and the representatives in it are masked."""
    told = [str(content.get(field, "")) for field in _PERSONS]
    # A name of one character is in any text.
    persons = sorted({name for name in (*names, *told) if len(name) > 1}, key=len, reverse=True)

    def masked(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: masked(part) for name, part in value.items()}
        if isinstance(value, list):
            return [masked(part) for part in value]
        if isinstance(value, str):
            for name in persons:
                value = value.replace(name, mask_name(name))
        return value

    return {name: masked(value) for name, value in content.items()}
