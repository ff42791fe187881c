"""A disk that is full: writes are refused, what needs no room goes on, and all does once there is room again."""

import time
from contextlib import closing
from typing import Final

import pytest

from e2e.clients import HttpClient
from e2e.containers.load import living
from e2e.containers.stack import Containers, docker

FULL_SECONDS: Final = 8
# How a caller is told that it should come again.
CLEAN: Final = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("disk", ["blobs", "rows"])
def test_a_full_disk_refuses_and_loses_nothing(city: Containers, disk: str) -> None:
    disks = ("rows",) if disk == "rows" else ("approval", "credit")
    with living(city) as load, closing(HttpClient(city.url)) as client:
        [container] = city.ids("disks")
        began = time.monotonic()
        for name in disks:
            docker("exec", container, "sh", "-c", f"cat /dev/zero > /disks/{name}/filler || true")
        time.sleep(FULL_SECONDS)
        if disk == "blobs":
            # Reading needs no room.
            assert client.call("ListItems", {})["items"]
        for name in disks:
            docker("exec", container, "rm", f"/disks/{name}/filler")
        refused = [why for at, seconds, why in load.calls if why and at + seconds > began]
        assert all(any(word in why for word in CLEAN) for why in refused), refused
        assert refused
        load.wait_for_more()
