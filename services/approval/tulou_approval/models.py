"""The tables of the approval service."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, text
from sqlmodel import Field, SQLModel

from tulou_chassis.tables import Serial, UtcDateTime

# SQLAlchemy counts these up with every change and refuses to write over a newer row.
_ITEM_REVISION = Column("revision", Integer, nullable=False)
_CASE_VERSION = Column("version", Integer, nullable=False)
# Where nothing is, the database's NULL and not JSON's, which every reader would have to parse.
MaybeJson = JSON(none_as_null=True)


class Department(SQLModel, table=True):
    """A department (部门)."""

    __tablename__ = "department"

    code: str = Field(max_length=32, primary_key=True)
    name: str = Field(max_length=100)
    name_en: str = Field(max_length=200)
    region_code: str = Field(max_length=12)
    credit_code: str = Field(max_length=18)


class ItemVersion(SQLModel, table=True):
    """One version of an item (事项). What lists filter by stands in columns, the whole in `content`."""

    __tablename__ = "item_version"

    code: str = Field(max_length=32, primary_key=True)
    version: int = Field(primary_key=True)
    state: str = Field(max_length=12)
    name: str = Field(max_length=200)
    department_code: str = Field(max_length=32, foreign_key="department.code", index=True)
    level: str = Field(max_length=12)
    region_code: str = Field(max_length=12)
    subject_type: str = Field(max_length=16)
    instant: bool
    promised_days: int
    statutory_days: int
    # The item as the proto's JSON with snake_case names, without what the columns `state` and below hold.
    content: dict[str, Any] = Field(sa_type=JSON)
    published_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revision: int = Field(default=1, sa_column=_ITEM_REVISION)

    __mapper_args__ = {"version_id_col": _ITEM_REVISION}
    # At most one version of a code is in force, and one in the making.
    __table_args__ = (
        Index(
            "ux_item_published",
            "code",
            unique=True,
            postgresql_where=text("state = 'PUBLISHED'"),
            sqlite_where=text("state = 'PUBLISHED'"),
        ),
        Index(
            "ux_item_draft",
            "code",
            unique=True,
            postgresql_where=text("state = 'DRAFT'"),
            sqlite_where=text("state = 'DRAFT'"),
        ),
    )


class Case(SQLModel, table=True):
    """A case (办件)."""

    __tablename__ = "case_file"

    id: str = Field(max_length=36, primary_key=True)
    number: str | None = Field(default=None, max_length=20, unique=True)
    state: str = Field(max_length=20)
    item_code: str = Field(max_length=32)
    item_version: int
    item_name: str = Field(max_length=200)
    title: str = Field(max_length=200)
    region_code: str = Field(max_length=12)
    department_code: str = Field(max_length=32)
    owner: str = Field(max_length=128)
    subject_type: str = Field(max_length=16)
    applicant_name: str = Field(max_length=100)
    agent_name: str = Field(max_length=100)
    # Encrypted; beside them what answers show, and what finds a case by number and the last four characters.
    identity_sealed: str = Field(max_length=200)
    phone_sealed: str = Field(max_length=200)
    identity_masked: str = Field(max_length=18)
    phone_masked: str = Field(max_length=11)
    identity_tail_index: str = Field(max_length=43)
    form: dict[str, Any] = Field(sa_type=JSON)
    # Of the item's version, because every deadline needs them.
    instant: bool
    promised_days: int
    statutory_days: int
    extended: bool = False
    # {kind: [due date, provisional]} of the deadlines that run; the next of the organ's beside it, to be searched by.
    deadlines: dict[str, Any] = Field(sa_type=JSON)
    next_due: date | None = None
    calendar_version: str = Field(default="", max_length=64)
    acceptance: dict[str, Any] | None = Field(default=None, sa_type=MaybeJson)
    decision: dict[str, Any] | None = Field(default=None, sa_type=MaybeJson)
    licence: dict[str, Any] | None = Field(default=None, sa_type=MaybeJson)
    correction: dict[str, Any] | None = Field(default=None, sa_type=MaybeJson)
    procedure: dict[str, Any] | None = Field(default=None, sa_type=MaybeJson)
    reviewers: list[str] = Field(sa_type=JSON)
    handling: str = Field(default="ORDINARY", max_length=12)
    credit_check: dict[str, Any] | None = Field(default=None, sa_type=MaybeJson)
    # Who the applicant is in the credit service, and the record of its list that took simplified handling back.
    credit_subject_id: str = Field(default="", max_length=36)
    turned_ordinary_by: str = Field(default="", max_length=36)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    submitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    history_sequence: int = 0
    history_hash: str = Field(default="", max_length=64)
    version: int = Field(default=1, sa_column=_CASE_VERSION)

    __mapper_args__ = {"version_id_col": _CASE_VERSION}
    __table_args__ = (
        Index("ix_case_owner", "owner", "created_at", "id"),
        Index("ix_case_department", "department_code", "created_at", "id"),
        Index("ix_case_region", "region_code", "created_at", "id"),
        Index("ix_case_due", "state", "next_due"),
        # Drafts, of which there are many, are not in it.
        Index(
            "ix_case_credit_subject",
            "credit_subject_id",
            postgresql_where=text("credit_subject_id <> ''"),
            sqlite_where=text("credit_subject_id <> ''"),
        ),
    )


class ApplicantStanding(SQLModel, table=True):
    """What the credit service told last of an applicant's standing, and the record that moved it; both are empty of
    who was only accepted in a simplified way so far."""

    __tablename__ = "applicant_standing"

    credit_subject_id: str = Field(max_length=36, primary_key=True)
    standing: str = Field(default="", max_length=12)
    record_id: str = Field(default="", max_length=36)


class MaterialFile(SQLModel, table=True):
    """A file handed in (材料文件); its content lies in the blob store under its SHA-256."""

    __tablename__ = "material_file"

    id: str = Field(max_length=36, primary_key=True)
    case_id: str = Field(max_length=36, foreign_key="case_file.id", index=True)
    material_code: str = Field(max_length=8)
    filename: str = Field(max_length=200)
    media_type: str = Field(max_length=100)
    size: int = Field(sa_type=BigInteger)
    sha256: str = Field(max_length=64)
    uploaded_at: datetime = Field(sa_type=UtcDateTime)
    superseded: bool = False


class CaseDocument(SQLModel, table=True):
    """A document given to the applicant (文书)."""

    __tablename__ = "case_document"

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    number: str = Field(max_length=64, unique=True)
    case_id: str = Field(max_length=36, foreign_key="case_file.id", index=True)
    kind: str = Field(max_length=24)
    text: str
    issue_date: date


class Counter(SQLModel, table=True):
    """A running number, for example of the cases of one region and day."""

    __tablename__ = "counter"

    name: str = Field(max_length=64, primary_key=True)
    value: int


class Notice(SQLModel, table=True):
    """A notice to an applicant (办理通知), made from an event; its text is put together when it is read."""

    __tablename__ = "notice"

    id: str = Field(max_length=36, primary_key=True)
    owner: str = Field(max_length=128)
    case_id: str = Field(max_length=36)
    case_number: str = Field(max_length=20)
    item_name: str = Field(max_length=200)
    type: str = Field(max_length=64)
    time: datetime = Field(sa_type=UtcDateTime)

    __table_args__ = (Index("ix_notice_owner", "owner", "time", "id"),)


class PublishedGrant(SQLModel, table=True):
    """An entry of the public register of grants (准予许可公示)."""

    __tablename__ = "published_grant"

    case_number: str = Field(max_length=20, primary_key=True)
    item_code: str = Field(max_length=32)
    item_name: str = Field(max_length=200)
    applicant_name: str = Field(max_length=100)
    department_code: str = Field(max_length=32)
    document_number: str = Field(max_length=64)
    decision_date: date

    __table_args__ = (Index("ix_grant_date", "decision_date", "case_number"),)


class TrackingLock(SQLModel, table=True):
    """Wrong tries at tracking one case number; the number is kept as a keyed hash, for it need not be a real one."""

    __tablename__ = "tracking_lock"

    number_index: str = Field(max_length=43, primary_key=True)
    failures: int
    window_start: datetime = Field(sa_type=UtcDateTime)
