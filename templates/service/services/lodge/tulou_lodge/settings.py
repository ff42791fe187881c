"""What the lodge service is told by its environment beside what every service is."""

from pathlib import Path
from typing import Final

from tulou_chassis.settings import Settings

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"


class LodgeSettings(Settings):
    """Settings (`TULOU_…`) of the lodge service."""
