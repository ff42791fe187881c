"""The numbers of natural persons that the tests use: all made up, and after a run nowhere to be found in clear.

What is looked for: these phones, and everything that is put together like a resident identity number of this
prefecture, of someone born before 2000, and has the right check digit, wherever in the bytes it stands. Case numbers
begin with the division and today's date, which is why the year counts.
"""

import re
from datetime import date, timedelta
from typing import Final

from stdnum.cn import ric, uscc

from tulou_civics.identifiers import check_resident_id, passes

PHONES: Final = (
    "13800001111",
    "13800138000",
    "13805960001",
    "13805960002",
    "13811112222",
    "13812345678",
    "13850612345",
    "13900000000",
    "13900000001",
    "13950699999",
)
_RESIDENT: Final = re.compile(rb"(?=(3506\d\d19\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]))")
_PHONE: Final = re.compile("|".join(PHONES).encode())
# Organisation codes have these signs.
_SIGNS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def person(serial: int) -> str:
    """A resident identity number that no other serial has."""
    born = date(1960, 1, 1) + timedelta(days=serial // 999)
    body = f"350602{born:%Y%m%d}{serial % 999 + 1:03}"
    return body + ric.calc_check_digit(body + "0")


def firm(serial: int) -> str:
    """A unified social credit code of a company that no other serial has."""
    signs = ""
    for _ in range(7):
        serial, sign = divmod(serial, len(_SIGNS))
        signs = _SIGNS[sign] + signs
    body = f"91350602MA{signs}"
    return body + uscc.calc_check_digit(body + "0")


def in_clear(content: bytes) -> set[str]:
    """The numbers of persons that stand in it."""
    found = {match[1].decode() for match in _RESIDENT.finditer(content)}
    return {number for number in found if passes(check_resident_id, number)} | {
        match[0].decode() for match in _PHONE.finditer(content)
    }
