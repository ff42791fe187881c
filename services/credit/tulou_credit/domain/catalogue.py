"""The catalogue of credit information (信用信息目录): what may be collected, and who may see it."""

from enum import StrEnum


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
