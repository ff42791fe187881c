"""Alembic's entry for the services of these tests."""

from tulou_chassis.migrations import run_environment

run_environment()
