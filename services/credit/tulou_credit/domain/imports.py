"""How a file of decisions (双公示数据文件) is taken in, and what becomes of the rows that are not taken."""

from enum import StrEnum


class ImportState(StrEnum):
    """CANCELLED and FAILED: the rows up to where it stood are taken, the rest is not."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = frozenset({ImportState.DONE, ImportState.FAILED, ImportState.CANCELLED})


class QuarantineState(StrEnum):
    """CORRECTED: it was taken after all, corrected or judged again. DROPPED: it is not to be taken."""

    OPEN = "OPEN"
    CORRECTED = "CORRECTED"
    DROPPED = "DROPPED"
