"""Imports are run in the trace of who began them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credit_import", sa.Column("traceparent", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("credit_import", "traceparent")
