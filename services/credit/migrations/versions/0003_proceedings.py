"""Authorisations and the queries made with them, evidence, objections, repairs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credit_evidence",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("proceeding_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_credit_evidence_proceeding_id"), "credit_evidence", ["proceeding_id"], unique=False)
    op.create_index(op.f("ix_credit_evidence_sha256"), "credit_evidence", ["sha256"], unique=False)
    op.create_index(
        "ix_credit_evidence_unused",
        "credit_evidence",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("proceeding_id IS NULL"),
        sqlite_where=sa.text("proceeding_id IS NULL"),
    )
    op.create_table(
        "credit_authorisation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("grantor_id", sa.String(length=36), nullable=False),
        sa.Column("granted_by", sa.String(length=128), nullable=False),
        sa.Column("grantee", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
        sa.Column("uses_max", sa.Integer(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("proof", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("history_sequence", sa.Integer(), nullable=False),
        sa.Column("history_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["grantor_id"],
            ["credit_subject.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_credit_authorisation_grantee", "credit_authorisation", ["grantee", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_credit_authorisation_grantor", "credit_authorisation", ["grantor_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "credit_objection",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("filer", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("content_hash", sa.String(length=43), nullable=False),
        sa.Column("filed_on", sa.Date(), nullable=False),
        sa.Column("forwarded_on", sa.Date(), nullable=True),
        sa.Column("decided_on", sa.Date(), nullable=True),
        sa.Column("platform_error", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.Text(), nullable=False),
        sa.Column("record_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("history_sequence", sa.Integer(), nullable=False),
        sa.Column("history_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["credit_record.id"],
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["credit_subject.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_credit_objection_record_id"), "credit_objection", ["record_id"], unique=False)
    op.create_index("ix_credit_objection_source", "credit_objection", ["source", "created_at", "id"], unique=False)
    op.create_index("ix_credit_objection_subject", "credit_objection", ["subject_id", "created_at", "id"], unique=False)
    op.create_index("ix_credit_objection_time", "credit_objection", ["created_at", "id"], unique=False)
    op.create_index(
        "ux_credit_objection_open",
        "credit_objection",
        ["record_id"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('CLOSED', 'WITHDRAWN')"),
        sqlite_where=sa.text("state NOT IN ('CLOSED', 'WITHDRAWN')"),
    )
    op.create_table(
        "credit_query",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("asker", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("basis", sa.String(length=16), nullable=False),
        sa.Column("authorisation_id", sa.String(length=36), nullable=True),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("record_types", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorisation_id"],
            ["credit_authorisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["credit_subject.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_credit_query_subject", "credit_query", ["subject_id", "asked_at", "id"], unique=False)
    op.create_index("ix_credit_query_time", "credit_query", ["asked_at", "id"], unique=False)
    op.create_table(
        "credit_repair",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("filer", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("corrected_on", sa.Date(), nullable=False),
        sa.Column("promise", sa.Boolean(), nullable=False),
        sa.Column("submitted_on", sa.Date(), nullable=False),
        sa.Column("accepted_on", sa.Date(), nullable=True),
        sa.Column("decided_on", sa.Date(), nullable=True),
        sa.Column("extended", sa.Boolean(), nullable=False),
        sa.Column("opinion", sa.Text(), nullable=False),
        sa.Column("false_material_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("history_sequence", sa.Integer(), nullable=False),
        sa.Column("history_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["credit_record.id"],
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["credit_subject.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_credit_repair_record_id"), "credit_repair", ["record_id"], unique=False)
    op.create_index("ix_credit_repair_source", "credit_repair", ["source", "created_at", "id"], unique=False)
    op.create_index("ix_credit_repair_subject", "credit_repair", ["subject_id", "created_at", "id"], unique=False)
    op.create_index("ix_credit_repair_time", "credit_repair", ["created_at", "id"], unique=False)
    op.create_index(
        "ux_credit_repair_open",
        "credit_repair",
        ["record_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('SUBMITTED', 'ACCEPTED', 'EXTENDED')"),
        sqlite_where=sa.text("state IN ('SUBMITTED', 'ACCEPTED', 'EXTENDED')"),
    )


def downgrade() -> None:
    op.drop_index("ux_credit_repair_open", table_name="credit_repair")
    op.drop_index("ix_credit_repair_time", table_name="credit_repair")
    op.drop_index("ix_credit_repair_subject", table_name="credit_repair")
    op.drop_index("ix_credit_repair_source", table_name="credit_repair")
    op.drop_index(op.f("ix_credit_repair_record_id"), table_name="credit_repair")
    op.drop_table("credit_repair")
    op.drop_index("ix_credit_query_time", table_name="credit_query")
    op.drop_index("ix_credit_query_subject", table_name="credit_query")
    op.drop_table("credit_query")
    op.drop_index("ux_credit_objection_open", table_name="credit_objection")
    op.drop_index("ix_credit_objection_time", table_name="credit_objection")
    op.drop_index("ix_credit_objection_subject", table_name="credit_objection")
    op.drop_index("ix_credit_objection_source", table_name="credit_objection")
    op.drop_index(op.f("ix_credit_objection_record_id"), table_name="credit_objection")
    op.drop_table("credit_objection")
    op.drop_index("ix_credit_authorisation_grantor", table_name="credit_authorisation")
    op.drop_index("ix_credit_authorisation_grantee", table_name="credit_authorisation")
    op.drop_table("credit_authorisation")
    op.drop_index("ix_credit_evidence_unused", table_name="credit_evidence")
    op.drop_index(op.f("ix_credit_evidence_sha256"), table_name="credit_evidence")
    op.drop_index(op.f("ix_credit_evidence_proceeding_id"), table_name="credit_evidence")
    op.drop_table("credit_evidence")
