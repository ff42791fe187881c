"""A row of a double-publicity file as a licence (行政许可) or penalty (行政处罚), or all that is wrong with it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tulou_civics.identifiers import InvalidIdentifier, check_credit_code, check_resident_id, mask_identity
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.intake.columns import PENALTY_CATEGORIES, Column, ColumnSet, Kind, Type
from tulou_credit.intake.report import RUN_BY_SPREADSHEETS, Breach, Rejected
from tulou_credit.intake.table import Row

_KINDS = {
    "法人及非法人组织": SubjectKind.ORGANISATION,
    "个体工商户": SubjectKind.SOLE_TRADER,
    "自然人": SubjectKind.PERSON,
}
# A file names a few organs in every row.
_checked_code = lru_cache(maxsize=1000)(check_credit_code)
_FIRST_DAY, _LAST_DAY = date(1949, 10, 1), date(2099, 12, 31)
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|(\d{2})(\d{2}))", re.ASCII)
_AMOUNT = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_CODE = re.compile(r"[0-9A-Za-z-]+")
_PASSPORT = re.compile(r"[0-9A-Z]{5,20}")
_FEN_PER_WAN_YUAN = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a licence and a penalty have in common. Numbers of persons are not in the repr.

    `subject_code` is the credit code, of a natural person the number of the identity document; `organ_code` the
    organ's credit code, in the edition of 2015 its division code.
    """

    row: int
    edition: str
    subject_kind: SubjectKind
    subject_name: str = field(repr=False)
    subject_code: str = field(repr=False)
    id_type: str
    # Registration numbers of before the credit code, by field name.
    other_numbers: tuple[tuple[str, str], ...]
    representative: str = field(repr=False)
    representative_id_type: str
    representative_id: str = field(repr=False)
    document_number: str
    content: str = field(repr=False)
    decided_on: date
    valid_to: date | None
    organ: str
    organ_code: str
    source: str
    source_code: str
    note: str = field(repr=False)

    @property
    def kind(self) -> Kind:
        return Kind.LICENCE if isinstance(self, Licence) else Kind.PENALTY

    @property
    def natural_key(self) -> tuple[str, str, str, str]:
        """Kind, document number, subject and organ: a later row with the same key supersedes this one.

        The brackets of a document number are typed in many ways, 〔2024〕 or [2024]: the key has one. Holds a person's
        number in clear.
        """
        number = re.sub(r"\s", "", unicodedata.normalize("NFKC", self.document_number)).upper()
        number = number.translate(str.maketrans("〔[(【〕])】", "(((())))"))
        return self.kind, number, self.subject_code, self.organ_code

    @property
    def content_hash(self) -> str:
        """SHA-256 over all but the row and edition, in hexadecimal: a row sent again has the same, in any format."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("row", "edition")}
        text = json.dumps([self.kind, said], ensure_ascii=False, sort_keys=True, default=date.isoformat)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence(Decision):
    """A granted licence. `valid_to` of 2099-12-31 is the standard's way to say without end."""

    document_name: str
    licence_category: str
    certificate_name: str
    certificate_number: str
    valid_from: date | None
    is_valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty(Decision):
    """A penalty. Amounts are in fen (分, 0.01 yuan); None where the row has none."""

    offence: str = field(repr=False)
    facts: str = field(repr=False)
    legal_basis: str = field(repr=False)
    categories: tuple[str, ...]
    fine_fen: int | None
    confiscated_fen: int | None
    revoked_licence: str
    public_until: date | None


def judged(rows: Iterable[Row], *, today: date) -> Iterator[Licence | Penalty | Rejected]:
    """Each row as a record, or rejected with every breach that was found. `today` bounds the day of decision."""
    for row in rows:
        yield _Judge(row, today).result()


class _Judge:
    def __init__(self, row: Row, today: date) -> None:
        self._row = row
        self._today = today
        self._breaches = list(row.breaches)
        self._texts: dict[str, str] = {}
        self._dates: dict[str, date | None] = {}

    def result(self) -> Licence | Penalty | Rejected:
        if not self._breaches:
            for column in self._row.columns.columns:
                self._texts[column.field] = self._text(column, self._row.values.get(column.name, ""))
        if not self._breaches:
            record = self._record(self._row.columns)
            if record is not None:
                return record
        return Rejected(self._row.number, self._row.columns, tuple(self._breaches), self._row.values)

    def _breach(self, name: str, reason: str, detail: str = "") -> None:
        column = self._row.columns.by_field.get(name)
        self._breaches.append(Breach(self._row.number, column.name if column else name, reason, detail))

    def _text(self, column: Column, sent: str) -> str:
        text = sent.strip()
        if not text:
            if column.required:
                self._breach(column.field, "REQUIRED")
        elif "\x00" in text:
            self._breach(column.field, "NUL")
        elif _is_unfit(text):
            self._breach(column.field, "BAD_CHARACTER")
        elif len(text) > column.length and column.type is not Type.DATE:
            self._breach(column.field, "TOO_LONG", f"{column.length}")
        elif column.type not in (Type.PROSE, Type.AMOUNT) and sent.lstrip(" ").startswith(RUN_BY_SPREADSHEETS):
            self._breach(column.field, "FORMULA_TEXT")
        elif not _is_in_list(column, text):
            self._breach(column.field, "NOT_IN_LIST", "、".join(column.values))
        elif column.type is Type.CODE and not _CODE.fullmatch(text):
            self._breach(column.field, "CODE_FORM")
        elif column.type is Type.DIVISION and not re.fullmatch("[1-9][0-9]{5}", text):
            self._breach(column.field, "DIVISION_CODE")
        elif column.type is Type.AMOUNT and not _AMOUNT.fullmatch(text):
            self._breach(column.field, "AMOUNT_FORM")
        elif column.type is Type.DATE:
            self._dates[column.field] = self._date(column.field, text)
        elif column.type is Type.CREDIT_CODE:
            return self._credit_code(column.field, text)
        return text

    def _credit_code(self, name: str, text: str) -> str:
        try:
            return _checked_code(text)
        except InvalidIdentifier:
            self._breach(name, "CREDIT_CODE", mask_identity(text))
            return ""

    def _identity(self, name: str, kind: str, text: str) -> str:
        """The number of an identity document, normalised."""
        if kind == "身份证":
            try:
                return check_resident_id(text)
            except InvalidIdentifier:
                self._breach(name, "RESIDENT_ID", mask_identity(text))
                return ""
        number = unicodedata.normalize("NFKC", text).replace(" ", "").upper()
        if not _PASSPORT.fullmatch(number):
            self._breach(name, "IDENTITY_FORM", mask_identity(text))
        return number

    def _date(self, name: str, text: str) -> date | None:
        match = _DATE.fullmatch(text)
        if not match:
            self._breach(name, "DATE_SERIAL" if re.fullmatch("[0-9]{5}", text) else "DATE_FORM")
            return None
        year, month, day = (int(part) for part in match.groups() if part)
        try:
            found = date(year, month, day)
        except ValueError:
            self._breach(name, "DATE_FORM")
            return None
        if not _FIRST_DAY <= found <= _LAST_DAY:
            self._breach(name, "DATE_RANGE")
        return found

    def _record(self, columns: ColumnSet) -> Licence | Penalty | None:
        texts = self._texts
        subject_kind = self._subject_kind()
        subject_code, id_type = self._subject(subject_kind)
        representative_id_type = texts.get("representative_id_type", "")
        representative_id = texts.get("representative_id", "")
        if representative_id:
            # Most senders leave the type out.
            representative_id_type = representative_id_type or "身份证"
            representative_id = self._identity("representative_id", representative_id_type, representative_id)
        decided_on, public_until = self._dates.get("decided_on"), self._dates.get("public_until")
        valid_from, valid_to = self._dates.get("valid_from"), self._dates.get("valid_to")
        if decided_on and decided_on > self._today:
            self._breach("decided_on", "DATE_IN_FUTURE")
        self._order("valid_to", valid_to, "valid_from" if valid_from else "decided_on", valid_from or decided_on)
        self._order("public_until", public_until, "decided_on", decided_on)
        categories = _parts(texts["categories"]) if columns.kind is Kind.PENALTY else ()
        if "罚款" in categories and not texts["fine"]:
            self._breach("fine", "AMOUNT_REQUIRED")
        if self._breaches:
            return None
        numbers = ("business_number", "organisation_code", "tax_number", "institution_number", "association_number")
        common: dict[str, Any] = {
            "row": self._row.number,
            "edition": columns.edition,
            "subject_kind": subject_kind,
            "subject_name": texts["subject_name"],
            "subject_code": subject_code,
            "id_type": id_type,
            "other_numbers": tuple((name, texts[name]) for name in numbers if texts.get(name)),
            "representative": texts["representative"],
            "representative_id_type": representative_id_type if representative_id else "",
            "representative_id": representative_id,
            "document_number": texts["document_number"],
            "content": texts["content"],
            "decided_on": decided_on,
            "valid_to": valid_to,
            "organ": texts["organ"],
            "organ_code": texts["organ_code"],
            "source": texts.get("source", ""),
            "source_code": texts.get("source_code", ""),
            "note": texts["note"],
        }
        if columns.kind is Kind.PENALTY:
            return Penalty(
                **common,
                offence=texts["offence"],
                facts=texts["facts"],
                legal_basis=texts["legal_basis"],
                categories=categories,
                fine_fen=_fen(texts["fine"]),
                confiscated_fen=_fen(texts["confiscated"]),
                revoked_licence=texts["revoked_licence"],
                public_until=public_until,
            )
        return Licence(
            **common,
            document_name=texts["document_name"],
            licence_category=texts["category"],
            certificate_name=texts.get("certificate_name", ""),
            certificate_number=texts.get("certificate_number", ""),
            valid_from=valid_from,
            is_valid=texts["status"] == ("0" if columns.edition == "2015" else "1"),
        )

    def _subject_kind(self) -> SubjectKind:
        said = self._texts.get("subject_category")
        if said:
            return _KINDS[said]
        # The edition of 2015 does not say it: who has an identity number and no credit code is a person.
        is_person = self._texts["id_number"] and not self._texts["credit_code"]
        return SubjectKind.PERSON if is_person else SubjectKind.ORGANISATION

    def _subject(self, kind: SubjectKind) -> tuple[str, str]:
        """The number that the subject is known by, and of a person its type."""
        credit_code, number = self._texts["credit_code"], self._texts["id_number"]
        if kind is not SubjectKind.PERSON:
            if not credit_code:
                self._breach("credit_code", "REQUIRED")
            return credit_code, ""
        if credit_code:
            self._breach("credit_code", "NOT_FOR_PERSON")
        id_type = self._texts.get("id_type", "身份证")
        if not id_type:
            self._breach("id_type", "REQUIRED")
        if not number:
            self._breach("id_number", "REQUIRED")
        if not id_type or not number:
            return "", id_type
        return self._identity("id_number", id_type, number), id_type

    def _order(self, name: str, later: date | None, first_name: str, first: date | None) -> None:
        if later and first and later < first:
            self._breach(name, "DATES_REVERSED", self._row.columns.by_field[first_name].title)


def _is_unfit(text: str) -> bool:
    """Control, direction and private characters, halves of pairs, and the two marks of a lossy conversion."""
    # Text of letters and spaces, nearly all there is, passes fast.
    if text.isprintable() and "\ufffd" not in text and "锟斤拷" not in text:
        return False
    return "锟斤拷" in text or any(
        char == "\ufffd" or (char not in "\t\r\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn"))
        for char in text
    )


def _is_in_list(column: Column, text: str) -> bool:
    if column.type is Type.ONE_OF:
        return text in column.values
    if column.type is Type.ONE_OF_OR_OTHER:
        return text in column.values or _is_other(text)
    if column.type is Type.SOME_OF:
        return all(part in PENALTY_CATEGORIES or _is_other(part) for part in _parts(text))
    return True


def _is_other(text: str) -> bool:
    return len(text) > 3 and text.startswith(("其他-", "其他－", "其他—"))


def _parts(text: str) -> tuple[str, ...]:
    """Several kinds of penalty, sorted, for 警告；罚款 and 罚款；警告 are the same."""
    return tuple(sorted({part.strip() for part in re.split("[;；|]", text) if part.strip()}))


def _fen(amount: str) -> int | None:
    return int(Decimal(amount) * _FEN_PER_WAN_YUAN) if amount else None
