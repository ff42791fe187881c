"""Every profile rendered once by each Helm."""

from collections.abc import Callable

import pytest

from charts.tests.rendering import PROFILES, Rendering, manifests, render
from e2e.providers import tools

HELMS = {"Helm 4": tools.helm, "Helm 3": tools.helm3}


@pytest.fixture(scope="session", params=list(HELMS))
def helm(request: pytest.FixtureRequest) -> str:
    """The path of each Helm in turn."""
    return str(HELMS[request.param]())


@pytest.fixture(scope="session")
def rendered() -> Callable[[str], list[Rendering]]:
    """What Helm 4 makes of a profile, as objects."""
    kept: dict[str, list[Rendering]] = {}

    def of(profile: str) -> list[Rendering]:
        if profile not in kept:
            kept[profile] = manifests(render(str(tools.helm()), PROFILES[profile]))
        return kept[profile]

    return of


@pytest.fixture(scope="session", params=list(PROFILES))
def profile(request: pytest.FixtureRequest, rendered: Callable[[str], list[Rendering]]) -> list[Rendering]:
    """The objects of each profile in turn."""
    return rendered(request.param)
