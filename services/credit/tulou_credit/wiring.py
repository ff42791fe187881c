"""What the server, the worker and the commands of this service are all made with."""

from dataclasses import dataclass
from typing import Final

from tulou_chassis.keyring import Keyring, KeyringError
from tulou_civics.calendar import CalendarFileError, WorkCalendar
from tulou_credit.settings import CreditSettings

NAME: Final = "credit"


@dataclass(frozen=True, kw_only=True)
class House:
    """What an operation works with beside the database: the keys, the calendar, and who runs the platform."""

    keyring: Keyring
    calendar: WorkCalendar
    # The code of the department whose staff takes objections in and may decide on any record.
    office: str = "FGW"


def house_of(settings: CreditSettings) -> House:
    """The keys and the calendar that the settings name. Raises SystemExit naming the setting whose file is unusable."""
    try:
        return House(
            keyring=Keyring.load(settings.keyring_file),
            calendar=WorkCalendar.load(settings.calendar_files),
            office=settings.office,
        )
    except KeyringError as error:
        raise SystemExit(f"TULOU_KEYRING_FILE: {error}") from None
    except CalendarFileError as error:
        raise SystemExit(f"TULOU_CALENDAR_FILES: {error}") from None
