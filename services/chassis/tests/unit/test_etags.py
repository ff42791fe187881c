"""An etag stands for one version."""

import pytest

from tulou_chassis.etags import check_etag, etag_of
from tulou_chassis.violations import StaleEtag


def test_the_etag_of_the_version_passes() -> None:
    check_etag(etag_of(3), version=3)


@pytest.mark.parametrize("etag", ["", "v2", "v33", "3", "V3", "v03", " v3", "v3 ", '"v3"', "W/v3", "v３"])
def test_any_other_is_stale_and_the_current_one_is_told(etag: str) -> None:
    with pytest.raises(StaleEtag) as stale:
        check_etag(etag, version=3)
    assert stale.value.etag == etag_of(3)


def test_versions_have_etags_of_their_own() -> None:
    assert len({etag_of(version) for version in range(100)}) == 100
