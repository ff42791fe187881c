"""What commands are given on their command line. Imported by every process, so it imports nothing."""

import argparse
from datetime import datetime


def instant(text: str) -> datetime:
    """An instant in ISO 8601 with its zone. Raises argparse.ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with its zone, like 2026-03-01T08:00+08:00")
    return found
