"""How each refusal of the approval service is answered: code, reason, and the sentence in Chinese and English."""

from collections.abc import Mapping
from typing import Final

from grpc import StatusCode as Code

from tulou_approval import queries
from tulou_approval.domain import cases as rules
from tulou_approval.domain.states import ActionNotAllowed
from tulou_approval.operations import cases, forms, items, materials, tracking
from tulou_chassis import files
from tulou_chassis.blobs import BlobMissing
from tulou_chassis.errors import Answer

DOMAIN: Final = "approval.tulou"


def _answer(code: Code, reason: str, zh: str, en: str) -> Answer:
    return Answer(code, reason, zh, en, DOMAIN)


ANSWERS: Final[Mapping[type[Exception], Answer]] = {
    queries.CaseNotFound: _answer(
        Code.NOT_FOUND, "CASE_NOT_FOUND", "没有此办件，或您无权查看。", "No such case, or not yours to see."
    ),
    queries.ItemNotFound: _answer(Code.NOT_FOUND, "ITEM_NOT_FOUND", "没有事项 {item_code}。", "No item {item_code}."),
    queries.MaterialNotFound: _answer(
        Code.NOT_FOUND, "MATERIAL_NOT_FOUND", "该办件没有此文件。", "The case has no such file."
    ),
    ActionNotAllowed: _answer(
        Code.FAILED_PRECONDITION,
        "ACTION_NOT_ALLOWED",
        "办件状态为 {state}，不能执行 {action}。",
        "A case in state {state} does not allow {action}.",
    ),
    rules.CorrectionAlreadyUsed: _answer(
        Code.FAILED_PRECONDITION,
        "CORRECTION_ALREADY_USED",
        "已作过一次性补正告知，不得再次要求补正。",
        "The one-time correction notice has been given before.",
    ),
    rules.TooFewReviewers: _answer(
        Code.FAILED_PRECONDITION,
        "TOO_FEW_REVIEWERS",
        "该事项至少需要 {needed} 名审查人员。",
        "The item needs at least {needed} reviewers.",
    ),
    rules.ExtensionTooLong: _answer(
        Code.INVALID_ARGUMENT,
        "EXTENSION_TOO_LONG",
        "延长不得超过 {maximum} 个工作日。",
        "An extension is at most {maximum} working days.",
    ),
    rules.ExtensionTooLate: _answer(
        Code.FAILED_PRECONDITION,
        "EXTENSION_TOO_LATE",
        "法定期限已于 {due_date} 届满，不能再延长。",
        "The time to decide ended on {due_date}; it can no longer be extended.",
    ),
    rules.HeadApprovalMissing: _answer(
        Code.FAILED_PRECONDITION,
        "HEAD_APPROVAL_MISSING",
        "延期须经行政机关负责人批准，批准人不能是审查人员。",
        "The organ's head must approve an extension, not a reviewer.",
    ),
    rules.MaterialsMissing: _answer(
        Code.FAILED_PRECONDITION,
        "MATERIALS_MISSING",
        "缺少必要材料：{material_codes}。",
        "Required materials are missing: {material_codes}.",
    ),
    forms.FormInvalid: _answer(
        Code.INVALID_ARGUMENT, "FORM_INVALID", "申请表不符合要求。", "The form does not fit what the item asks for."
    ),
    cases.ItemNotPublished: _answer(
        Code.FAILED_PRECONDITION,
        "ITEM_NOT_PUBLISHED",
        "事项 {item_code} 没有已发布的版本，不能申报。",
        "Item {item_code} has no published version; no case can be filed.",
    ),
    cases.ApplicantKindMismatch: _answer(
        Code.INVALID_ARGUMENT,
        "APPLICANT_KIND",
        "事项 {item_code} 不面向此类申请人。",
        "Item {item_code} is not for this kind of applicant.",
    ),
    items.ItemExists: _answer(
        Code.ALREADY_EXISTS, "ITEM_EXISTS", "事项代码 {item_code} 已存在。", "Item code {item_code} is taken."
    ),
    items.ItemStateForbids: _answer(
        Code.FAILED_PRECONDITION,
        "ITEM_STATE",
        "事项 {item_code} 的状态（{state}）不允许此操作。",
        "The state of item {item_code} ({state}) does not allow this.",
    ),
    items.NotCompetentForItem: _answer(
        Code.PERMISSION_DENIED,
        "NOT_COMPETENT",
        "您不负责区域 {region_code} 的事项目录。",
        "You do not maintain the catalogue of {region_code}.",
    ),
    files.FileTooLarge: _answer(
        Code.INVALID_ARGUMENT, "FILE_TOO_LARGE", "文件不得超过 {max_size} 字节。", "A file is at most {max_size} bytes."
    ),
    files.FileTypeRefused: _answer(
        Code.INVALID_ARGUMENT,
        "FILE_TYPE",
        "文件内容与声明的类型 {media_type} 不符，或事项不接受该类型。",
        "The content is not {media_type}, or the item does not accept that type.",
    ),
    materials.TooManyFiles: _answer(
        Code.FAILED_PRECONDITION,
        "TOO_MANY_FILES",
        "一个办件最多 {maximum} 个文件。",
        "A case holds at most {maximum} files.",
    ),
    tracking.TrackingNotFound: _answer(
        Code.NOT_FOUND,
        "TRACKING_NOT_FOUND",
        "办件编号与证件号码后四位不相符。",
        "Number and identity do not fit a case.",
    ),
    tracking.TrackingLocked: _answer(
        Code.RESOURCE_EXHAUSTED,
        "TRACKING_LOCKED",
        "查询失败次数过多，请 {retry_after_seconds} 秒后再试。",
        "Too many wrong tries; wait {retry_after_seconds} seconds.",
    ),
    BlobMissing: _answer(Code.DATA_LOSS, "MATERIAL_NOT_FOUND", "文件内容缺失。", "The file's content is missing."),
}
