"""Who records are about: made and kept up to date by what decisions tell."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from tulou_chassis.history import Entry, Head, append
from tulou_chassis.keyring import Keyring
from tulou_civics.divisions import current_code, divisions
from tulou_civics.identifiers import mask_identity
from tulou_credit.domain.subjects import SubjectKind, SubjectStatus, name_key
from tulou_credit.models import FormerName, Subject
from tulou_credit.queries import number_index, subject_by_code, subject_by_number
from tulou_credit.wiring import House


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


def put(session: Session, *, told: Description, actor: str, organisation: str, now: datetime, house: House) -> Subject:
    """Makes the subject, or brings it up to date where the decision is no older than what it was known by.

    A changed name becomes a former one; the name in an older decision does too. `actor` and `organisation` go into
    the history. Raises IntegrityError or StaleDataError when another transaction wrote the subject meanwhile: the whole
    transaction is to be run again.
    """
    found = _find(session, told, house)
    if found is None:
        return _make(session, told, actor, organisation, now, house)
    changes = _changes(session, found, told, house)
    if not changes:
        return found
    for name, value in changes.items():
        setattr(found, name, value)
    found.updated_at = now
    shown = sorted(name for name in changes if name not in ("told_on", "name_key"))
    if shown:
        _record(session, found, "CHANGE", shown, actor, organisation, now, house.keyring)
    session.add(found)
    session.flush()
    return found


def reveal(*, subject: Subject, house: House) -> str:
    """A person's number in clear, for the purposes that the caller was allowed; of others the credit code."""
    if subject.code is not None:
        return subject.code
    return house.keyring.decrypt(subject.number_sealed, context=f"credit_subject.number:{subject.id}")


def _find(session: Session, told: Description, house: House) -> Subject | None:
    if told.kind is SubjectKind.PERSON:
        return subject_by_number(session, id_type=told.id_type, number=told.code, house=house)
    return subject_by_code(session, code=told.code)


def _make(session: Session, told: Description, actor: str, organisation: str, now: datetime, house: House) -> Subject:
    subject_id = str(uuid.uuid4())
    subject = Subject(
        id=subject_id,
        kind=told.kind,
        name=told.name,
        name_key=name_key(told.name),
        name_since=told.told_on,
        told_on=told.told_on,
        status=told.status or SubjectStatus.ACTIVE,
        created_at=now,
        updated_at=now,
        **_numbers(subject_id, told, house.keyring),
        **_representative(subject_id, told, house.keyring),
    )
    _record(session, subject, "CREATE", [], actor, organisation, now, house.keyring)
    session.add(subject)
    session.flush()
    return subject


def _numbers(subject_id: str, told: Description, keyring: Keyring) -> dict[str, Any]:
    if told.kind is not SubjectKind.PERSON:
        return {"code": told.code, "region_code": _region(told.code)}
    return {
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
    if not told.representative:
        return {}
    number = told.representative_id
    return {
        "representative": told.representative,
        "representative_id_type": told.representative_id_type if number else "",
        "representative_sealed": keyring.encrypt(number, context=f"credit_subject.representative:{subject_id}")
        if number
        else "",
        "representative_index": number_index(told.representative_id_type, number, keyring) if number else "",
    }


def _changes(session: Session, subject: Subject, told: Description, house: House) -> Mapping[str, Any]:
    """The columns that the decision changes. Writes former names."""
    changes: dict[str, Any] = {}
    # The edition of 2015 does not tell sole traders from organisations.
    if subject.kind == SubjectKind.ORGANISATION and told.kind is SubjectKind.SOLE_TRADER:
        changes["kind"] = told.kind
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


def _newer(subject: Subject, told: Description, house: House) -> Mapping[str, Any]:
    changes: dict[str, Any] = {}
    if told.told_on > subject.told_on:
        changes["told_on"] = told.told_on
    if told.status is not None and told.status != subject.status:
        changes["status"] = told.status
    number = told.representative_id
    index = number_index(told.representative_id_type, number, house.keyring) if number else ""
    same_person = told.representative == subject.representative and index in ("", subject.representative_index)
    if told.representative and not same_person:
        changes.update(_representative(subject.id, told, house.keyring))
    return changes


def _former(session: Session, subject: Subject, name: str, key: str, since: date, until: date) -> None:
    session.add(FormerName(subject_id=subject.id, name=name, name_key=key, valid_from=since, valid_to=until))
    session.flush()


def _is_former(session: Session, subject: Subject, key: str) -> bool:
    query = select(FormerName.id).where(col(FormerName.subject_id) == subject.id, FormerName.name_key == key)
    return session.exec(query.limit(1)).first() is not None


def _record(
    session: Session,
    subject: Subject,
    action: str,
    fields: list[str],
    actor: str,
    organisation: str,
    now: datetime,
    keyring: Keyring,
) -> None:
    """Adds an entry to the subject's history: which fields changed, never to what."""
    head = append(
        session,
        keyring,
        subject.id,
        Head(subject.history_sequence, subject.history_hash),
        Entry(action=action, time=now, actor=actor, organisation=organisation, details={"fields": fields}),
    )
    subject.history_sequence, subject.history_hash = head.sequence, head.hash
