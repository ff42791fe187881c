"""How a case is handled, and what was found of the applicant's credit."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(length=36)
    op.add_column("case_file", sa.Column("handling", sa.String(length=12), nullable=False, server_default="ORDINARY"))
    op.add_column("case_file", sa.Column("credit_check", sa.JSON(), nullable=True))
    op.add_column("case_file", sa.Column("credit_subject_id", text, nullable=False, server_default=""))
    op.add_column("case_file", sa.Column("turned_ordinary_by", text, nullable=False, server_default=""))
    op.create_index(
        "ix_case_credit_subject",
        "case_file",
        ["credit_subject_id"],
        postgresql_where=sa.text("credit_subject_id <> ''"),
        sqlite_where=sa.text("credit_subject_id <> ''"),
    )


def downgrade() -> None:
    op.drop_index("ix_case_credit_subject", table_name="case_file")
    for column in ("turned_ordinary_by", "credit_subject_id", "credit_check", "handling"):
        op.drop_column("case_file", column)
