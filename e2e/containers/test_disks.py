"""A disk that is full: writes are refused, reads go on, and all goes on once there is room again."""

import time

import pytest

from e2e.containers.load import living
from e2e.containers.stack import Containers, docker

FULL_SECONDS = 15
# How a caller is told that it should come again.
CLEAN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("disk", ["rows", "approval", "credit"])
def test_a_full_disk_refuses_and_loses_nothing(city: Containers, disk: str) -> None:
    with living(city) as load:
        [container] = city.ids("disks")
        before = len(load.failed)
        docker("exec", container, "sh", "-c", f"cat /dev/zero > /disks/{disk}/filler || true")
        time.sleep(FULL_SECONDS)
        docker("exec", container, "rm", f"/disks/{disk}/filler")
        refused = load.failed[before:]
        assert all(any(word in why for word in CLEAN) for why in refused), refused
        load.wait_for_more()
    city.wait_until_healthy()
