"""What the approval service is told by its environment beside what every service is."""

from pathlib import Path
from typing import Final

from pydantic import Field

from tulou_chassis.settings import Address, Settings

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"


class ApprovalSettings(Settings):
    """Settings (`TULOU_…`) of the approval service."""

    blob_dir: Path = Field(description="where uploaded files are kept")
    # Where the credit service listens for gRPC; without it none is asked.
    credit_address: Address | None = None
