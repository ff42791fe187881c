"""What a process need not carry. Imports nothing: it has to be there before what it keeps out."""

import sys


def without_rich() -> None:
    """structlog would load it, where it is installed, to draw tracebacks that are never drawn here: 4 to 6 MB."""
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
