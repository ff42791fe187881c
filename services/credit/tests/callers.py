"""Who calls in tests."""

import itertools
from typing import Final

from tulou_chassis.principals import Principal

_SERIALS: Final = itertools.count(1)


def citizen(number: str) -> Principal:
    """A person whose identity number was verified."""
    return Principal(f"c-{next(_SERIALS)}", frozenset({"citizen"}), "", "", "张三", number)


def enterprise(credit_code: str) -> Principal:
    """Who acts for an enterprise."""
    return Principal(f"e-{next(_SERIALS)}", frozenset({"enterprise"}), "", "", "漳州某某土楼茶叶有限公司", credit_code)


def staff(organisation: str, *roles: str) -> Principal:
    """Staff of a department, a clerk unless told otherwise; of a bank, a partner."""
    return Principal(f"s-{organisation}", frozenset(roles or {"clerk"}), organisation, "350600", "王五")
