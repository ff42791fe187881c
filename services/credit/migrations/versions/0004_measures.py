"""Measures and reports."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credit_measure",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("standing", sa.String(length=8), nullable=False),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("zh", sa.String(length=200), nullable=False),
        sa.Column("en", sa.String(length=300), nullable=False),
        sa.Column("legal_basis", sa.String(length=500), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=False),
        sa.Column("withdrawn_on", sa.Date(), nullable=True),
        sa.Column("published_by", sa.String(length=128), nullable=False),
        sa.Column("withdrawn_by", sa.String(length=128), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", "version"),
    )
    op.create_index(
        "ux_credit_measure_open",
        "credit_measure",
        ["code"],
        unique=True,
        postgresql_where=sa.text("withdrawn_on IS NULL"),
        sqlite_where=sa.text("withdrawn_on IS NULL"),
    )
    op.create_table(
        "credit_report",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("organisation", sa.String(length=32), nullable=False),
        sa.Column("free_of_charge", sa.Boolean(), nullable=False),
        sa.Column("query_id", sa.String(length=36), nullable=True),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("code_index", sa.String(length=43), nullable=False),
        sa.Column("code_sealed", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("history_sequence", sa.Integer(), nullable=False),
        sa.Column("history_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["credit_subject.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code_index"),
    )
    op.create_index("ix_credit_report_maker", "credit_report", ["made_by", "created_at", "id"], unique=False)
    op.create_index("ix_credit_report_subject", "credit_report", ["subject_id", "created_at", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_credit_report_subject", table_name="credit_report")
    op.drop_index("ix_credit_report_maker", table_name="credit_report")
    op.drop_table("credit_report")
    op.drop_index(
        "ux_credit_measure_open",
        table_name="credit_measure",
        postgresql_where=sa.text("withdrawn_on IS NULL"),
        sqlite_where=sa.text("withdrawn_on IS NULL"),
    )
    op.drop_table("credit_measure")
