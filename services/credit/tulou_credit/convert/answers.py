"""How each refusal of the credit service is answered: code, reason, and the sentence in Chinese and English."""

from collections.abc import Mapping
from typing import Final

from grpc import StatusCode as Code

from tulou_chassis.blobs import BlobMissing
from tulou_chassis.errors import Answer
from tulou_chassis.files import FileTooLarge, FileTypeRefused
from tulou_credit import import_queries, measure_queries, proceedings_queries, queries, report_queries
from tulou_credit.blobs import FileTooBig
from tulou_credit.domain.measures import MeasureNotConfigurable
from tulou_credit.domain.objection import ObjectionActionNotAllowed
from tulou_credit.domain.repair import RepairActionNotAllowed
from tulou_credit.operations import (
    consent,
    entries,
    evidence,
    objections,
    parties,
    quarantine,
    records,
    repairs,
    schemas,
)

DOMAIN: Final = "credit.tulou"


def _answer(code: Code, reason: str, zh: str, en: str) -> Answer:
    return Answer(code, reason, zh, en, DOMAIN)


def _not_found(reason: str, zh: str, en: str) -> Answer:
    return _answer(Code.NOT_FOUND, reason, f"没有此{zh}，或您无权查看。", f"No such {en}, or not yours to see.")


ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    queries.SubjectNotFound: _not_found("SUBJECT_NOT_FOUND", "主体", "subject"),
    queries.RecordNotFound: _not_found("RECORD_NOT_FOUND", "信用记录", "record"),
    queries.RecordTypeNotFound: _answer(
        Code.NOT_FOUND, "RECORD_TYPE_NOT_FOUND", "信用信息目录没有 {code}。", "The catalogue has no {code}."
    ),
    records.SourceNotAllowed: _answer(
        Code.PERMISSION_DENIED,
        "SOURCE_NOT_ALLOWED",
        "信用信息目录不允许 {source} 报送 {type_code}，或该信息由其他部门报送。",
        "The catalogue does not let {source} send {type_code}, or another department sent it.",
    ),
    schemas.ContentNotAllowed: _answer(
        Code.INVALID_ARGUMENT,
        "CONTENT_NOT_ALLOWED",
        "内容不符合 {type_code} 的要求：{fields}。",
        "The content is not as {type_code} asks: {fields}.",
    ),
    entries.NotADepartment: _answer(
        Code.PERMISSION_DENIED, "NOT_COMPETENT", "只有部门可以建档。", "Only departments enter subjects."
    ),
    consent.QueryDenied: _answer(
        Code.PERMISSION_DENIED,
        "QUERY_DENIED",
        "没有覆盖此查询的授权：{lacks}。",
        "No authorisation covers the query: {lacks}.",
    ),
    consent.AlreadyRevoked: _answer(
        Code.FAILED_PRECONDITION, "AUTHORISATION_REVOKED", "该授权已撤销。", "The authorisation was revoked before."
    ),
    parties.IdentityMissing: _answer(
        Code.FAILED_PRECONDITION,
        "NO_IDENTITY",
        "登录令牌没有经核验的身份，不能以本人名义办理。",
        "The token names no verified identity, so there is no own subject.",
    ),
    parties.NotCompetent: _answer(
        Code.PERMISSION_DENIED, "NOT_COMPETENT", "此事项不由您或您的部门办理。", "This is not for you to do."
    ),
    proceedings_queries.AuthorisationNotFound: _not_found("AUTHORISATION_NOT_FOUND", "授权", "authorisation"),
    proceedings_queries.EvidenceNotFound: _answer(
        Code.NOT_FOUND,
        "EVIDENCE_NOT_FOUND",
        "没有此证据材料，或不属于您，或已使用。",
        "No such evidence, or not yours, or used before.",
    ),
    proceedings_queries.ObjectionNotFound: _not_found("OBJECTION_NOT_FOUND", "异议", "objection"),
    proceedings_queries.RepairNotFound: _not_found("REPAIR_NOT_FOUND", "修复申请", "request for repair"),
    objections.ObjectionOpen: _answer(
        Code.FAILED_PRECONDITION,
        "OBJECTION_OPEN",
        "对该信息的异议正在办理。",
        "An objection to the record is open.",
    ),
    objections.NotCorrected: _answer(
        Code.FAILED_PRECONDITION,
        "NOT_CORRECTED",
        "异议成立，但信息尚未更正或撤下。",
        "The objection is upheld, and the record is not corrected or withdrawn yet.",
    ),
    ObjectionActionNotAllowed: _answer(
        Code.FAILED_PRECONDITION,
        "ACTION_NOT_ALLOWED",
        "异议状态为 {state}，不能执行 {action}。",
        "An objection in state {state} does not allow {action}.",
    ),
    repairs.RepairOpen: _answer(
        Code.FAILED_PRECONDITION,
        "REPAIR_OPEN",
        "该信息的修复申请正在办理。",
        "A request for repair of the record is open.",
    ),
    repairs.ConditionsNotMet: _answer(
        Code.FAILED_PRECONDITION,
        "CONDITIONS_NOT_MET",
        "不符合修复条件：{conditions}。",
        "Conditions of repair are not met: {conditions}.",
    ),
    RepairActionNotAllowed: _answer(
        Code.FAILED_PRECONDITION,
        "ACTION_NOT_ALLOWED",
        "修复申请状态为 {state}，不能执行 {action}。",
        "A request in state {state} does not allow {action}.",
    ),
    evidence.TooManyFiles: _answer(
        Code.FAILED_PRECONDITION,
        "TOO_MANY_FILES",
        "证据材料最多 {maximum} 个。",
        "At most {maximum} pieces of evidence.",
    ),
    FileTypeRefused: _answer(
        Code.INVALID_ARGUMENT,
        "FILE_TYPE",
        "文件内容与声明的类型 {media_type} 不符，或不接受该类型。",
        "The content is not {media_type}, or that type is not accepted.",
    ),
    FileTooLarge: _answer(
        Code.INVALID_ARGUMENT, "FILE_TOO_LARGE", "文件不得超过 {max_size} 字节。", "A file is at most {max_size} bytes."
    ),
    FileTooBig: _answer(
        Code.INVALID_ARGUMENT, "FILE_TOO_LARGE", "文件不得超过 {max_size} 字节。", "A file is at most {max_size} bytes."
    ),
    BlobMissing: _answer(Code.DATA_LOSS, "EVIDENCE_NOT_FOUND", "文件内容缺失。", "The file's content is missing."),
    import_queries.ImportNotFound: _not_found("IMPORT_NOT_FOUND", "导入任务", "import"),
    import_queries.RowNotFound: _answer(
        Code.NOT_FOUND, "ROW_NOT_FOUND", "待处理数据中没有第 {row} 行。", "Row {row} is not in the quarantine."
    ),
    quarantine.RowSettled: _answer(
        Code.FAILED_PRECONDITION, "ROW_SETTLED", "该行已更正或已放弃。", "The row was corrected or dropped before."
    ),
    quarantine.StillWrong: _answer(
        Code.INVALID_ARGUMENT, "ROW_STILL_WRONG", "该行仍不符合要求。", "The row is still wrong."
    ),
    parties.NotForTheCity: _answer(
        Code.PERMISSION_DENIED,
        "NOT_COMPETENT",
        "目录和措施清单由市级管理员维护，您的区域为 {region}。",
        "The city's administrators keep the catalogue and the list; you are of {region}.",
    ),
    MeasureNotConfigurable: _answer(
        Code.INVALID_ARGUMENT,
        "MEASURE_NOT_CONFIGURABLE",
        "措施 {code} 不得实施：{faults}。",
        "Measure {code} must not be applied: {faults}.",
    ),
    measure_queries.MeasureNotFound: _answer(
        Code.NOT_FOUND, "MEASURE_NOT_FOUND", "清单上没有措施 {code}。", "No measure {code} is on the list."
    ),
    report_queries.ReportNotFound: _not_found("REPORT_NOT_FOUND", "信用报告", "report"),
    measure_queries.NotGraded: _answer(
        Code.FAILED_PRECONDITION, "NOT_GRADED", "不对自然人评定信用等级。", "Natural persons are not graded."
    ),
}
