"""A record of any other type than licence and penalty, as a department or an event tells it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from tulou_credit.domain.subjects import SubjectKind


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is to be recorded. Numbers of persons are not in the repr.

    `subject_code` is the credit code, of a person the number of the document of `id_type` (身份证, 护照号 …).
    `source_key` is what the sender knows it by (64 characters at most): with the type, the sender and the subject it
    names the record, and what is sent under it again corrects it. It is true of `valid_from` through `valid_to`, both
    included; None is without end. `content` is as the type's schema has it, `organ` the name of the organ
    that decided. `consent_proof` is the SHA-256 of the signed consent, in hexadecimal, where the type is collected by
    consent.
    """

    type_code: str
    subject_kind: SubjectKind
    subject_code: str = field(repr=False)
    id_type: str = ""
    subject_name: str = field(repr=False)
    source_key: str
    valid_from: date
    valid_to: date | None = None
    content: Mapping[str, Any] = field(repr=False)
    organ: str = ""
    consent_proof: str = ""

    @property
    def decided_on(self) -> date:
        """The day that the rules count from."""
        return self.valid_from

    @property
    def content_hash(self) -> str:
        """SHA-256 over all of it, in hexadecimal."""
        text = json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, default=date.isoformat)
        return hashlib.sha256(text.encode()).hexdigest()
