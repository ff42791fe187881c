"""What the server, the worker and the commands of this service are all made with."""

from typing import Final

from tulou_approval.operations.acts import Desk
from tulou_approval.settings import ApprovalSettings
from tulou_chassis.keyring import Keyring
from tulou_civics.calendar import WorkCalendar

NAME: Final = "approval"


def desk_of(settings: ApprovalSettings) -> Desk:
    """The keys and the calendar that the settings name. Raises KeyringError, CalendarFileError."""
    return Desk(keyring=Keyring.load(settings.keyring_file), calendar=WorkCalendar.load(settings.calendar_files))
