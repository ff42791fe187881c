"""Alembic's entry for the lodge service."""

import tulou_lodge.models  # noqa: F401  (its tables belong to the metadata)
from tulou_chassis.migrations import run_environment

run_environment()
