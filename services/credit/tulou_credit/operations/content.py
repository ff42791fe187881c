"""What a record says: with numbers of persons masked, and beside it what was masked, sealed."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from typing import Any, Final

from tulou_credit.domain.entries import Entry
from tulou_credit.domain.privacy import masked_number, masked_text
from tulou_credit.intake.rows import Licence, Penalty
from tulou_credit.models import RecordVersion
from tulou_credit.wiring import House

_NUMBER_FIELDS: Final = frozenset({"document_number", "certificate_number", "other_numbers"})
# Kept on the subject, or of the file and not of the decision.
_NOT_CONTENT: Final = frozenset({"row", "edition", "subject_code", "representative_id", "organ_code"})


def content_of(decision: Licence | Penalty | Entry) -> tuple[dict[str, Any], dict[str, str]]:
    """What a decision says, with numbers of persons masked, and beside it the masked fields in clear."""
    if isinstance(decision, Entry):
        return _content_of_entry(decision)
    known = [decision.representative_id]
    if decision.id_type:
        known.append(decision.subject_code)
    content: dict[str, Any] = {}
    in_clear = {"representative_id": decision.representative_id} if decision.representative_id else {}
    # Not by asdict, which would copy every value.
    for name, value in ((each.name, getattr(decision, each.name)) for each in fields(decision)):
        if name in _NOT_CONTENT or value is None or value == "" or value == ():
            continue
        if name == "other_numbers":
            content[name] = {}
            for kind, number in value:
                content[name][kind] = masked_number(number, known=known)
                if content[name][kind] != number:
                    in_clear[f"{name}.{kind}"] = number
        elif isinstance(value, date):
            content[name] = value.isoformat()
        elif isinstance(value, tuple):
            content[name] = [masked_text(part, known=known) for part in value]
        elif isinstance(value, str):
            mask = masked_number if name in _NUMBER_FIELDS else masked_text
            content[name] = mask(str(value), known=known)
            if content[name] != value:
                in_clear[name] = value
        else:
            content[name] = value
    return content, in_clear


def _content_of_entry(entry: Entry) -> tuple[dict[str, Any], dict[str, str]]:
    known = [entry.subject_code] if entry.id_type else []
    in_clear: dict[str, str] = {}

    def masked(value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return {name: masked(part, f"{path}.{name}" if path else name) for name, part in value.items()}
        if isinstance(value, list):
            return [masked(part, f"{path}.{place}") for place, part in enumerate(value)]
        if not isinstance(value, str):
            return value
        mask = masked_number if path.endswith("_number") else masked_text
        shown = mask(value, known=known)
        if shown != value:
            in_clear[path] = value
        return shown

    return masked(entry.content, ""), in_clear


def sealed(in_clear: Mapping[str, str], record_id: str, number: int, house: House) -> str:
    """The masked fields in clear as JSON, encrypted for their place; empty when there are none."""
    if not in_clear:
        return ""
    return house.keyring.encrypt(json.dumps(in_clear, ensure_ascii=False), context=_place(record_id, number))


def reveal(*, version: RecordVersion, house: House) -> Mapping[str, str]:
    """Fields of a version in clear that are masked in its content, for the purposes that the caller was allowed."""
    if not version.sealed:
        return {}
    opened = house.keyring.decrypt(version.sealed, context=_place(version.record_id, version.number))
    in_clear: dict[str, str] = json.loads(opened)
    return in_clear


def resealed(was: RecordVersion, number: int, house: House) -> str:
    """What is sealed in a version, for the next: a seal is bound to its place."""
    return sealed(reveal(version=was, house=house), was.record_id, number, house)


def _place(record_id: str, number: int) -> str:
    return f"credit_record_version.sealed:{record_id}:{number}"
