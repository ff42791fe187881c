"""The worker process: nameko hosts what services do outside of calls (relay, event handlers, timers) on eventlet.

Nothing but `run` may be imported before `run` was called: eventlet has to patch the standard library first.
"""

import os
import sys
import warnings
from importlib import import_module
from typing import Final

from tulou_chassis.lean import without_rich

# What binds locks, sockets or clocks when it is imported.
TOO_EARLY: Final = ("sqlalchemy", "psycopg", "grpc", "kombu", "opentelemetry.sdk")


def run(*services: str) -> None:
    """Hosts the workers named "module:Class" until SIGTERM or SIGINT, then lets them finish what runs.

    The first thing a process does. Raises RuntimeError when it is not.
    """
    _patch()
    workers = []
    for service in services:
        module, _, name = service.partition(":")
        workers.append(getattr(import_module(module), name))
    from tulou_chassis.worker.host import host

    host(workers)


def _patch() -> None:
    early = [name for name in TOO_EARLY if name in sys.modules]
    if early:
        raise RuntimeError(f"imported before the worker was run: {', '.join(early)}")
    # psycopg's own way of waiting is C code that would stop all greenlets.
    os.environ["PSYCOPG_WAIT_FUNC"] = "wait_selector"
    # eventlet's resolver costs 20 MB and knows less than the system's; names are looked up when connecting only.
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"
    without_rich()
    with warnings.catch_warnings():
        # It recommends against new projects; the decision for nameko is known and written down.
        warnings.simplefilter("ignore")
        import eventlet

    eventlet.monkey_patch()
