"""Numbers of persons in free text: senders write them into facts, contents and notes."""

import re
import unicodedata
from collections.abc import Iterable

from tulou_civics.identifiers import check_credit_code, check_resident_id, mask_identity, mask_phone, passes

# Digits may be full-width, and groups of them set apart.
_APART = "[ 　－-]?"
_RESIDENT = re.compile(rf"(?<!\d)\d(?:{_APART}\d){{16}}{_APART}[\dXxＸｘ](?![\dXxＸｘ])")
# As they are put together, also with a wrong check digit: region, birth date, three digits and one more.
_RESIDENT_FORM = re.compile(r"[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]")
# Before 1999 they had 15 digits.
_OLD_RESIDENT = re.compile(r"(?<!\d)\d{15}(?!\d)")
_OLD_FORM = re.compile(r"[1-9]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}")
_PHONE = re.compile(rf"(?<!\d)((?:[+＋]?[8８][6６]{_APART})?)([1１][3-9３-９]\d{_APART}\d{{4}}{_APART}\d{{4}})(?!\d)")


def masked_text(text: str, *, known: Iterable[str] = ()) -> str:
    """The text with identity numbers, phones and the `known` numbers masked; credit codes stay."""
    text = _masked_residents(_masked_known(text, known))
    text = _OLD_RESIDENT.sub(lambda found: mask_identity(found[0]) if _is_old(found[0]) else found[0], text)
    return _PHONE.sub(lambda found: found[1] + mask_phone(found[2]), text)


def masked_number(text: str, *, known: Iterable[str] = ()) -> str:
    """The number of a document or a registration, which may look like a phone, with identity numbers masked.

    A natural person's tax number is the identity number with digits behind it.
    """
    head, tail = text[:18], text[18:]
    if tail.isdecimal() and _is_resident(head):
        return mask_identity(head) + tail
    return _masked_residents(_masked_known(text, known))


def _masked_known(text: str, known: Iterable[str]) -> str:
    for number in known:
        if number:
            text = re.sub(re.escape(number), mask_identity(number), text, flags=re.IGNORECASE)
    return text


def _masked_residents(text: str) -> str:
    return _RESIDENT.sub(lambda found: mask_identity(found[0]) if _is_resident(found[0]) else found[0], text)


def _is_resident(text: str) -> bool:
    compact = re.sub("[ -]", "", unicodedata.normalize("NFKC", text)).upper()
    if not _RESIDENT_FORM.fullmatch(compact):
        return False
    return passes(check_resident_id, compact) or not passes(check_credit_code, compact)


def _is_old(text: str) -> bool:
    return _OLD_FORM.fullmatch(unicodedata.normalize("NFKC", text)) is not None
