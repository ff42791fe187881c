"""`@starts_processes`: a method that has long work done by processes, so that it cannot hold up the worker."""

import subprocess
import time
from collections.abc import Callable, Sequence
from threading import Event as Flag
from typing import Final, TypeVar

import structlog
from nameko.extensions import Entrypoint
from sqlalchemy.exc import SQLAlchemyError

from tulou_chassis.worker.methods import InHost, run_method

# Runs a command to its end and gives its exit code, negative where a signal ended it.
Run = Callable[[Sequence[str]], int]
LOOK_SECONDS: Final = 0.1
log = structlog.get_logger()
F = TypeVar("F", bound=Callable[..., None])


def starts_processes(seconds: float) -> Callable[[F], F]:
    """Makes `method(self, database, run)` look for work every `seconds`, in each worker, and `run` one command at a
    time. When the worker is to end, what runs is sent SIGTERM and waited for; nothing is begun any more.
    """
    return ProcessStarter.decorator(seconds)  # type: ignore[no-any-return]


class ProcessStarter(InHost, Entrypoint):  # type: ignore[misc]
    """One method that starts processes; see `starts_processes`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def setup(self) -> None:
        super().setup()
        self._stop = Flag()

    def start(self) -> None:
        self._thread = self.container.spawn_managed_thread(self._loop)

    def stop(self) -> None:
        self._stop.set()
        self._thread.wait()

    def _loop(self) -> None:
        while not self._stop.wait(self.seconds):
            try:
                run_method(self, self._database, self._run)
            except SQLAlchemyError as error:
                log.warning("processes_without_database", service=self.service, error=str(error))
            except Exception:
                log.exception("processes_failed", service=self.service, method=self.method_name)

    def _run(self, command: Sequence[str]) -> int:
        # eventlet has patched the module: starting and waiting let other greenlets run.
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                asked = False
                while process.poll() is None:
                    if self._stop.is_set() and not asked:
                        process.terminate()
                        asked = True
                    time.sleep(LOOK_SECONDS)
            finally:
                # A worker whose time to end is over leaves no process behind.
                if process.poll() is None:
                    process.kill()
        return process.returncode
