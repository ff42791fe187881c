"""What an orchestrator does: replaces or restarts the instances of services one after the other."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from e2e.containers.stack import Containers, docker, inspect


def restart(city: Containers, *services: str) -> None:
    """Stops and starts all instances; of each service one at a time, the next when this one is healthy again."""

    def one_after_the_other(service: str) -> None:
        for container in city.ids(service):
            docker("restart", container)
            city.wait_until_healthy(service)

    with ThreadPoolExecutor() as pool:
        list(pool.map(one_after_the_other, services))


def roll(city: Containers, service: str, *, version: str) -> None:
    """Replaces all instances by ones of another version: each ends when its successor is healthy."""
    old = city.ids(service)
    for container in old:
        city.compose(
            "up", "-d", "--no-deps", "--no-recreate", "--scale", f"{service}={len(old) + 1}", service, VERSION=version
        )
        city.wait_until_healthy(service)
        docker("stop", container)
        assert inspect(container)["State"]["ExitCode"] == 0
        docker("rm", container)


def next_version(city: Containers, service: str) -> str:
    """Builds another version of a service's image, which differs in a label, and gives its tag."""
    found = f"{city.images.version}-next"
    name = f"{city.images.registry}/{service}"
    file = f"FROM {name}:{city.images.version}\nLABEL city.tulou.release=next\n"
    command = ["docker", "build", "-q", "-t", f"{name}:{found}", "-"]
    subprocess.run(command, input=file.encode(), capture_output=True, check=True)
    return found
