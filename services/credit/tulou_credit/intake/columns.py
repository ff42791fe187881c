"""The columns of the national double-publicity files (双公示), as data.

Licence and penalty by 发改办财金〔2018〕790号, and the licence of the first standard of 2015.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cached_property


class Kind(StrEnum):
    """What a file publishes: LICENCE 行政许可, PENALTY 行政处罚."""

    LICENCE = "LICENCE"
    PENALTY = "PENALTY"


class Type(Enum):
    """What a column holds. Only PROSE may begin with what a spreadsheet runs: a list of items begins with a hyphen."""

    NAME = "name"
    PROSE = "prose"
    CODE = "code"
    CREDIT_CODE = "credit code"
    DIVISION = "division code"
    IDENTITY = "identity number"
    DATE = "date"
    AMOUNT = "amount, 万元"
    ONE_OF = "one of"
    # 普通 or 其他-采矿权: the standard asks that 其他 is explained behind a hyphen.
    ONE_OF_OR_OTHER = "one of, 其他 explained"
    # Several, with ； between them.
    SOME_OF = "some of"


@dataclass(frozen=True, slots=True)
class Column:
    """`name` as in the file, `field` as in our records; `length` is the most characters, for sheets of any format."""

    name: str
    field: str
    title: str
    type: Type
    length: int
    required: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnSet:
    """The columns of one kind of file in one edition of the standard."""

    kind: Kind
    edition: str
    columns: tuple[Column, ...]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def by_field(self) -> dict[str, Column]:
        return {column.field: column for column in self.columns}


SUBJECT_CATEGORIES = ("法人及非法人组织", "自然人", "个体工商户")
IDENTITY_TYPES = (
    "身份证",
    "护照号",
    "港澳居民来往内地通行证",
    "台湾居民来往大陆通行证",
    "外国人永久居留身份证",
)
LICENCE_CATEGORIES = ("普通", "特许", "认可", "核准", "登记", "其他")
# The kinds of 行政处罚法 art. 9 (2021), and those of the standard, written before it.
PENALTY_CATEGORIES = (
    "警告",
    "通报批评",
    "罚款",
    "没收违法所得",
    "没收非法财物",
    "没收违法所得、没收非法财物",
    "暂扣许可证件",
    "降低资质等级",
    "吊销许可证件",
    "暂扣或者吊销许可证、暂扣或者吊销执照",
    "限制开展生产经营活动",
    "责令停产停业",
    "责令关闭",
    "限制从业",
    "行政拘留",
    "其他",
)


def _subject(prefix: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}_XDR_MC", "subject_name", "行政相对人名称", Type.NAME, 200, True),
        Column(f"{prefix}_XDR_LB", "subject_category", "行政相对人类别", Type.ONE_OF, 16, True, SUBJECT_CATEGORIES),
        Column(f"{prefix}_XDR_SHXYM", "credit_code", "统一社会信用代码", Type.CREDIT_CODE, 18),
        Column(f"{prefix}_XDR_GSZC", "business_number", "工商注册号", Type.CODE, 50),
        Column(f"{prefix}_XDR_ZZJG", "organisation_code", "组织机构代码", Type.CODE, 10),
        Column(f"{prefix}_XDR_SWDJ", "tax_number", "税务登记号", Type.CODE, 20),
        Column(f"{prefix}_XDR_SYDW", "institution_number", "事业单位证书号", Type.CODE, 50),
        Column(f"{prefix}_XDR_SHZZ", "association_number", "社会组织登记证号", Type.CODE, 50),
        Column(f"{prefix}_FRDB", "representative", "法定代表人", Type.NAME, 50),
        Column(
            f"{prefix}_FR_ZJLX", "representative_id_type", "法定代表人证件类型", Type.ONE_OF, 64, False, IDENTITY_TYPES
        ),
        Column(f"{prefix}_FR_ZJHM", "representative_id", "法定代表人证件号码", Type.IDENTITY, 64),
        Column(f"{prefix}_XDR_ZJLX", "id_type", "自然人证件类型", Type.ONE_OF, 64, False, IDENTITY_TYPES),
        Column(f"{prefix}_XDR_ZJHM", "id_number", "自然人证件号码", Type.IDENTITY, 64),
    )


LICENCE_790 = ColumnSet(
    Kind.LICENCE,
    "790",
    (
        *_subject("XK"),
        Column("XK_XKWS", "document_name", "行政许可决定文书名称", Type.NAME, 64, True),
        Column("XK_WSH", "document_number", "行政许可决定文书号", Type.NAME, 64, True),
        Column("XK_XKLB", "category", "许可类别", Type.ONE_OF_OR_OTHER, 256, True, LICENCE_CATEGORIES),
        Column("XK_XKZS", "certificate_name", "许可证书名称", Type.NAME, 64),
        Column("XK_XKBH", "certificate_number", "许可编号", Type.NAME, 64),
        Column("XK_NR", "content", "许可内容", Type.PROSE, 4000, True),
        Column("XK_JDRQ", "decided_on", "许可决定日期", Type.DATE, 10, True),
        Column("XK_YXQZ", "valid_from", "有效期自", Type.DATE, 10, True),
        Column("XK_YXQZI", "valid_to", "有效期至", Type.DATE, 10, True),
        Column("XK_XKJG", "organ", "许可机关", Type.NAME, 200, True),
        Column("XK_XKJGDM", "organ_code", "许可机关统一社会信用代码", Type.CREDIT_CODE, 18, True),
        Column("XK_ZT", "status", "当前状态", Type.ONE_OF, 1, True, ("1", "2")),
        Column("XK_LYDW", "source", "数据来源单位", Type.NAME, 200, True),
        Column("XK_LYDWDM", "source_code", "数据来源单位统一社会信用代码", Type.CREDIT_CODE, 18, True),
        Column("BZ", "note", "备注", Type.PROSE, 4000),
    ),
)

PENALTY_790 = ColumnSet(
    Kind.PENALTY,
    "790",
    (
        *_subject("CF"),
        Column("CF_WSH", "document_number", "行政处罚决定书文号", Type.NAME, 64, True),
        Column("CF_WFXW", "offence", "违法行为类型", Type.PROSE, 2000, True),
        Column("CF_SY", "facts", "违法事实", Type.PROSE, 5000, True),
        Column("CF_YJ", "legal_basis", "处罚依据", Type.PROSE, 2000, True),
        Column("CF_CFLB", "categories", "处罚类别", Type.SOME_OF, 256, True, PENALTY_CATEGORIES),
        Column("CF_NR", "content", "处罚内容", Type.PROSE, 4000, True),
        Column("CF_NR_FK", "fine", "罚款金额（万元）", Type.AMOUNT, 24),
        Column("CF_NR_WFFF", "confiscated", "没收金额（万元）", Type.AMOUNT, 24),
        Column("CF_NR_ZKDX", "revoked_licence", "暂扣或吊销证照名称及编号", Type.NAME, 200),
        Column("CF_JDRQ", "decided_on", "处罚决定日期", Type.DATE, 10, True),
        Column("CF_YXQ", "valid_to", "处罚有效期", Type.DATE, 10),
        Column("CF_GSJZQ", "public_until", "公示截止期", Type.DATE, 10),
        Column("CF_CFJG", "organ", "处罚机关", Type.NAME, 200, True),
        Column("CF_CFJGDM", "organ_code", "处罚机关统一社会信用代码", Type.CREDIT_CODE, 18, True),
        Column("CF_SJLY", "source", "数据来源单位", Type.NAME, 200, True),
        Column("CF_SJLYDM", "source_code", "数据来源单位统一社会信用代码", Type.CREDIT_CODE, 18, True),
        Column("BZ", "note", "备注", Type.PROSE, 4000),
    ),
)

# No category of the subject, and the organ by its name and its division only.
LICENCE_2015 = ColumnSet(
    Kind.LICENCE,
    "2015",
    (
        Column("XK_WSH", "document_number", "行政许可决定书文号", Type.NAME, 128, True),
        Column("XK_XMMC", "document_name", "项目名称", Type.NAME, 256, True),
        Column("XK_SPLB", "category", "审批类别", Type.ONE_OF_OR_OTHER, 32, True, LICENCE_CATEGORIES),
        Column("XK_NR", "content", "许可内容", Type.PROSE, 2048, True),
        Column("XK_XDR", "subject_name", "行政相对人名称", Type.NAME, 256, True),
        Column("XK_XDR_SHXYM", "credit_code", "统一社会信用代码", Type.CREDIT_CODE, 64),
        Column("XK_XDR_ZDM", "organisation_code", "组织机构代码", Type.CODE, 64),
        Column("XK_XDR_GSDJ", "business_number", "工商登记码", Type.CODE, 64),
        Column("XK_XDR_SWDJ", "tax_number", "税务登记号", Type.CODE, 64),
        Column("XK_XDR_SFZ", "id_number", "居民身份证号", Type.IDENTITY, 64),
        Column("XK_FR", "representative", "法定代表人姓名", Type.NAME, 256),
        Column("XK_JDRQ", "decided_on", "许可决定日期", Type.DATE, 32, True),
        Column("XK_JZQ", "valid_to", "许可截止期", Type.DATE, 32, True),
        Column("XK_XZJG", "organ", "许可机关", Type.NAME, 128, True),
        # 0 正常, 1 撤销: not the numbers of 790号.
        Column("XK_ZT", "status", "当前状态", Type.ONE_OF, 32, True, ("0", "1")),
        Column("DFBM", "organ_code", "地方编码", Type.DIVISION, 16, True),
        # The time stamp of the sender's row: taken and not kept.
        Column("SJC", "sent_at", "时间戳", Type.NAME, 32),
        Column("BZ", "note", "备注", Type.PROSE, 512),
    ),
)

COLUMN_SETS = (LICENCE_790, PENALTY_790, LICENCE_2015)


def column_name(text: str) -> str:
    """A header as it is compared: upper case, narrow, without spaces around it or the asterisk of a required column."""
    return unicodedata.normalize("NFKC", text).strip().strip("*").strip().upper()


def recognise(names: Iterable[str], *, among: Sequence[ColumnSet] = COLUMN_SETS) -> ColumnSet | None:
    """The set that has most of the names, the newer of equals; None if none has any."""
    known = set(names)
    best = max(among, key=lambda columns: len(known & columns.by_name.keys()))
    return best if known & best.by_name.keys() else None
