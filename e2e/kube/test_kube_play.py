"""The chart's own manifests run: podman plays the Deployments of servers, workers, portal and gateway as Helm renders
them, and a journey passes.

Played as rendered: images, commands, settings from ConfigMaps and Secrets, security contexts, limits, init containers,
volumes and claims. Changed, because podman 4.3 plays no more of Kubernetes than this:

- Services: their names stand in each pod's `hostAliases`, with the address of the one pod that they select.
- `containerPort`: taken off, for podman would open each on the machine itself, where several pods have the same.
- Jobs: their pod is played.
- Probes: podman knows no readiness, and without systemd it runs no probe by itself. The test runs each, as rendered,
  within the time that it has by `periodSeconds` and `failureThreshold`.
- Secrets: made with `podman secret create`, whose form differs between variables and files; `optional: false`, the
  default, is written out, for podman crashes without it.
- `restartPolicy` of Deployments: OnFailure, for podman also restarts init containers that have ended well.
"""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from charts.tests.rendering import CHART, RELEASE, Rendering, manifests, named, of_kind, pod_of, render
from e2e.api_cases import PDF, Run
from e2e.clients import Client, GrpcClient, HttpClient
from e2e.eventually import eventually
from e2e.kube.podman import NETWORK, Podman, podman
from e2e.providers import tools
from e2e.providers.engine import images
from e2e.tokens import Tokens
from tulou_city import prepare
from tulou_city.layout import ISSUER, City
from tulou_city.services import SERVICES

PASSWORD: Final = "for-this-run"
USER: Final = 10001
# A worker starts an interpreter for each import.
IMPORT_SECONDS: Final = 90
# A Deployment is given ten minutes.
READY_SECONDS: Final = 180
# Where the pods are; the servers of the city come first.
FIRST_ADDRESS: Final = 20


@dataclass(frozen=True)
class Cluster:
    """What is played: the objects as rendered, and the address of each Deployment's pod."""

    podman: Podman
    objects: list[Rendering]
    addresses: dict[str, str]
    city: City

    @property
    def deployments(self) -> list[Rendering]:
        """All that were rendered."""
        return of_kind(self.objects, "Deployment")

    def containers(self) -> Iterator[tuple[str, Rendering, dict[str, Any]]]:
        """Podman's name of each container, its pod as rendered, and the container as rendered."""
        for deployment in self.deployments:
            pod = pod_of(deployment)
            for container in pod["spec"]["containers"]:
                yield f"{deployment['metadata']['name']}-pod-0-{container['name']}", pod, container

    def is_up(self, container: str, probe: dict[str, Any]) -> bool:
        """Whether a probe, as rendered, succeeds in the container."""
        return self.podman.run("exec", container, *probe["exec"]["command"]).returncode == 0

    def wait(self, container: str, probe: dict[str, Any]) -> None:
        """Waits until the probe succeeds. Raises AssertionError with the container's words."""
        give_up = time.monotonic() + READY_SECONDS
        while not self.is_up(container, probe):
            assert time.monotonic() < give_up, self.podman("logs", container)
            time.sleep(0.5)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    built = images()
    with podman() as engine:
        wanted = {
            name: f"{built.registry}/{name}:{built.version}" for name in (*(each.name for each in SERVICES), "gateway")
        }
        here = engine.load(*wanted.values(), built.postgres, built.rabbitmq)
        database, broker = f"{engine.addresses}.10", f"{engine.addresses}.11"
        city = City(
            port=8080,
            var=tmp_path_factory.mktemp("city"),
            database_url=f"postgresql://postgres:{PASSWORD}@{database}:5432/{{service}}",
            amqp_uri=f"amqp://tulou:{PASSWORD}@{broker}:5672/",
        )
        prepare.make_folders_and_keys(city)
        registry = here[wanted["gateway"]].removesuffix(f"/gateway:{built.version}")
        values = {
            "images.registry": registry,
            "images.tag": built.version,
            "oidc.issuer": ISSUER,
            "oidc.jwks.url": "",
            "oidc.jwks.configMap": "tulou-jwks",
            # There is no Service between: its port is the pod's.
            "gateway.service.port": "8080",
        }
        settings = [f"--set={name}={value}" for name, value in values.items()]
        rendered = manifests(render(str(tools.helm()), (f"--values={CHART}/ci/minimal-values.yaml", *settings)))
        names = [each["metadata"]["name"] for each in of_kind(rendered, "Deployment")]
        addresses = {name: f"{engine.addresses}.{FIRST_ADDRESS + place}" for place, name in enumerate(names)}
        found = Cluster(engine, rendered, addresses, city)
        start_servers(found, here[built.postgres], database, here[built.rabbitmq], broker)
        make_secrets(found)
        play(found)
        yield found


def start_servers(cluster: Cluster, postgres: str, database: str, rabbitmq: str, broker: str) -> None:
    """PostgreSQL with a database for each service, and RabbitMQ; the chart brings neither."""
    run = ("run", "-d", "--no-healthcheck", f"--network={NETWORK}")
    cluster.podman(*run, "--name=postgres", f"--ip={database}", f"--env=POSTGRES_PASSWORD={PASSWORD}", postgres)
    user = ("--env=RABBITMQ_DEFAULT_USER=tulou", f"--env=RABBITMQ_DEFAULT_PASS={PASSWORD}")
    cluster.podman(*run, "--name=rabbitmq", f"--ip={broker}", *user, rabbitmq)
    # By TCP: while it is made, PostgreSQL's image listens on its socket only.
    ask = ("exec", f"--env=PGPASSWORD={PASSWORD}", "postgres", "psql", "-q", "-h", "127.0.0.1", "-U", "postgres")
    eventually(lambda: cluster.podman.run(*ask, "-c", "SELECT 1").returncode == 0, seconds=60)
    for service in SERVICES:
        cluster.podman(*ask, "-c", f"CREATE DATABASE {service.name}")


def make_secrets(cluster: Cluster) -> None:
    """What the chart takes from Secrets that are made beforehand."""
    for name, key, value in (
        ("tulou-database", "url", cluster.city.database_url),
        ("tulou-broker", "uri", cluster.city.amqp_uri),
    ):
        content = {key: base64.b64encode(value.encode()).decode()}
        cluster.podman("secret", "create", name, "-", given=json.dumps(content))
    keyring = (cluster.city.var / "secrets/keyring.json").read_text()
    cluster.podman("secret", "create", "tulou-keyring", "-", given=json.dumps({"data": {"keyring.json": keyring}}))


def play(cluster: Cluster) -> None:
    """What `helm install` does: the hooks, then all else, until every Deployment is ready."""
    jwks = (cluster.city.var / "secrets/jwks.json").read_text()
    configuration = [
        *of_kind(cluster.objects, "ConfigMap"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tulou-jwks"}, "data": {"jwks.json": jwks}},
    ]
    for job in of_kind(cluster.objects, "Job"):
        run_once(cluster, playable(cluster, job), *configuration)
    cluster.podman.play(*of_kind(cluster.objects, "PersistentVolumeClaim"))
    for deployment in cluster.deployments:
        address = cluster.addresses[deployment["metadata"]["name"]]
        cluster.podman.play(*configuration, playable(cluster, deployment), address=address)
    for probe in ("startupProbe", "readinessProbe"):
        for name, _, container in cluster.containers():
            cluster.wait(name, container[probe])


def run_once(cluster: Cluster, pod: Rendering, *configuration: Rendering) -> None:
    """Plays a pod and waits until each of its containers has ended well."""
    cluster.podman.play(*configuration, pod, address=f"{cluster.podman.addresses}.12")
    name = pod["metadata"]["name"]
    for container in pod["spec"]["containers"]:
        played = f"{name}-{container['name']}"
        assert cluster.podman("wait", played).strip() == "0", cluster.podman("logs", played)
    cluster.podman("pod", "rm", "-f", name)


def playable(cluster: Cluster, workload: Rendering) -> Rendering:
    """The object with the changes that the top of this file tells."""
    changed = deepcopy(workload)
    pod = pod_of(changed)
    spec = pod["spec"]
    spec["hostAliases"] = [{"ip": address, "hostnames": [name]} for name, address in services(cluster).items()]
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            volume["secret"]["optional"] = False
    for container in spec["containers"]:
        container.pop("ports", None)
    if workload["kind"] == "Deployment":
        spec["restartPolicy"] = "OnFailure"
        return changed
    metadata = pod["metadata"] | {"name": workload["metadata"]["name"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def services(cluster: Cluster) -> dict[str, str]:
    """The address of the one pod that each Service selects."""
    found = {}
    for service in of_kind(cluster.objects, "Service"):
        selector = service["spec"]["selector"].items()
        [selected] = [
            each["metadata"]["name"]
            for each in cluster.deployments
            if selector <= pod_of(each)["metadata"]["labels"].items()
        ]
        found[service["metadata"]["name"]] = cluster.addresses[selected]
    return found


@pytest.fixture(params=[HttpClient, GrpcClient], ids=lambda kind: str(kind.name))
def client(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Client]:
    address = f"{cluster.addresses[f'{RELEASE}-gateway']}:8080"
    with closing(request.param(f"http://{address}" if request.param is HttpClient else address)) as found:
        yield found


def test_a_household_s_journey_passes_through_the_gateway_the_servers_and_the_workers(
    cluster: Cluster, client: Client
) -> None:
    firm = Run(client, Tokens(cluster.city))
    firm.prepare(("an item that may be simplified", "an honour", "an accepted case of the firm"))
    # Approval's server asked credit's in the clerk's name.
    assert firm.known["case"]["handling"] == "CASE_HANDLING_SIMPLIFIED"
    firm.do("StartReview")
    granted = firm.do("GrantCase")["case"]
    # Approval's worker told it, credit's took it in.
    licences = {"subjectId": firm.known["subject"]["id"], "typeCode": "LICENCE"}
    [licence] = eventually(lambda: firm.do("ListRecords", licences)["records"])
    assert licence["content"]["document_number"] == granted["decision"]["documentNumber"]
    # A file lies on the claim's volume; rows are taken in by a process that the worker starts.
    firm.prepare(("CreateCase", "UploadMaterial"))
    assert firm.do("FetchMaterial")["data"] == PDF
    firm.do("UploadImport")
    assert eventually(lambda: firm.do("GetImport")["operation"]["done"], seconds=IMPORT_SECONDS)
    assert firm.known["operation"]["metadata"]["state"] == "IMPORT_STATE_DONE"


def test_helm_test_passes(cluster: Cluster) -> None:
    run_once(cluster, playable(cluster, named(cluster.objects, "Pod", "test")))


def test_every_container_has_the_rights_and_limits_that_its_manifest_says(cluster: Cluster) -> None:
    for name, pod, container in cluster.containers():
        found = cluster.podman.inspect(name)
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{found['State']['Pid']}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert pod["spec"]["securityContext"]["runAsUser"] == USER
        assert set(status["Uid"].split()) == {str(USER)}, name
        assert (status["NoNewPrivs"], int(status["CapEff"], 16), status["Seccomp"]) == ("1", 0, "2"), name
        assert found["HostConfig"]["Memory"] == megabytes(container["resources"]["limits"]["memory"]) << 20, name
        assert cluster.podman.run("exec", name, "touch", "/written").returncode != 0, name
        assert cluster.podman.run("exec", name, "touch", "/tmp/written").returncode == 0, name
        told = dict(variable.split("=", 1) for variable in found["Config"]["Env"])
        for variable in container.get("env", []):
            assert told[variable["name"]] == variable.get("value", told[variable["name"]]), name


def test_every_probe_goes_on_succeeding(cluster: Cluster) -> None:
    for name, _, container in cluster.containers():
        for probe in ("livenessProbe", "readinessProbe"):
            assert cluster.is_up(name, container[probe]), f"{probe} of {name}"


def test_a_server_that_is_told_to_end_is_first_not_ready_then_ends_within_its_time(cluster: Cluster) -> None:
    [(name, pod, container)] = [each for each in cluster.containers() if each[0] == f"{RELEASE}-credit-pod-0-server"]
    began = time.monotonic()
    cluster.podman("kill", "--signal=TERM", name)
    asked = ("exec", name, *container["readinessProbe"]["exec"]["command"])
    eventually(lambda: '"open": false' in cluster.podman.run(*asked).stderr)
    assert cluster.podman("wait", name).strip() == "0", cluster.podman("logs", name)
    assert time.monotonic() - began < pod["spec"]["terminationGracePeriodSeconds"]
    # As a new pod would be started for it.
    cluster.podman("start", name)
    for probe in ("startupProbe", "readinessProbe"):
        cluster.wait(name, container[probe])


def megabytes(quantity: str) -> int:
    """Of a quantity like 512Mi."""
    assert quantity.endswith("Mi"), quantity
    return int(quantity.removesuffix("Mi"))
