"""What the credit service told last of an applicant's standing."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "applicant_standing",
        sa.Column("credit_subject_id", sa.String(length=36), nullable=False),
        sa.Column("standing", sa.String(length=12), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("credit_subject_id"),
    )


def downgrade() -> None:
    op.drop_table("applicant_standing")
