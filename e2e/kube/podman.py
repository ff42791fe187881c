"""Podman with containers, images, network and configuration of its own, all of which end with the block."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from e2e.providers.kinds import Unavailable
from e2e.providers.packages import installed
from e2e.providers.servers import lacking

# Packages by the program that shows that each is there.
PROGRAMS: Final = {
    "podman": ("podman", "/usr/bin"),
    "runc": ("runc", "/usr/sbin"),
    "catatonit": ("catatonit", "/usr/libexec/podman"),
    "bridge": ("containernetworking-plugins", "/usr/lib/cni"),
    "iptables": ("iptables", "/usr/sbin"),
}
# Limits that podman would raise itself are refused where the tests' own are lower, in a container say.
CONFIGURATION: Final = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "cni"
network_config_dir = "{folder}/networks"
"""
NETWORK: Final = "city"
SECONDS: Final = 300


@dataclass(frozen=True)
class Podman:
    """One podman. `addresses` is what the addresses of its network begin with."""

    folder: Path
    addresses: str

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """What the command printed. Fails with its words."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """The command, however it ends."""
        return subprocess.run(
            self.command(*arguments),
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def command(self, *arguments: str) -> list[str]:
        """The command as it is started."""
        return ["podman", f"--root={self.folder}/root", f"--runroot={self.folder}/run", *arguments]

    def load(self, *images: str) -> dict[str, str]:
        """Takes images over from the Docker engine; gives what they are called here."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            done = subprocess.run(
                self.command("load"), env=self._environment, stdin=saved.stdout, capture_output=True, text=True
            )
        assert (done.returncode, saved.returncode) == (0, 0), done.stderr
        names = [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("Loaded image")]
        return {image: next(name for name in names if f"/{name}".endswith(f"/{image}")) for image in images}

    def play(self, *objects: Mapping[str, Any], address: str = "") -> None:
        """`podman kube play` of these objects; the pod among them gets the address."""
        text = "---\n".join(json.dumps(each) + "\n" for each in objects)
        where = [f"--network={NETWORK}", f"--ip={address}"] if address else []
        self("kube", "play", *where, "-", given=text)

    def inspect(self, container: str) -> dict[str, Any]:
        """What podman knows of a container."""
        found: dict[str, Any] = json.loads(self("container", "inspect", container))[0]
        return found

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | {"CONTAINERS_CONF": f"{self.folder}/containers.conf"}


@contextmanager
def podman() -> Iterator[Podman]:
    """See the module. Where podman can be neither found nor installed, the asking test ends there."""
    try:
        if os.geteuid() != 0:
            raise Unavailable("only root can give pods addresses that are reached from here")
        for program, (package, folders) in PROGRAMS.items():
            installed(program, package=package, folders=folders)
    except Unavailable as error:
        lacking("podman", str(error))
    folder = Path(tempfile.mkdtemp(prefix="tulou-kube-"))
    (folder / "networks").mkdir()
    (folder / "containers.conf").write_text(CONFIGURATION.format(folder=folder))
    found = Podman(folder, "")
    try:
        found("network", "create", NETWORK)
        [network] = json.loads(found("network", "inspect", NETWORK))
        yield Podman(folder, network["subnets"][0]["subnet"].rpartition(".")[0])
    finally:
        for command in (["pod", "rm", "-fa", "-t", "0"], ["rm", "-fa", "-t", "0"], ["network", "rm", NETWORK]):
            with suppress(subprocess.TimeoutExpired):
                found.run(*command)
        subprocess.run(["umount", "-l", folder / "root/overlay"], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
