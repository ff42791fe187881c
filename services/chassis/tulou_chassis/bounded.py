"""psycopg's connection, bounded in time. On its own because a server does without psycopg's memory."""

from typing import Any, Final

import psycopg

# A statement of a worker or a command. The longest there are take a few seconds.
WORK_SECONDS: Final = 60.0


class Connection(psycopg.Connection[Any]):
    """A connection that does not wait for ever for a server that has stopped answering but is still there."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Closes the connection when WORK_SECONDS are over. Raises psycopg.OperationalError then."""
        try:
            return super().wait(gen, interval, WORK_SECONDS if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            if timeout is not None:
                raise
            self.close()
            raise psycopg.OperationalError(f"no answer in {WORK_SECONDS:.0f} s") from error
