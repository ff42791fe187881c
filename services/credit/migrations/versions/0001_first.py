"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credit_record_type",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("openness", sa.String(length=20), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("subject_kinds", sa.JSON(), nullable=False),
        sa.Column("by_consent", sa.Boolean(), nullable=False),
        sa.Column("content_schema", sa.JSON(), nullable=False),
        sa.Column("retention_amount", sa.Integer(), nullable=False),
        sa.Column("retention_unit", sa.String(length=12), nullable=False),
        sa.Column("publicity", sa.String(length=16), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", "version"),
    )
    op.create_index(
        "ux_credit_type_draft",
        "credit_record_type",
        ["code"],
        unique=True,
        postgresql_where=sa.text("state = 'DRAFT'"),
        sqlite_where=sa.text("state = 'DRAFT'"),
    )
    op.create_index(
        "ux_credit_type_published",
        "credit_record_type",
        ["code"],
        unique=True,
        postgresql_where=sa.text("state = 'PUBLISHED'"),
        sqlite_where=sa.text("state = 'PUBLISHED'"),
    )
    op.create_table(
        "credit_subject",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=18), nullable=True),
        sa.Column("id_type", sa.String(length=64), nullable=False),
        sa.Column("number_sealed", sa.String(length=400), nullable=False),
        sa.Column("number_masked", sa.String(length=64), nullable=False),
        sa.Column("number_index", sa.String(length=43), nullable=True),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column(
            "name_key",
            sa.String(length=200).with_variant(sa.String(length=200, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name_since", sa.Date(), nullable=False),
        sa.Column("told_on", sa.Date(), nullable=False),
        sa.Column("representative", sa.String(length=256), nullable=False),
        sa.Column("representative_id_type", sa.String(length=64), nullable=False),
        sa.Column("representative_sealed", sa.String(length=400), nullable=False),
        sa.Column("representative_index", sa.String(length=43), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("region_code", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("history_sequence", sa.Integer(), nullable=False),
        sa.Column("history_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
        sa.UniqueConstraint("number_index"),
    )
    op.create_index("ix_credit_subject_name", "credit_subject", ["name_key", "id"], unique=False)
    op.create_index("ix_credit_subject_region", "credit_subject", ["region_code", "name_key", "id"], unique=False)
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("handler", sa.String(length=100), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replay_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_dead_letter_event_id"), "dead_letter", ["event_id"], unique=False)
    op.create_table(
        "history",
        sa.Column("aggregate", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("organisation", sa.String(length=32), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("aggregate", "sequence"),
    )
    op.create_table(
        "idempotency",
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("method", sa.String(length=120), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "method", "request_id"),
    )
    op.create_index(op.f("ix_idempotency_time"), "idempotency", ["time"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("handler", sa.String(length=100), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "handler"),
    )
    op.create_index(op.f("ix_inbox_time"), "inbox", ["time"], unique=False)
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=12), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traceparent", sa.String(length=64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id"),
        sa.UniqueConstraint("position"),
    )
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["id"],
        unique=False,
        postgresql_where=sa.text("published_at IS NULL"),
        sqlite_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "credit_former_name",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column(
            "name_key",
            sa.String(length=200).with_variant(sa.String(length=200, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["credit_subject.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_credit_former_name_name_key"), "credit_former_name", ["name_key"], unique=False)
    op.create_index(op.f("ix_credit_former_name_subject_id"), "credit_former_name", ["subject_id"], unique=False)
    op.create_table(
        "credit_record",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("type_code", sa.String(length=32), nullable=False),
        sa.Column("natural_key", sa.String(length=43), nullable=False),
        sa.Column("content_hash", sa.String(length=43), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("disputed", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("days_late", sa.Integer(), nullable=False),
        sa.Column("archived_on", sa.Date(), nullable=True),
        sa.Column("archive_after", sa.Date(), nullable=True),
        sa.Column("newest", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("history_sequence", sa.Integer(), nullable=False),
        sa.Column("history_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["credit_subject.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("natural_key"),
    )
    op.create_index(op.f("ix_credit_record_archive_after"), "credit_record", ["archive_after"], unique=False)
    op.create_index("ix_credit_record_source", "credit_record", ["source", "received_on"], unique=False)
    op.create_index(op.f("ix_credit_record_subject_id"), "credit_record", ["subject_id"], unique=False)
    op.create_table(
        "credit_record_version",
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("type_code", sa.String(length=32), nullable=False),
        sa.Column("type_version", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=43), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("organ_code", sa.String(length=18), nullable=False),
        sa.Column("organ_name", sa.String(length=200), nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("severity", sa.String(length=20), nullable=True),
        sa.Column("rule_set", sa.String(length=16), nullable=False),
        sa.Column("minimum_end", sa.Date(), nullable=True),
        sa.Column("public_from", sa.Date(), nullable=True),
        sa.Column("public_until", sa.Date(), nullable=True),
        sa.Column("lifted_on", sa.Date(), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("known_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_to", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["credit_record.id"],
        ),
        sa.PrimaryKeyConstraint("record_id", "number"),
    )
    op.create_index(
        "ix_credit_version_subject", "credit_record_version", ["subject_id", "decided_on", "record_id"], unique=False
    )
    op.create_index(
        "ux_credit_version_known",
        "credit_record_version",
        ["record_id"],
        unique=True,
        postgresql_where=sa.text("known_to IS NULL"),
        sqlite_where=sa.text("known_to IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ux_credit_version_known",
        table_name="credit_record_version",
        postgresql_where=sa.text("known_to IS NULL"),
        sqlite_where=sa.text("known_to IS NULL"),
    )
    op.drop_index("ix_credit_version_subject", table_name="credit_record_version")
    op.drop_table("credit_record_version")
    op.drop_index(op.f("ix_credit_record_subject_id"), table_name="credit_record")
    op.drop_index("ix_credit_record_source", table_name="credit_record")
    op.drop_index(op.f("ix_credit_record_archive_after"), table_name="credit_record")
    op.drop_table("credit_record")
    op.drop_index(op.f("ix_credit_former_name_subject_id"), table_name="credit_former_name")
    op.drop_index(op.f("ix_credit_former_name_name_key"), table_name="credit_former_name")
    op.drop_table("credit_former_name")
    op.drop_index(
        "ix_outbox_unpublished",
        table_name="outbox",
        postgresql_where=sa.text("published_at IS NULL"),
        sqlite_where=sa.text("published_at IS NULL"),
    )
    op.drop_table("outbox")
    op.drop_table("lease")
    op.drop_index(op.f("ix_inbox_time"), table_name="inbox")
    op.drop_table("inbox")
    op.drop_index(op.f("ix_idempotency_time"), table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_table("history")
    op.drop_index(op.f("ix_dead_letter_event_id"), table_name="dead_letter")
    op.drop_table("dead_letter")
    op.drop_index("ix_credit_subject_region", table_name="credit_subject")
    op.drop_index("ix_credit_subject_name", table_name="credit_subject")
    op.drop_table("credit_subject")
    op.drop_index(
        "ux_credit_type_published",
        table_name="credit_record_type",
        postgresql_where=sa.text("state = 'PUBLISHED'"),
        sqlite_where=sa.text("state = 'PUBLISHED'"),
    )
    op.drop_index(
        "ux_credit_type_draft",
        table_name="credit_record_type",
        postgresql_where=sa.text("state = 'DRAFT'"),
        sqlite_where=sa.text("state = 'DRAFT'"),
    )
    op.drop_table("credit_record_type")
