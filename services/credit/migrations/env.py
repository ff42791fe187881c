"""Alembic's entry for the credit service."""

import tulou_credit.models  # noqa: F401  (its tables belong to the metadata)
from tulou_chassis.migrations import run_environment

run_environment()
