"""The images as they are built: small, confined, told what they are made of, the same when built again, and running."""

import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from e2e.images.engine import CONFINED, docker, inspected, shell, started, stopped, wait_until_healthy
from e2e.providers.engine import Images, images
from tulou_city.layout import ROOT
from tulou_city.services import SERVICES
from tulou_gateway.tokens import create_issuer

NAMES: Final = [service.name for service in SERVICES]
SERVICE_BYTES: Final = 220_000_000
BASE_BYTES: Final = 65_000_000
# What is built: the rest of an image is the base.
CONTENTS: Final = """
for top in /app /opt/tulou /usr/local/bin /usr/share/sbom /etc/passwd /var/lib/dpkg/status; do
    find $top -type f -exec stat -c '%n %a %u:%g' {} + -exec sha256sum {} +
    find $top -type l -exec ls -l {} + | sed 's/.* \\([^ ]* -> \\)/\\1/'
done | sort
"""


@pytest.fixture(scope="module")
def built() -> Images:
    return images()


@pytest.fixture(params=[*NAMES, "gateway"])
def image(built: Images, request: pytest.FixtureRequest) -> str:
    return f"{built.registry}/{request.param}:{built.version}"


def foreign(built: Images) -> bool:
    """Whether the base is somebody else's: what it brings along is not ours."""
    return built.base != f"{built.registry}/base"


def ours(built: Images, image: str, script: str) -> list[str]:
    """The lines that a script prints in an image, without those that it prints in a foreign base as well."""
    not_ours = shell(built.base, script, "--user", "0").splitlines() if foreign(built) else []
    return [line for line in shell(image, script, "--user", "0").splitlines() if line not in not_ours]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Keys of a city, for a user that is not ours to read."""
    create_issuer(tmp_path)
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    (tmp_path / "keyring.json").write_text(json.dumps({"primary": "k1", "keys": {"k1": key}, "index_key": key}))
    tmp_path.chmod(0o755)
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_a_services_image_has_less_than_220_megabytes(built: Images, name: str) -> None:
    larger = max(inspected(built.base)["Size"] - BASE_BYTES, 0) if foreign(built) else 0
    assert inspected(f"{built.registry}/{name}:{built.version}")["Size"] < SERVICE_BYTES + larger


def test_services_share_all_layers_but_their_packages_and_their_code(built: Images) -> None:
    layers = [set(inspected(f"{built.registry}/{name}:{built.version}")["RootFS"]["Layers"]) for name in NAMES]
    assert all(len(each - layers[0]) <= 2 for each in layers)


def test_an_image_runs_as_a_user_that_is_not_root(image: str) -> None:
    assert inspected(image)["Config"]["User"] == "10001:10001"
    assert shell(image, "id -u; id -g").split() == ["10001", "10001"]


def test_an_image_answers_help_without_a_network_on_a_root_that_cannot_be_written(image: str) -> None:
    command = ["render", "--help"] if "/gateway:" in image else ["--help"]
    assert "usage:" in docker("run", "--rm", *CONFINED, image, *command)


def test_its_user_can_write_nothing_that_it_runs(image: str) -> None:
    writable = "find /app /opt /usr /etc -xdev ! -type l -perm -o+w; find /app /opt /usr /etc -xdev -user 10001"
    assert shell(image, writable, "--user", "0") == ""


def test_no_program_in_an_image_gives_more_rights(image: str) -> None:
    assert shell(image, "find / -xdev -type f -perm /6000 2>/dev/null || true", "--user", "0") == ""


def test_an_image_has_no_tool_that_builds_or_installs(image: str, built: Images) -> None:
    tools = "for tool in uv gcc cc g++ ld make apt-get; do command -v $tool || true; done"
    assert ours(built, image, tools) == []
    assert shell(image, "for tool in pip pip3; do command -v $tool || true; done") == ""
    python = '/opt/tulou/bin/python -c \'import importlib.util as u; print(*map(u.find_spec, ("pip", "ensurepip")))\''
    assert shell(image, python).split() == ["None", "None"]


def test_an_image_carries_no_cache_no_tests_and_no_sources_of_compiled_modules(image: str, built: Images) -> None:
    names = ("*/tests/*", "*.whl", "*/.cache/*", "/var/cache/*", "*.c", "*.pyx")
    left = " -o ".join(f"-path '{name}'" for name in names)
    assert ours(built, image, f"find / -xdev -type f \\( {left} \\) 2>/dev/null || true") == []


def test_an_image_carries_no_debug_symbols(image: str) -> None:
    # The count of sections in an ELF header: debug symbols are sections, and nothing that runs needs any.
    counts = "import pathlib; print({p.read_bytes()[60:62] for p in pathlib.Path('/opt/tulou').rglob('*.so*')})"
    assert shell(image, f'/opt/tulou/bin/python -c "{counts}"').strip() == str({bytes(2)})


def test_our_own_code_can_be_exchanged_in_a_running_container(built: Images) -> None:
    """Bytecode that is not compared with its source would go on being run after the source was changed."""
    unchecked = "import pathlib; print(*(p for p in pathlib.Path('/app').rglob('*.pyc') if p.read_bytes()[4] != 3))"
    image = f"{built.registry}/{NAMES[0]}:{built.version}"
    assert shell(image, f'/opt/tulou/bin/python -c "{unchecked}"').strip() == ""
    assert int(shell(image, "find /app -name '*.pyc' | wc -l")) > 100


def test_an_images_labels_tell_version_commit_and_time(image: str, built: Images) -> None:
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in inspected(image)["Config"]["Labels"].items()
    }
    name = image.rpartition(":")[0].rpartition("/")[2]
    assert labels["title"] == f"tulou/{name}"
    assert labels["version"] == built.version
    # A copy without history has no commit to tell.
    assert re.fullmatch("[0-9a-f]{40}|unknown", labels["revision"])
    assert labels["created"].endswith("Z")
    assert labels["licenses"] == "Apache-2.0"


def test_the_bill_of_materials_lists_every_package_that_is_installed(image: str) -> None:
    bill: dict[str, Any] = json.loads(shell(image, "cat /usr/share/sbom/tulou.cdx.json"))
    listed = {(each["purl"].partition("/")[0], each["name"], each["version"]) for each in bill["components"]}
    names = "from importlib.metadata import distributions as d; print(*(f'{x.name}=={x.version}' for x in d()))"
    python = {
        ("pkg:generic" if name.startswith("tulou-") else "pkg:pypi", re.sub("[-_.]", "-", name.lower()), version)
        for name, _, version in (
            each.partition("==") for each in shell(image, f'/opt/tulou/bin/python -c "{names}"').split()
        )
    }
    stanzas = shell(image, "cat /var/lib/dpkg/status").strip().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line) for stanza in stanzas]
    debian = {
        ("pkg:deb", each["Package"], each["Version"]) for each in fields if each["Status"] == "install ok installed"
    }
    assert len(python) > 20
    assert len(debian) > 20
    assert {each for each in listed if each[1] != "python"} == python | debian
    assert {each["bom-ref"] for each in bill["components"]} == {each["purl"] for each in bill["components"]}


def test_an_image_built_again_from_nothing_has_the_same_contents(built: Images) -> None:
    again = f"{built.registry}-again"
    # Another base, as far as the engine can tell: nothing of its cache fits.
    base = f"{again}/base"
    dockerfile = f"FROM {built.base}\nLABEL again={os.getpid()}\n"
    subprocess.run(["docker", "build", "-q", "-t", base, "-"], input=dockerfile, text=True, check=True, timeout=300)
    first, second = (f"{registry}/{NAMES[0]}:{built.version}" for registry in (built.registry, again))
    # The first may be of an earlier commit with the same files.
    created = datetime.fromisoformat(inspected(first)["Config"]["Labels"]["org.opencontainers.image.created"])
    epoch = str(int(created.timestamp()))
    settings = {"REGISTRY": again, "VERSION": built.version, "BASE": base, "SOURCE_DATE_EPOCH": epoch}
    try:
        if not any((ROOT / "var/images/wheels").glob("*.whl")):
            subprocess.run(["make", "wheels", f"BASE={built.base}"], cwd=ROOT, check=True, timeout=900)
        command = ["images/build.sh", NAMES[0]]
        subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=True, timeout=900)
        assert shell(first, CONTENTS) == shell(second, CONTENTS)
    finally:
        docker("rmi", "-f", second, base)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_turns_healthy_on_sqlite_and_ends_cleanly(built: Images, name: str, secrets: Path) -> None:
    options = [
        *CONFINED,
        *("-v", f"{secrets}:/etc/tulou:ro"),
        *("-e", "TULOU_DATABASE_URL=sqlite:////tmp/{service}.db", "-e", "TULOU_KEYRING_FILE=/etc/tulou/keyring.json"),
        *("-e", "TULOU_OIDC_ISSUER=https://id.example", "-e", "TULOU_OIDC_JWKS=/etc/tulou/jwks.json"),
        *("-e", "TULOU_BLOB_DIR=/tmp/blobs", "--entrypoint", "sh"),
    ]
    script = "mkdir /tmp/blobs; tulou migrate && exec tulou serve"
    with started(f"{built.registry}/{name}:{built.version}", "-c", script, options=options) as container:
        wait_until_healthy(container)
        assert "-m tulou_" in docker("exec", container, "cat", "/proc/1/cmdline").replace("\0", " ")
        assert stopped(container) == 0


def test_the_gateway_turns_healthy_and_ends_cleanly(built: Images, secrets: Path) -> None:
    options = [*CONFINED, "-v", f"{secrets}:/etc/tulou:ro", "--entrypoint", "sh"]
    script = (
        "tulou render --out /tmp/envoy --address 0.0.0.0 --port 8080 --admin-port 8082 --issuer https://id.example"
        " --audience tulou --jwks /etc/tulou/jwks.json"
        f" {' '.join(f'--service {name}={name}:50051' for name in NAMES)}"
        " && exec tulou run --dir /tmp/envoy --admin-port 8082"
    )
    with started(f"{built.registry}/gateway:{built.version}", "-c", script, options=options) as container:
        wait_until_healthy(container)
        assert stopped(container) == 0


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/readyz", "http://no.such.host.example:80/"])
def test_the_probe_fails_with_the_address_where_nobody_answers(built: Images, address: str) -> None:
    image = f"{built.registry}/gateway:{built.version}"
    assert address in docker("run", "--rm", *CONFINED, "--entrypoint", "probe", image, address, good=False)
