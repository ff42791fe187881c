"""A part of a name is found by its characters; SQLite, which has no such index, reads all names."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHARACTERS = sa.text("string_to_array(name_key, NULL)")
TABLES = ("credit_subject", "credit_former_name")


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in TABLES:
            op.create_index(f"ix_{table}_characters", table, [CHARACTERS], postgresql_using="gin")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in TABLES:
            op.drop_index(f"ix_{table}_characters", table_name=table)
