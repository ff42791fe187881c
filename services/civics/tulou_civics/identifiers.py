"""Identifiers of people, organisations, cases and e-licences: their checks, how ours are made, and how they are masked.

No error and no masked form gives away the number it is about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Literal

from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_11_10, mod_37_36

Kind = Literal["resident_id", "credit_code", "case_number", "licence_identifier"]
Why = Literal["length", "form", "date", "check_digit"]

LICENCE_ROOT = "1.2.156.3005.2"

_RESIDENT_ID = re.compile(r"[1-9][0-9]{5}(?:18|19|20)[0-9]{9}[0-9X]")
# The first two characters, registering authority and kind of body, may be letters: village collectives have N2.
_CREDIT_CODE = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_CASE_NUMBER = re.compile(r"[1-9][0-9]{19}")
# Real issuers are not always an 18-character credit code: 6-digit division codes were seen.
_LICENCE_IDENTIFIER = re.compile(
    re.escape(LICENCE_ROOT) + r"\.([0-9A-Z]{21})\.([0-9A-Z]{6,18})\.([0-9A-Z]{1,32})\.([0-9]{3})\.([0-9A-Z])"
)
_COMPOUND_SURNAME = re.compile(
    "欧阳|太史|端木|上官|司马|东方|独孤|南宫|万俟|闻人|夏侯|诸葛|尉迟|公羊|赫连|澹台"
    "|皇甫|宗政|濮阳|公冶|太叔|申屠|公孙|慕容|仲孙|钟离|长孙|宇文|司徒|鲜于|司空|闾丘"
    "|子车|亓官|司寇|巫马|公西|颛孙|壤驷|公良|漆雕|乐正|宰父|谷梁|拓跋|夹谷|轩辕|令狐"
    "|段干|百里|呼延|东郭|南门|羊舌|微生|梁丘|左丘|东门|西门|第五|纳兰"
)


class InvalidIdentifier(ValueError):
    """An identifier that cannot be right: what kind it should be, and which check it fails. Never holds the number."""

    def __init__(self, kind: Kind, why: Why) -> None:
        super().__init__(f"invalid {kind}: {why}")
        self.kind = kind
        self.why = why


def _compact(number: str) -> str:
    """Upper case without spaces and hyphens; full-width characters, as Chinese input methods type them, made narrow."""
    return unicodedata.normalize("NFKC", number).replace(" ", "").replace("-", "").upper()


def check_resident_id(number: str) -> str:
    """The 18-character identity number (GB 11643), normalised; its length, form, birth date and check digit are right.

    Residence permits of people from Hong Kong, Macau and Taiwan and foreigners' permanent residence cards have the same
    form. The place is not compared with the birth date: numbers were first given out in 1984, so those of older people
    begin with a code that came after their birth. A birth date to come is not noticed. Raises InvalidIdentifier.
    """
    compact = _compact(number)
    if len(compact) != 18:
        raise InvalidIdentifier("resident_id", "length")
    if not _RESIDENT_ID.fullmatch(compact):
        raise InvalidIdentifier("resident_id", "form")
    try:
        ric.get_birth_date(compact)
    except ValidationError:
        raise InvalidIdentifier("resident_id", "date") from None
    if ric.calc_check_digit(compact) != compact[-1]:
        raise InvalidIdentifier("resident_id", "check_digit")
    return compact


def check_credit_code(code: str) -> str:
    """The unified social credit code (统一社会信用代码, GB 32100), normalised. Raises InvalidIdentifier."""
    compact = _compact(code)
    if len(compact) != 18:
        raise InvalidIdentifier("credit_code", "length")
    if not _CREDIT_CODE.fullmatch(compact):
        raise InvalidIdentifier("credit_code", "form")
    if uscc.calc_check_digit(compact) != compact[-1]:
        raise InvalidIdentifier("credit_code", "check_digit")
    return compact


def case_number(region6: str, day: date, serial: int) -> str:
    """A case number (办件编号) of 20 digits: region, day, serial of region and day, ISO 7064 MOD 11,10 check digit.

    `region6` is a 6-digit division code, 350600 for the city itself; `serial` is 1 to 99999. Raises ValueError.
    """
    if not re.fullmatch(r"[1-9][0-9]{5}", region6):
        raise ValueError(f"region must have 6 digits, not {region6!r}")
    if not 1 <= serial <= 99_999:
        raise ValueError(f"serial must be 1 to 99999, not {serial}")
    digits = f"{region6}{day:%Y%m%d}{serial:05d}"
    return digits + mod_11_10.calc_check_digit(digits)


def check_case_number(number: str) -> str:
    """The case number, normalised; length, form, date and check digit are right. Raises InvalidIdentifier."""
    compact = _compact(number)
    if len(compact) != 20:
        raise InvalidIdentifier("case_number", "length")
    if not _CASE_NUMBER.fullmatch(compact):
        raise InvalidIdentifier("case_number", "form")
    if not mod_11_10.is_valid(compact):
        raise InvalidIdentifier("case_number", "check_digit")
    try:
        date(int(compact[6:10]), int(compact[10:12]), int(compact[12:14]))
    except ValueError:
        raise InvalidIdentifier("case_number", "date") from None
    return compact


def licence_identifier(*, type_body: str, catalogue_code: str, issuer: str, serial: str, version: int) -> str:
    """The identifier of an e-licence (电子证照标识, GB/T 36904).

    `type_body` is the credit code of the body that defined the licence type and `issuer` that of the issuing organ;
    `catalogue_code` has 3 and `serial` 1 to 32 digits or capital letters; `version` is 1 to 999. The check character is
    ISO 7064 MOD 37,36 over all of it without root and dots. Raises InvalidIdentifier for a wrong credit code, else
    ValueError.
    """
    if not re.fullmatch(r"[0-9A-Z]{3}", catalogue_code):
        raise ValueError(f"catalogue code must be 3 digits or capital letters, not {catalogue_code!r}")
    if not re.fullmatch(r"[0-9A-Z]{1,32}", serial):
        raise ValueError(f"serial must be 1 to 32 digits or capital letters, not {serial!r}")
    if not 1 <= version <= 999:
        raise ValueError(f"version must be 1 to 999, not {version}")
    parts = [check_credit_code(type_body) + catalogue_code, check_credit_code(issuer), serial, f"{version:03d}"]
    return ".".join([LICENCE_ROOT, *parts, mod_37_36.calc_check_digit("".join(parts))])


def check_licence_identifier(identifier: str) -> str:
    """The identifier of an e-licence, normalised; form and check character are right. Raises InvalidIdentifier.

    The codes within are not checked: other cities' licences name issuers that are no credit codes.
    """
    # Nothing is taken out: serials differ in length, so a hyphen typed for a digit could pass as a shorter serial.
    trimmed = unicodedata.normalize("NFKC", identifier).strip().upper()
    match = _LICENCE_IDENTIFIER.fullmatch(trimmed)
    if not match:
        raise InvalidIdentifier("licence_identifier", "form")
    if not mod_37_36.is_valid("".join(match.groups())):
        raise InvalidIdentifier("licence_identifier", "check_digit")
    return trimmed


def passes(check: Callable[[str], str], text: str) -> bool:
    """Whether a text is what one of the checks of this module takes."""
    try:
        check(text)
    except InvalidIdentifier:
        return False
    return True


def mask_identity(number: str) -> str:
    """A number fit to be shown: the first 6 and last 4 of a credit code, the first 3 and last 2 of any other.

    Fewer of a person's than the four last characters that open the public tracking of a case. Numbers of under 8
    characters are hidden whole.
    """
    compact = _compact(number)
    if passes(check_credit_code, compact) and not passes(check_resident_id, compact):
        return _keep(compact, first=6, last=4)
    return _keep(compact, first=3, last=2) if len(compact) >= 8 else "*" * len(compact)


def mask_phone(phone: str) -> str:
    """A mobile number as 138****5678; of another number the last 4 if it has 7 or more characters, else nothing."""
    compact = _compact(phone)
    if re.fullmatch(r"1[0-9]{10}", compact):
        return _keep(compact, first=3, last=4)
    return _keep(compact, first=0, last=4) if len(compact) >= 7 else "*" * len(compact)


def mask_name(name: str) -> str:
    """A person's name with only the surname left: 张*, 欧阳**. A name of one character is hidden."""
    bare = name.strip()
    if len(bare) < 2:
        return "*" * len(bare)
    surname = 2 if len(bare) > 2 and _COMPOUND_SURNAME.match(bare) else 1
    return _keep(bare, first=surname, last=0)


def _keep(text: str, *, first: int, last: int) -> str:
    end = len(text) - last
    return text[:first] + "*" * (end - first) + text[end:]
