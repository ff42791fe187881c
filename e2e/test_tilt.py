"""What `tilt up` would build, deploy and offer, from the Tiltfile as it is and the chart as Helm renders it."""

import graphlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from starlark import StarlarkError

from e2e.eventually import eventually
from e2e.providers import tools
from e2e.tilt import Build, Manifest, Tilt
from tulou_city.layout import ISSUER, ROOT
from tulou_city.services import SERVICES
from tulou_gateway import openapi, portal
from tulou_gateway.descriptors import load

NAMES: Final = [service.name for service in SERVICES]
# What the Tiltfile reads; its state must not be the developer's.
READ: Final = ("Tiltfile", "tilt", "charts", "protos", "services", "gateway", "images", "requirements.lock")
Make = Callable[..., Tilt]


def tilt_of(repository: Path, folder: Path, **arguments: str) -> Tilt:
    """What the Tiltfile of a repository comes to, with its state in `folder`."""
    for name in READ:
        (folder / name).symlink_to(repository / name)

    def local(command: str, env: Mapping[str, str]) -> str:
        # As it stands, but for the environment, which is there.
        made, _, python = command.partition(" && ")
        assert made == "make -s .venv/run"
        code = re.fullmatch(r"\.venv/bin/python -c '(.+)'", python)
        assert code, command
        environment = os.environ | {name: str(folder / value) for name, value in env.items()}
        return subprocess.run(
            [sys.executable, "-c", code[1]], env=environment, check=True, capture_output=True, text=True
        ).stdout

    return Tilt(folder, helm=tools.helm(), local=local, arguments=arguments)


@pytest.fixture(scope="module")
def tilt(tmp_path_factory: pytest.TempPathFactory) -> Tilt:
    return tilt_of(ROOT, tmp_path_factory.mktemp("tilt"))


def pods(tilt: Tilt, *roles: str) -> Iterator[tuple[str, Manifest]]:
    """The pods' specifications of these roles of the chart, by the names of their workloads."""
    for name, manifest in tilt.workloads().items():
        if manifest["metadata"].get("labels", {}).get("tulou.io/role") in roles:
            yield name, manifest["spec"]["template"]["spec"]


def images(manifest: Manifest) -> set[str]:
    """The images of a workload, without their tags."""
    spec = manifest["spec"]["template"]["spec"]
    return {each["image"].rpartition(":")[0] for each in [*spec["containers"], *spec.get("initContainers", [])]}


def copies(build: Build) -> dict[str, str]:
    """What the Dockerfile copies out of the repository, and where to."""
    text = (ROOT / build.dockerfile).read_text().replace("${SERVICE}", build.build_args.get("SERVICE", ""))
    lines = [line.split()[1:] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    return {source: target for *sources, target in lines for source in sources}


def test_each_service_of_the_chart_is_built_and_so_is_the_gateway(tilt: Tilt) -> None:
    assert tilt.builds.keys() == {f"tulou/{name}" for name in [*NAMES, "gateway"]}
    for name in NAMES:
        build = tilt.builds[f"tulou/{name}"]
        assert (build.dockerfile, build.build_args["SERVICE"]) == ("services/Dockerfile", name)


def test_what_is_built_is_what_runs(tilt: Tilt) -> None:
    ours = {image for manifest in tilt.workloads().values() for image in images(manifest) if image.startswith("tulou/")}
    assert ours == tilt.builds.keys()


def test_an_image_is_built_of_all_that_its_dockerfile_copies(tilt: Tilt) -> None:
    for build in tilt.builds.values():
        assert build.only
        for source in copies(build):
            assert any(Path(source).is_relative_to(each) for each in build.only), source
        declared = re.findall(r"^ARG (\w+)", (ROOT / build.dockerfile).read_text(), re.MULTILINE)
        assert build.build_args.keys() <= set(declared)
        for path in build.only:
            assert path == "var/images/wheels" or (ROOT / path).is_dir()


@pytest.mark.parametrize("name", NAMES)
def test_saved_sources_go_where_the_image_has_them_and_the_process_starts_anew(tilt: Tilt, name: str) -> None:
    build = tilt.builds[f"tulou/{name}"]
    synced = {step["local"][0]: step["remote"] for step in build.live_update if step["step"] == "sync"}
    assert synced.keys() == {"services/chassis", "services/civics", f"services/{name}"}
    assert synced.items() <= copies(build).items()
    [restart] = [step["cmd"] for step in build.live_update if step["step"] == "run"]
    for _, pod in pods(tilt, "server", "worker"):
        [container] = pod["containers"]
        assert container["command"][-1] == "tulou"
        assert f'"{restart.removeprefix("touch ")}"' in container["command"][2]


def test_servers_and_workers_alone_may_be_written_into(tilt: Tilt) -> None:
    assert {name for name, _ in pods(tilt, "server", "worker")} == {
        f"tulou-{name}{role}" for name in NAMES for role in ("", "-worker")
    }
    for roles, read_only in ((("server", "worker"), False), (("gateway", "portal", "migrate"), True)):
        for name, pod in pods(tilt, *roles):
            for container in [*pod["containers"], *pod.get("initContainers", [])]:
                security = container["securityContext"]
                assert security["readOnlyRootFilesystem"] is read_only, name
                assert security["runAsNonRoot"] is read_only, name
                assert not security["allowPrivilegeEscalation"], name


def test_the_portal_keeps_traces_and_signs_tokens_with_what_is_mounted(tilt: Tilt) -> None:
    [[_, pod]] = pods(tilt, "portal")
    [container] = pod["containers"]
    given = portal.parser().parse_args(container["args"][1:])
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {str(given.traces.parent), str(given.signing_key.parent)} <= mounted
    config = {each["metadata"]["name"]: each["data"] for each in tilt.manifests if each["kind"] == "ConfigMap"}
    settings = config["tulou-approval"]
    assert settings["TULOU_OTLP_ENDPOINT"] == f"http://tulou-portal:{given.port}"
    assert settings["TULOU_OIDC_ISSUER"] == given.issuer == ISSUER


@pytest.mark.parametrize("name", NAMES)
def test_each_service_is_a_group_with_links_to_its_docs_and_traces(tilt: Tilt, name: str) -> None:
    group = {key: found for key, found in tilt.resources.items() if name in found.labels}
    assert group.keys() == {name, f"{name}-worker", f"{name}-migrate", f"test-{name}"}
    tags = {tag["name"] for tag in openapi.build(load(), {})["tags"]}
    for resource in (group[name], group[f"{name}-worker"], group[f"{name}-migrate"]):
        links = {link["name"]: link["url"] for link in resource.links}
        assert links["traces"] == f"http://localhost:8080/traces?service={name}"
        assert links["docs"].removeprefix("http://localhost:8080/docs#/") in tags
    assert group[f"{name}-migrate"].manual
    assert [port["container"] for port in group[name].ports] == [50051, 9464]


def test_every_workload_is_listed_once_and_under_a_label(tilt: Tilt) -> None:
    listed = sorted(found.workload for found in tilt.resources.values() if found.workload)
    assert listed == sorted(tilt.workloads())
    assert not [name for name, found in tilt.resources.items() if not found.labels]


def test_forwarded_ports_are_free_of_each_other_and_lead_to_ports_that_are_open(tilt: Tilt) -> None:
    taken = Counter(port["local"] for found in tilt.resources.values() for port in found.ports)
    assert [port for port, count in taken.items() if count > 1] == []
    assert {8080, 8081, 15432, 15672} <= taken.keys()
    for found in tilt.resources.values():
        for port in found.ports:
            [container] = tilt.workloads()[found.workload]["spec"]["template"]["spec"]["containers"]
            assert port["container"] in [each["containerPort"] for each in container["ports"]]


def test_nothing_starts_before_what_it_needs(tilt: Tilt) -> None:
    after = {name: set(found.after) for name, found in tilt.resources.items()}
    order = list(graphlib.TopologicalSorter(after).static_order())
    for name in NAMES:
        wanted = ["postgres", "databases", f"{name}-migrate", name]
        assert sorted(wanted, key=order.index) == wanted
        assert order.index("wheels") < order.index(f"{name}-migrate") < order.index(f"{name}-worker")
        assert "rabbitmq" in after[f"{name}-worker"]
    assert "wheels" in after["gateway"]


def test_all_that_pods_ask_for_by_name_is_there(tilt: Tilt) -> None:
    there = {
        (manifest["kind"], manifest["metadata"]["name"]): {*manifest.get("data", {}), *manifest.get("stringData", {})}
        for manifest in tilt.manifests
    }
    asked = list(asked_for(tilt.manifests))
    assert {name for _, name, _ in asked} >= {"tulou-database", "tulou-broker", "tulou-keyring", "tulou-jwks"}
    for kind, name, key in asked:
        assert (kind, name) in there
        assert key is None or key in there[kind, name], f"{name} has no {key}"


def asked_for(value: Any) -> Iterator[tuple[str, str, str | None]]:
    """Kind, name and key of each Secret, ConfigMap, account and claim that is named somewhere within."""
    if isinstance(value, list):
        for each in value:
            yield from asked_for(each)
    elif isinstance(value, dict):
        for key, found in value.items():
            match key, found:
                case "secretKeyRef", {"name": name, "key": wanted}:
                    yield "Secret", name, wanted
                case "secret", {"secretName": name}:
                    for item in found.get("items", [{"key": None}]):
                        yield "Secret", name, item["key"]
                case (("configMap" | "configMapRef"), {"name": name}):
                    for item in found.get("items", [{"key": None}]):
                        yield "ConfigMap", name, item["key"]
                case "serviceAccountName", str(name):
                    yield "ServiceAccount", name, None
                case "claimName", str(name):
                    yield "PersistentVolumeClaim", name, None
                case _:
                    yield from asked_for(found)


def test_a_database_is_made_for_each_service(tilt: Tilt) -> None:
    [container] = tilt.workloads()["databases"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "SERVICES", "value": " ".join(sorted(NAMES))} in container["env"]
    [secret] = [each for each in tilt.manifests if each["metadata"]["name"] == "tulou-database"]
    assert secret["stringData"]["url"].endswith("/{service}")


def test_tests_are_buttons_that_nobody_presses_at_the_start(tilt: Tilt) -> None:
    buttons = {name: found for name, found in tilt.resources.items() if found.cmd and name != "wheels"}
    assert buttons.keys() == {"demo", "lint", "test", "e2e", *(f"test-{name}" for name in NAMES)}
    targets = re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for button in buttons.values():
        assert button.manual
        assert not button.auto_init
        assert button.cmd.split()[:1] == ["make"]
        assert button.cmd.split()[1] in targets


def test_images_can_be_others_where_no_registry_is_reached(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Not the test's own folder, whose name is too long for a city's state.
    folder = tmp_path_factory.mktemp("tilt")
    tilt = tilt_of(ROOT, folder, base="tulou/base", postgres="tulou/postgres:x", rabbitmq="tulou/rabbitmq:x")
    assert {build.build_args["BASE"] for build in tilt.builds.values()} == {"tulou/base"}
    assert tilt.resources["wheels"].cmd == "make wheels BASE=tulou/base"
    assert images(tilt.workloads()["postgres"]) == images(tilt.workloads()["databases"]) == {"tulou/postgres"}
    assert images(tilt.workloads()["rabbitmq"]) == {"tulou/rabbitmq"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('docker_build("a", ".", dockerfile="nowhere")', "there is no nowhere"),
        ('docker_build("a", ".", dockerfile="Tiltfile", live_update=[run("x"), sync("a", "/a")])', "the order"),
        ('docker_build("a", ".", dockerfile="Tiltfile", only=["b"], live_update=[sync("a", "/a")])', "none of its"),
        ('docker_build("a", ".", dockerfile="Tiltfile", liveupdate=[])', "unexpected keyword"),
        ('sync("a", "a")', "not absolute"),
        ('k8s_resource("nothing")', "there is no workload nothing"),
        ('local_resource("a", resource_deps=["b"])', "resource_deps names"),
        ('local_resource("a", labels=["not one"])', "labels"),
        ('local_resource("a", deps=["nowhere"])', "there is no nowhere"),
        ('[local_resource("a") for _ in range(2)]', "two resources a"),
        ('[k8s_yaml(encode_yaml_stream([{"kind": "A", "metadata": {"name": "a"}}])) for _ in range(2)]', "there twice"),
        ("encode_yaml_stream([{1: 2}])", "no string"),
        ("encode_yaml_stream([None])", "cannot write None"),
        ('helm("charts/tulou", name="tulou")', "oidc"),
        ('print(f"{1}")', "f-strings"),
        ("local_ressource()", "not found"),
    ],
)
def test_what_tilt_would_not_take_is_refused_here_too(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "Tiltfile").write_text(line)
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    with pytest.raises(Exception, match=told) as refused:
        Tilt(tmp_path, helm=tools.helm(), local=lambda *_: "")
    assert isinstance(refused.value, StarlarkError) or "Refused" in type(refused.value).__name__


def test_a_touch_starts_the_command_anew_and_its_end_is_told(tilt: Tilt, tmp_path: Path) -> None:
    touched, told = tmp_path / "restart", tmp_path / "told"
    [_, pod] = next(pods(tilt, "server"))
    [_, flag, program, _] = pod["containers"][0]["command"]
    program = program.replace("/tmp/restart", str(touched))
    # Says its number, and ends well when it is asked to.
    command = ["sh", "-c", f'trap "exit 3" TERM; echo $$ >> {told}; while :; do sleep 0.1; done']
    process = subprocess.Popen([sys.executable, flag, program, *command])
    try:
        eventually(lambda: told.exists() and len(told.read_text().split()) == 1)
        touched.touch()
        eventually(lambda: len(told.read_text().split()) == 2)
        first, second = map(int, told.read_text().split())
        assert not Path(f"/proc/{first}").exists()
        assert Path(f"/proc/{second}").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 3
        assert not Path(f"/proc/{second}").exists()
    finally:
        process.kill()
        process.wait()
