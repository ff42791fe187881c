"""What the tests of this folder ask of the Docker engine."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

# Busy machines start a container slowly; no test measures it.
SECONDS: Final = 300
CONFINED: Final = ("--read-only", "--network", "none", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL")


def docker(*arguments: str, good: bool = True) -> str:
    """The output of one command, both streams. Fails where it fails, unless it is to (`good`)."""
    command = ["docker", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    assert (done.returncode == 0) is good, f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}"
    return done.stdout


def inspected(name: str) -> dict[str, Any]:
    """What the engine knows of an image or a container."""
    found: dict[str, Any] = json.loads(docker("inspect", name))[0]
    return found


def shell(image: str, script: str, *options: str) -> str:
    """The output of a shell script in a fresh container of `image`, as the image's user."""
    return docker("run", "--rm", *CONFINED, *options, "--entrypoint", "sh", image, "-euc", script)


@contextmanager
def started(image: str, *command: str, options: Sequence[str] = ()) -> Iterator[str]:
    """A container that goes with the test, its volumes too."""
    container = docker("run", "-d", *options, image, *command).strip().splitlines()[-1]
    try:
        yield container
    finally:
        docker("rm", "-fv", container)


def wait_until_healthy(container: str) -> None:
    """Returns when its HEALTHCHECK says so; fails with its log when it ends or takes too long."""
    give_up = time.monotonic() + SECONDS
    while (state := inspected(container)["State"])["Health"]["Status"] != "healthy":
        alive = state["Running"] and time.monotonic() < give_up
        assert alive, f"{state}\n{docker('logs', container)}"
        time.sleep(0.5)


def stopped(container: str) -> int:
    """Stops it as `docker stop` does and gives its exit code; 137 is that of one that had to be killed."""
    docker("stop", "--time", "60", container)
    return int(inspected(container)["State"]["ExitCode"])
