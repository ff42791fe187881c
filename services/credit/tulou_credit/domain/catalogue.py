"""The catalogue of credit information (信用信息目录): what may be collected, and who may see it."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Category(StrEnum):
    """The twelve categories of the national catalogue (全国公共信用信息基础目录)."""

    REGISTRATION = "REGISTRATION"  # 登记注册基本信息
    JUDGMENT = "JUDGMENT"  # 司法裁判及执行信息
    ADMINISTRATION = "ADMINISTRATION"  # 行政管理信息
    PROFESSION = "PROFESSION"  # 职称和职业信息
    ABNORMAL_LIST = "ABNORMAL_LIST"  # 经营（活动）异常名录（状态）信息
    SERIOUS_LIST = "SERIOUS_LIST"  # 严重失信主体名单信息
    CONTRACT = "CONTRACT"  # 有关合同履行信息
    PROMISE = "PROMISE"  # 信用承诺及履行情况信息
    EVALUATION = "EVALUATION"  # 信用评价结果信息
    COMPLIANCE = "COMPLIANCE"  # 遵守法律法规情况信息
    HONOUR = "HONOUR"  # 诚实守信相关荣誉信息
    VOLUNTARY = "VOLUNTARY"  # 知识产权等市场主体自愿提供的信息


class Openness(StrEnum):
    """Who may see it: everyone, who has an authorisation (授权查询), only departments (内部共享)."""

    PUBLIC = "PUBLIC"
    BY_AUTHORISATION = "BY_AUTHORISATION"
    INTERNAL = "INTERNAL"


class PublicityRule(StrEnum):
    """How long records of a type are public: as penalties are, as long as they are valid, or never."""

    PENALTY = "PENALTY"
    VALIDITY = "VALIDITY"
    NONE = "NONE"


class TypeState(StrEnum):
    """Of a version of a record type."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


@dataclass(frozen=True)
class Forbidden:
    """A field that may not be collected about natural persons: where it is in the schema, and what the law names."""

    path: str
    zh: str
    en: str
    # Allowed with written consent, after the person was warned (《上海市社会信用条例》第十四条).
    with_consent: bool


@dataclass(frozen=True)
class _Matter:
    zh: str
    en: str
    with_consent: bool
    # Parts of a Chinese name; runs of whole words of an English one.
    chinese: tuple[str, ...]
    english: tuple[str, ...]


# 《上海市社会信用条例》第十四条; the same list in 《征信业管理条例》第十四条.
_MATTERS: Final = (
    _Matter("宗教信仰", "religion", False, ("宗教", "信教"), ("religion", "religions", "religious", "faith")),
    _Matter("基因", "genes", False, ("基因", "遗传"), ("gene", "genes", "genetic", "genetics", "genome", "dna")),
    _Matter("指纹", "fingerprints", False, ("指纹",), ("fingerprint", "fingerprints", "finger print")),
    _Matter("血型", "blood type", False, ("血型",), ("blood type", "blood group", "bloodtype", "bloodgroup")),
    _Matter(
        "疾病和病史",
        "illness and medical history",
        False,
        ("疾病", "病史", "病历", "患病"),
        ("illness", "illnesses", "disease", "diseases", "medical history", "medical record", "medical records"),
    ),
    _Matter("收入", "income", True, ("收入", "工资", "薪"), ("income", "incomes", "salary", "wage", "wages")),
    _Matter("存款", "deposits", True, ("存款", "储蓄"), ("deposit", "deposits", "savings")),
    _Matter("有价证券", "securities", True, ("证券", "股票", "债券"), ("securities", "stocks", "shares", "bonds")),
    _Matter("保险", "insurance", True, ("保险",), ("insurance", "insurances")),
    _Matter(
        "不动产",
        "real estate",
        True,
        ("不动产", "房产", "房屋产权"),
        ("real estate", "realestate", "real property", "house property", "housing property"),
    ),
    _Matter("纳税数额", "tax amount", True, ("纳税数额", "纳税额", "缴税额"), ("tax amount", "tax paid", "taxes paid")),
)
_NAMED: Final = ("properties", "patternProperties", "dependentSchemas", "dependentRequired")


def forbidden_fields(schema: Mapping[str, Any]) -> Sequence[Forbidden]:
    """Fields of a JSON Schema, by their names and titles, that may not be collected about natural persons."""
    return [
        Forbidden(path, matter.zh, matter.en, matter.with_consent)
        for path, text in _names(schema, "")
        for matter in _MATTERS
        if _is_about(text, matter)
    ]


def _names(node: object, path: str) -> Iterator[tuple[str, str]]:
    """Every name and title of a field, with its path."""
    if isinstance(node, list):
        for each in node:
            yield from _names(each, path)
    if not isinstance(node, Mapping):
        return
    if isinstance(node.get("title"), str):
        yield path, node["title"]
    for keyword, value in node.items():
        if keyword in _NAMED and isinstance(value, Mapping):
            for name, below in value.items():
                here = f"{path}.{name}" if path else str(name)
                yield here, str(name)
                yield from _names(below, here)
        else:
            yield from _names(value, path)


def _is_about(text: str, matter: _Matter) -> bool:
    narrow = unicodedata.normalize("NFKC", text)
    # camelCase, snake_case and kebab-case fall into words.
    words = re.findall("[a-z]+", re.sub("([a-z])([A-Z])", r"\1 \2", narrow).lower())
    spoken = f" {' '.join(words)} "
    bare = re.sub(r"\s", "", narrow)
    return any(part in bare for part in matter.chinese) or any(f" {run} " in spoken for run in matter.english)
