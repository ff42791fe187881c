"""Who public credit information is about (信用主体)."""

import re
import unicodedata
from enum import StrEnum


class SubjectKind(StrEnum):
    """The category of a subject (行政相对人类别): 法人及非法人组织, 个体工商户, 自然人."""

    ORGANISATION = "ORGANISATION"
    SOLE_TRADER = "SOLE_TRADER"
    PERSON = "PERSON"


class SubjectStatus(StrEnum):
    """Whether the subject goes on (登记状态): 存续, 吊销, 注销. Who was never said to have ended is ACTIVE."""

    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"
    CANCELLED = "CANCELLED"


def name_key(name: str) -> str:
    """A name as it is searched and compared: NFKC, case folded, letters and digits only, the first 200 of them.

    漳州（闽南）食品 有限公司 and 漳州(闽南)食品有限公司 have one key.
    """
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name).casefold())[:200]
