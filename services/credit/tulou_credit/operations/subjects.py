"""Who records are about: made and kept up to date by what decisions tell."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import bindparam, insert
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from tulou_chassis.history import Entry, Head, append
from tulou_chassis.hot import Hot
from tulou_chassis.keyring import Keyring
from tulou_civics.divisions import current_code, divisions
from tulou_civics.identifiers import mask_identity
from tulou_credit.domain.subjects import SubjectKind, SubjectStatus, name_key
from tulou_credit.intake.rows import Licence, Penalty
from tulou_credit.models import FormerName, Subject
from tulou_credit.operations import batch
from tulou_credit.queries import number_index
from tulou_credit.wiring import House

_SUBJECTS: Final = Subject.__table__  # type: ignore[attr-defined]
# What a decision may change, and what tells whom it is about.
_COMPARED: Final = select_columns(
    *(
        _SUBJECTS.c[name]
        for name in (
            *("id", "kind", "name", "name_key", "name_since", "told_on", "status", "region_code"),
            *("representative", "representative_index"),
        )
    )
)
_BY_CODE: Final = Hot(_COMPARED.where(_SUBJECTS.c.code == bindparam("code")))
_BY_NUMBER: Final = Hot(_COMPARED.where(_SUBJECTS.c.number_index == bindparam("number_index")))
_INSERT: Final = Hot(insert(_SUBJECTS))


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a decision of the day `told_on` tells of its subject.

    `code` is the credit code, of a person the number of the document of `id_type`. What is empty was not told.
    """

    kind: SubjectKind
    code: str = field(repr=False)
    id_type: str = ""
    name: str = field(repr=False)
    representative: str = field(default="", repr=False)
    representative_id_type: str = ""
    representative_id: str = field(default="", repr=False)
    status: SubjectStatus | None = None
    told_on: date


@dataclass(frozen=True)
class Ref:
    """A subject that was put, and the region that may be told of it."""

    id: str
    region_code: str


def put(session: Session, *, told: Description, actor: str, organisation: str, now: datetime, house: House) -> Ref:
    """Makes the subject, or brings it up to date where the decision is no older than what it was known by.

    A changed name becomes a former one; the name in an older decision does too. `actor` and `organisation` go into
    the history. Raises IntegrityError or StaleDataError when another transaction wrote the subject meanwhile: the whole
    transaction is to be run again.
    """
    column, value = _known_by(told.kind, told.id_type, told.code, house)
    try:
        ahead = batch.take(session, column, value)
    except batch.NotAhead:
        ahead = None
    else:
        if ahead is None:
            return _make(session, told, actor, organisation, now, house)
        if _tells_nothing_new(ahead, told, house):
            batch.keep(session, column, value, ahead)
            return Ref(ahead.id, ahead.region_code)
    # What is to be changed is read once more, for it is some rows ago that it was read ahead.
    find = _BY_NUMBER if told.kind is SubjectKind.PERSON else _BY_CODE
    found = find.run(session, {column.key: value})
    if not found:
        return _make(session, told, actor, organisation, now, house)
    ref = Ref(found[0].id, found[0].region_code)
    changes = _changes(session, found[0], told, house)
    if not changes:
        batch.keep(session, column, value, found[0])
    if changes:
        subject = session.get_one(Subject, ref.id)
        for name, value in changes.items():
            setattr(subject, name, value)
        subject.updated_at = now
        if shown := sorted(changes.keys() - {"told_on", "name_key", "name_since"}):
            details = {"fields": shown}
            before = Head(subject.history_sequence, subject.history_hash)
            head = append(
                session,
                house.keyring,
                ref.id,
                before,
                Entry(action="CHANGE", time=now, actor=actor, organisation=organisation, details=details),
            )
            subject.history_sequence, subject.history_hash = head.sequence, head.hash
        session.add(subject)
        session.flush()
    return ref


def read_ahead(session: Session, decisions: Sequence[Licence | Penalty], *, house: House) -> None:
    """Reads the subjects of the decisions at once, for `put`; see `batch`."""
    keys: dict[Any, list[str]] = {_SUBJECTS.c.code: [], _SUBJECTS.c.number_index: []}
    for each in decisions:
        column, value = _known_by(each.subject_kind, each.id_type, each.subject_code, house)
        keys[column].append(value)
    for column, values in keys.items():
        batch.read(session, _COMPARED, column, values)


def reveal(*, subject: Subject, house: House) -> str:
    """A person's number in clear, for the purposes that the caller was allowed; of others the credit code."""
    if subject.code is not None:
        return subject.code
    return house.keyring.decrypt(subject.number_sealed, context=f"credit_subject.number:{subject.id}")


def _known_by(kind: SubjectKind, id_type: str, code: str, house: House) -> tuple[Any, str]:
    """The column that finds the subject, and its value."""
    if kind is SubjectKind.PERSON:
        return _SUBJECTS.c.number_index, number_index(id_type, code, house.keyring)
    return _SUBJECTS.c.code, code


def _make(session: Session, told: Description, actor: str, organisation: str, now: datetime, house: House) -> Ref:
    subject_id = str(uuid.uuid4())
    # Which fields changed, never to what.
    entry = Entry(action="CREATE", time=now, actor=actor, organisation=organisation, details={})
    head = append(session, house.keyring, subject_id, Head(), entry)
    subject = {
        "id": subject_id,
        "kind": told.kind.value,
        **_numbers(subject_id, told, house.keyring),
        "name": told.name,
        "name_key": name_key(told.name),
        "name_since": told.told_on,
        "told_on": told.told_on,
        **_representative(subject_id, told, house.keyring),
        "status": (told.status or SubjectStatus.ACTIVE).value,
        "created_at": now,
        "updated_at": now,
        "history_sequence": head.sequence,
        "history_hash": head.hash,
        "version": 1,
    }
    _INSERT.run(session, subject)
    return Ref(subject_id, subject["region_code"])


def _numbers(subject_id: str, told: Description, keyring: Keyring) -> dict[str, Any]:
    if told.kind is not SubjectKind.PERSON:
        return {
            "code": told.code,
            "region_code": _region(told.code),
            "id_type": "",
            "number_sealed": "",
            "number_masked": "",
            "number_index": None,
        }
    return {
        "code": None,
        "region_code": "",
        "id_type": told.id_type,
        "number_sealed": keyring.encrypt(told.code, context=f"credit_subject.number:{subject_id}"),
        "number_masked": mask_identity(told.code),
        "number_index": number_index(told.id_type, told.code, keyring),
    }


def _region(credit_code: str) -> str:
    """The division of the authority that registered it (GB 32100, digits 3 to 8), by today's code."""
    code = current_code(credit_code[2:8])
    return code if code in divisions() else ""


def _representative(subject_id: str, told: Description, keyring: Keyring) -> dict[str, Any]:
    number = told.representative_id if told.representative else ""
    context = f"credit_subject.representative:{subject_id}"
    return {
        "representative": told.representative,
        "representative_id_type": told.representative_id_type if number else "",
        "representative_sealed": keyring.encrypt(number, context=context) if number else "",
        "representative_index": number_index(told.representative_id_type, number, keyring) if number else "",
    }


def _changes(session: Session, subject: Any, told: Description, house: House) -> Mapping[str, Any]:
    """The columns of the row `subject` that the decision changes. Writes former names."""
    changes: dict[str, Any] = {}
    # The edition of 2015 does not tell sole traders from organisations.
    if subject.kind == SubjectKind.ORGANISATION and told.kind is SubjectKind.SOLE_TRADER:
        changes["kind"] = told.kind.value
    key = name_key(told.name)
    newer = told.told_on >= subject.told_on
    if key == subject.name_key:
        if told.told_on < subject.name_since:
            changes["name_since"] = told.told_on
    elif newer:
        _former(session, subject, subject.name, subject.name_key, subject.name_since, told.told_on)
        changes.update(name=told.name, name_key=key, name_since=told.told_on)
    elif not _is_former(session, subject, key):
        # The name of today is younger than this decision, whatever was known of its beginning.
        until = max(told.told_on, subject.name_since)
        _former(session, subject, told.name, key, told.told_on, until)
    if newer:
        changes.update(_newer(subject, told, house))
    return changes


def _tells_nothing_new(subject: Any, told: Description, house: House) -> bool:
    """Whether `_changes` would find nothing, as far as that can be said of the row alone."""
    same_kind = subject.kind != SubjectKind.ORGANISATION or told.kind is not SubjectKind.SOLE_TRADER
    same_name = name_key(told.name) == subject.name_key and told.told_on >= subject.name_since
    return same_kind and same_name and (told.told_on < subject.told_on or not _newer(subject, told, house))


def _newer(subject: Any, told: Description, house: House) -> Mapping[str, Any]:
    changes: dict[str, Any] = {}
    if told.told_on > subject.told_on:
        changes["told_on"] = told.told_on
    if told.status is not None and told.status != subject.status:
        changes["status"] = told.status.value
    number = told.representative_id
    index = number_index(told.representative_id_type, number, house.keyring) if number else ""
    same_person = told.representative == subject.representative and index in ("", subject.representative_index)
    if told.representative and not same_person:
        changes.update(_representative(subject.id, told, house.keyring))
    return changes


def _former(session: Session, subject: Any, name: str, key: str, since: date, until: date) -> None:
    session.add(FormerName(subject_id=subject.id, name=name, name_key=key, valid_from=since, valid_to=until))
    session.flush()


def _is_former(session: Session, subject: Any, key: str) -> bool:
    query = select(FormerName.id).where(col(FormerName.subject_id) == subject.id, FormerName.name_key == key)
    return session.exec(query.limit(1)).first() is not None
