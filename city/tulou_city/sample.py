"""The case that the demo and the printed curl line file. Names and numbers are invented; the check digits are right."""

import json
import shlex
from typing import Any, Final
from uuid import uuid4

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
