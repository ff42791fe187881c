"""Tilt without Tilt: runs a Tiltfile in a Starlark interpreter and records what it would build, deploy and offer.

The built-ins have Tilt's names and parameters and refuse what Tilt refuses. Helm really renders the chart.
"""

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from starlark import Dialect, Globals, LibraryExtension, Module, parse
from starlark import eval as evaluate

Manifest = dict[str, Any]
Step = dict[str, Any]
WORKLOADS: Final = {"Deployment", "Job", "StatefulSet", "DaemonSet"}
# The order of a live update's steps.
STEPS: Final = ("fall_back_on", "sync", "run")
LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
# What the modules of Tilt are made of; Starlark has no way to import them.
MODULES: Final = """
config = struct(define_string=_define_string, parse=_parse_config)
TRIGGER_MODE_AUTO = "auto"
TRIGGER_MODE_MANUAL = "manual"
"""


class Refused(Exception):
    """What Tilt itself would not take."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """An image that is built."""

    dockerfile: str
    build_args: Mapping[str, str]
    only: Sequence[str]
    live_update: Sequence[Step]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """An entry in Tilt's list: a workload, or a command where `workload` is empty."""

    workload: str = ""
    cmd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[Mapping[str, Any]] = ()
    links: Sequence[Mapping[str, Any]] = ()
    labels: Sequence[str] = ()
    after: Sequence[str] = ()
    manual: bool = False
    auto_init: bool = True


class Tilt:
    """Runs the Tiltfile under `root`; afterwards its fields say what came of it. Raises StarlarkError.

    `local` runs a command of the host with its environment, `helm` is the program, `arguments` are those behind `--`.
    """

    def __init__(
        self,
        root: Path,
        *,
        helm: Path,
        local: Callable[[str, Mapping[str, str]], str],
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        self.builds: dict[str, Build] = {}
        self.manifests: list[Manifest] = []
        self.resources: dict[str, Resource] = {}
        self._root, self._helm, self._local, self._arguments = root, helm, local, arguments or {}
        self._known: set[str] = set()
        module = Module()
        for name in dir(type(self)):
            if name.startswith("do_"):
                module.add_callable(name.removeprefix("do_"), getattr(self, name))
        module.add_callable("_define_string", self._define_string)
        module.add_callable("_parse_config", self._parse_config)
        library = Globals.extended_by([LibraryExtension.StructType, LibraryExtension.Print])
        # Of Starlark what Tilt's has: no f-strings, no types.
        dialect = Dialect.standard()
        dialect.enable_top_level_stmt = dialect.enable_def = dialect.enable_lambda = True
        evaluate(module, parse("modules", MODULES, dialect), library)
        evaluate(module, parse("Tiltfile", (root / "Tiltfile").read_text("utf-8"), dialect), library)
        self._check()

    def workloads(self) -> dict[str, Manifest]:
        """The manifests that run something, by name."""
        return {each["metadata"]["name"]: each for each in self.manifests if each["kind"] in WORKLOADS}

    def _check(self) -> None:
        for name, resource in self.resources.items():
            if resource.workload and resource.workload not in self.workloads():
                raise Refused(f"k8s_resource: there is no workload {resource.workload}")
            if unknown := set(resource.after) - self.resources.keys():
                raise Refused(f"{name}: resource_deps names {unknown}")
            if wrong := [label for label in resource.labels if not LABEL.fullmatch(label)]:
                raise Refused(f"{name}: labels {wrong}")

    def _define_string(self, name: str, args: bool = False, usage: str = "") -> None:
        self._known.add(name)

    def _parse_config(self) -> dict[str, str]:
        if unknown := self._arguments.keys() - self._known:
            raise Refused(f"unknown arguments {unknown}")
        return dict(self._arguments)

    def do_version_settings(self, constraint: str = "", check_updates: bool = True) -> None:
        pass

    def do_read_file(self, file_path: str, default: str | None = None) -> str:
        return (self._root / file_path).read_text("utf-8")

    def do_read_yaml(self, path: str, default: Any = None) -> Any:
        return yaml.safe_load(self.do_read_file(path))

    def do_read_yaml_stream(self, path: str, default: Any = None) -> list[Any]:
        return self.do_decode_yaml_stream(self.do_read_file(path))

    def do_decode_yaml_stream(self, yaml_text: str) -> list[Any]:
        return [document for document in yaml.safe_load_all(yaml_text) if document is not None]

    def do_encode_yaml_stream(self, objs: list[Any]) -> str:
        for each in objs:
            _encodable(each)
        return yaml.safe_dump_all(objs, allow_unicode=True)

    def do_local(self, command: str, quiet: bool = False, env: Mapping[str, str] | None = None) -> str:
        return self._local(command, env or {})

    def do_helm(
        self, path: str, name: str = "", namespace: str = "", values: Sequence[str] = (), set: Sequence[str] = ()
    ) -> str:
        command = [str(self._helm), "template", name, path, "--include-crds"]
        command += [word for file in values for word in ("--values", file)]
        done = subprocess.run(command, cwd=self._root, capture_output=True, text=True)
        if done.returncode:
            raise Refused(done.stderr)
        # Tilt leaves out the pods of `helm test`, and no other hooks.
        found = self.do_decode_yaml_stream(done.stdout)
        kept = [each for each in found if "test" not in each["metadata"].get("annotations", {}).get("helm.sh/hook", "")]
        return yaml.safe_dump_all(kept, allow_unicode=True)

    def do_k8s_yaml(self, yaml: str, allow_duplicates: bool = False) -> None:
        for manifest in self.do_decode_yaml_stream(yaml):
            if _key(manifest) in map(_key, self.manifests):
                raise Refused(f"k8s_yaml: {_key(manifest)} is there twice")
            self.manifests.append(manifest)

    def do_docker_build(
        self,
        ref: str,
        context: str,
        build_args: Mapping[str, str] | None = None,
        dockerfile: str = "Dockerfile",
        live_update: Sequence[Step] = (),
        ignore: Sequence[str] = (),
        only: Sequence[str] = (),
        target: str = "",
        network: str = "",
        platform: str = "",
    ) -> None:
        if ref in self.builds:
            raise Refused(f"docker_build: {ref} is there twice")
        if not (self._root / dockerfile).is_file():
            raise Refused(f"docker_build: there is no {dockerfile}")
        kinds = [STEPS.index(step["step"]) for step in live_update]
        if kinds != sorted(kinds):
            raise Refused(f"live_update of {ref}: steps come in the order {STEPS}")
        for path in [path for step in live_update for path in step.get("local", ())]:
            if only and not any(Path(path).is_relative_to(each) for each in only):
                raise Refused(f"live_update of {ref}: {path} is none of its files")
        self.builds[ref] = Build(
            dockerfile=dockerfile, build_args=build_args or {}, only=list(only), live_update=list(live_update)
        )

    def do_sync(self, local_path: str, remote_path: str) -> Step:
        if not remote_path.startswith("/"):
            raise Refused(f"sync: {remote_path} is not absolute")
        return {"step": "sync", "local": [local_path], "remote": remote_path}

    def do_run(self, cmd: str, trigger: Sequence[str] = ()) -> Step:
        return {"step": "run", "cmd": cmd}

    def do_fall_back_on(self, files: Sequence[str]) -> Step:
        return {"step": "fall_back_on", "local": files}

    def do_port_forward(
        self,
        local_port: int,
        container_port: int | None = None,
        name: str | None = None,
        link_path: str | None = None,
        host: str | None = None,
    ) -> dict[str, Any]:
        return {"local": local_port, "container": container_port or local_port, "name": name}

    def do_link(self, url: str, name: str | None = None) -> dict[str, Any]:
        return {"url": url, "name": name}

    def do_k8s_resource(
        self,
        workload: str = "",
        new_name: str = "",
        port_forwards: Sequence[Mapping[str, Any]] = (),
        trigger_mode: str = "auto",
        resource_deps: Sequence[str] = (),
        objects: Sequence[str] = (),
        auto_init: bool = True,
        pod_readiness: str = "",
        links: Sequence[Mapping[str, Any]] = (),
        labels: Sequence[str] = (),
    ) -> None:
        self._add(
            new_name or workload,
            Resource(
                workload=workload,
                ports=port_forwards,
                links=links,
                labels=labels,
                after=resource_deps,
                manual=trigger_mode == "manual",
                auto_init=auto_init,
            ),
        )

    def do_local_resource(
        self,
        name: str,
        cmd: str = "",
        deps: Sequence[str] = (),
        trigger_mode: str = "auto",
        resource_deps: Sequence[str] = (),
        ignore: Sequence[str] = (),
        auto_init: bool = True,
        serve_cmd: str = "",
        allow_parallel: bool = False,
        links: Sequence[Mapping[str, Any]] = (),
        env: Mapping[str, str] | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        for path in deps:
            if not (self._root / path).exists():
                raise Refused(f"local_resource {name}: there is no {path}")
        self._add(
            name,
            Resource(
                cmd=cmd,
                env=env or {},
                links=links,
                labels=labels,
                after=resource_deps,
                manual=trigger_mode == "manual",
                auto_init=auto_init,
            ),
        )

    def _add(self, name: str, resource: Resource) -> None:
        if name in self.resources:
            raise Refused(f"there are two resources {name}")
        self.resources[name] = resource


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _encodable(value: object) -> None:
    """Tilt writes strings, numbers without a fraction, truth values, lists, and maps of them."""
    match value:
        case str() | bool() | int():
            return
        case list():
            for each in value:
                _encodable(each)
        case dict():
            for key, each in value.items():
                if not isinstance(key, str):
                    raise Refused(f"encode_yaml: the key {key!r} is no string")
                _encodable(each)
        case _:
            raise Refused(f"encode_yaml: cannot write {value!r}")
