"""The application form against the item's JSON Schema."""

from collections.abc import Mapping
from typing import Any, Final

from tulou_chassis.schemas import errors_of, properties_of
from tulou_chassis.violations import Violation

MAX_ERRORS: Final = 50

# What each broken keyword of the schema means. Other keywords are told by their name.
_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "required": ("必填。", "Required."),
    "type": ("类型不符。", "Of the wrong type."),
    "additionalProperties": ("表单中没有此字段。", "The form has no such field."),
    "enum": ("不是可选的取值。", "Not one of the choices."),
    "pattern": ("格式不符。", "Of the wrong form."),
    "format": ("格式不符。", "Of the wrong form."),
    "minLength": ("内容过短。", "Too short."),
    "maxLength": ("内容过长。", "Too long."),
    "minimum": ("数值过小。", "Too small."),
    "maximum": ("数值过大。", "Too large."),
    "minItems": ("项数过少。", "Too few entries."),
    "maxItems": ("项数过多。", "Too many entries."),
}


class FormInvalid(Exception):
    """The form does not fit the item's schema."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(f"{len(violations)} violations")
        self.violations = violations


def check_form(schema: Mapping[str, Any], form: Mapping[str, Any]) -> None:
    """Raises FormInvalid naming each field, in Chinese and English."""
    violations: list[Violation] = []
    for error in errors_of(schema, form):
        keyword = str(error.kind.name)
        path = "case.form" + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path
        )
        for missing in properties_of(error) or [""]:
            zh, en = _SENTENCES.get(keyword, (f"不符合规则 {keyword}。", f"Breaks the rule {keyword}."))
            violations.append(Violation(f"{path}.{missing}" if missing else path, keyword, zh, en))
        if len(violations) >= MAX_ERRORS:
            break
    if violations:
        raise FormInvalid(tuple(violations))
