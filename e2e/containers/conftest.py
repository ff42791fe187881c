"""The city on containers that the tests of this folder share with the journeys; each leaves it whole."""

from typing import cast

import pytest

from e2e.containers.stack import Containers
from e2e.providers.cities import Cities


@pytest.fixture(scope="session")
def city(cities: Cities) -> Containers:
    """The one of this run."""
    return cast(Containers, cities(database="postgresql", bus="rabbitmq", place="containers"))


@pytest.fixture(autouse=True)
def _whole(city: Containers) -> None:
    """Every test begins with a city that is well: what an earlier one broke has come back by itself."""
    city.wait_until_healthy()
