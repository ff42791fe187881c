"""What the server, the worker and the commands of this service are all made with."""

from typing import Final

from tulou_approval.operations.acts import Desk
from tulou_approval.settings import ApprovalSettings
from tulou_chassis.keyring import Keyring, KeyringError
from tulou_civics.calendar import CalendarFileError, WorkCalendar

NAME: Final = "approval"


def desk_of(settings: ApprovalSettings) -> Desk:
    """The keys and the calendar that the settings name. Raises SystemExit naming the setting whose file is unusable."""
    try:
        return Desk(keyring=Keyring.load(settings.keyring_file), calendar=WorkCalendar.load(settings.calendar_files))
    except KeyringError as error:
        raise SystemExit(f"TULOU_KEYRING_FILE: {error}") from None
    except CalendarFileError as error:
        raise SystemExit(f"TULOU_CALENDAR_FILES: {error}") from None
