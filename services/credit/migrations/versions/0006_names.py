"""A part of a name is found by its characters; SQLite, which has no such index, reads all names."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHARACTERS = sa.text("string_to_array(name_key, NULL)")


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_credit_subject_characters", "credit_subject", [CHARACTERS], postgresql_using="gin")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_index("ix_credit_subject_characters", table_name="credit_subject")
