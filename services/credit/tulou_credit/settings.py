"""What the credit service is told by its environment beside what every service is."""

from pathlib import Path
from typing import Final

from pydantic import Field

from tulou_chassis.settings import Settings

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"


class CreditSettings(Settings):
    """Settings (`TULOU_…`) of the credit service."""

    blob_dir: Path = Field(description="where uploaded files are kept")
    office: str = Field("FGW", min_length=1, description="code of the department that runs the platform")
