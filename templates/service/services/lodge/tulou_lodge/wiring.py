"""What the server, the worker and the commands of this service are all made with."""

from typing import Final

from tulou_chassis.keyring import Keyring, KeyringError
from tulou_lodge.settings import LodgeSettings

NAME: Final = "lodge"


def keyring_of(settings: LodgeSettings) -> Keyring:
    """The keys that the settings name. Raises SystemExit naming the setting whose file is unusable."""
    try:
        return Keyring.load(settings.keyring_file)
    except KeyringError as error:
        raise SystemExit(f"TULOU_KEYRING_FILE: {error}") from None
