"""The worker's entry refuses to patch a process that has gone too far."""

import pytest

import tulou_chassis.syncdb  # noqa: F401  (imports SQLAlchemy, as a careless command would)
from tulou_chassis.worker import run


def test_a_worker_is_not_run_after_sqlalchemy_was_imported() -> None:
    with pytest.raises(RuntimeError, match="imported before the worker was run: sqlalchemy"):
        run("nowhere:Worker")
