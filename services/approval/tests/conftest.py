"""What the approval service's integration tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.approval.tests.office import ISSUER, Office, opened
from tulou_approval.commands import migrate
from tulou_approval.settings import ApprovalSettings
from tulou_chassis.keyring import create_keyring
from tulou_gateway.tokens import create_issuer


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with issuer.pem and jwks.json."""
    folder = tmp_path_factory.mktemp("issuer")
    create_issuer(folder)
    return folder


@pytest.fixture(scope="module")
def settings(database_url: str, issuer: Path, tmp_path_factory: pytest.TempPathFactory) -> ApprovalSettings:
    """Settings of a service with a migrated database of the module's own."""
    folder = tmp_path_factory.mktemp("approval")
    create_keyring(folder / "keyring.json")
    made = ApprovalSettings(
        database_url=database_url,
        oidc_issuer=ISSUER,
        oidc_jwks=str(issuer / "jwks.json"),
        keyring_file=folder / "keyring.json",
        blob_dir=folder / "blobs",
    )
    migrate(made)
    return made


@pytest.fixture(scope="module")
def office(settings: ApprovalSettings, issuer: Path) -> Iterator[Office]:
    """The running service."""
    with opened(settings, issuer) as office:
        yield office
