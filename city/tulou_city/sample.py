"""The case that the demo and the printed curl line file. Names and numbers are invented; the check digits are right."""

import json
import shlex
from typing import Any, Final
from uuid import uuid4

from stdnum.cn import uscc

from tulou_city.layout import City
from tulou_city.tokens import token

ITEM: Final = "SCJG-XK-0001"
DEPARTMENT: Final = "SCJG"
# The material that shows equipment, layout and flow of work.
FLOOR_PLAN: Final = "M03"
IDENTITY_NUMBER: Final = "350602199003070028"
CASE: Final[dict[str, Any]] = {
    "itemCode": ITEM,
    "title": "土楼茶餐厅食品经营许可",
    "applicant": {
        "subjectType": "SUBJECT_TYPE_PERSON",
        "name": "林知夏",
        "identityNumber": IDENTITY_NUMBER,
        "phone": "13900000000",
    },
}
COMPANY: Final = "漳州市土楼茶业有限公司"


def company_case(credit_code: str) -> dict[str, Any]:
    """The same application by a company."""
    applicant = {
        "subjectType": "SUBJECT_TYPE_ORGANISATION",
        "name": COMPANY,
        "identityNumber": credit_code,
        "phone": "13900000001",
        "agentName": "林知夏",
    }
    return {"itemCode": ITEM, "title": "土楼茶业茶餐厅食品经营许可", "applicant": applicant}


def credit_code(serial: int) -> str:
    """The credit code of an invented company: `serial` of at most 5 digits in an organisation code of its own, both
    with their check characters (GB 11714, GB 32100)."""
    organisation = f"MA3{serial:05d}"
    rest = 11 - sum(int(c, 36) * w for c, w in zip(organisation, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    body = f"91350602{organisation}{'X' if rest == 10 else rest % 11}"
    return body + uscc.calc_check_digit(body)


# The item's application form, filled in.
FORM: Final[dict[str, Any]] = {
    "business_name": "土楼茶餐厅",
    "business_address": "漳州市芗城区延安北路88号",
    "business_type": "餐饮服务经营者",
    "business_items": ["热食类食品制售", "自制饮品制售"],
    "premises_area": 120.5,
    "staff_count": 8,
    "safety_manager": "陈安全",
    "legal_representative": "林知夏",
    "online": False,
}


def curl(city: City) -> str:
    """A command line that files the case; it works as pasted, for an hour."""
    body = json.dumps({"requestId": str(uuid4()), "case": CASE}, ensure_ascii=False)
    headers = (f"authorization: Bearer {token(city, role='citizen')}", "content-type: application/json")
    given = [part for header in headers for part in ("-H", header)]
    return shlex.join(["curl", "-sS", "-i", f"{city.url}/approval/v1/cases", *given, "-d", body])
