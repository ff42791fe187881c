"""Alembic's entry for the approval service."""

import tulou_approval.models  # noqa: F401  (its tables belong to the metadata)
from tulou_chassis.migrations import run_environment

run_environment()
