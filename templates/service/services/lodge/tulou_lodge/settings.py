"""What the lodge service is told by its environment beside what every service is."""

from tulou_chassis.settings import Settings


class LodgeSettings(Settings):
    """Settings (`TULOU_…`) of the lodge service."""
