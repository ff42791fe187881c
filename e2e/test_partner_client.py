"""The clients of docs/partners.md, as a partner runs them: from the package alone, in an environment of its own."""

import csv
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from e2e.api_cases import Run
from e2e.clients import HttpClient
from e2e.providers.cities import Cities
from e2e.tokens import Tokens
from tulou_city import sample
from tulou_city.layout import HOST, ROOT, City
from tulou_credit.intake.columns import LICENCE_790

CLIENT, WRITER, SENDER = re.findall(r"```python\n(.+?)```", (ROOT / "docs/partners.md").read_text("utf-8"), re.DOTALL)
SECONDS: Final = 60


@pytest.fixture(scope="module")
def city(cities: Cities) -> City:
    return cities()


@pytest.fixture(scope="module")
def run(city: City) -> Iterator[Run]:
    with closing(HttpClient(city.url)) as client:
        yield Run(client, Tokens(city))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the package as pip installs it, what it says it needs, and what the page says to add."""
    folder = tmp_path_factory.mktemp("partner")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    interpreter = folder / "venv/bin/python"
    command = [str(interpreter), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    # Built from a copy: building makes the stubs anew, under the feet of whoever runs with them.
    source = shutil.copytree(ROOT / "protos", folder / "protos", ignore=shutil.ignore_patterns("gen", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    subprocess.run([*pip, *build], check=True, timeout=SECONDS)
    # What an index would give, from the environment of the tests. pip itself sees to it that nothing is missing.
    for name in ("grpcio", "protobuf", "googleapis-common-protos", "grpcio-status", "typing-extensions"):
        files = distribution(name).files or []
        for top in {Path(file).parts[0] for file in files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    install = ["--python", str(interpreter), "install", "--no-index", *map(str, folder.glob("*.whl"))]
    subprocess.run([*pip, *install], check=True, timeout=SECONDS)
    return interpreter


def environment(city: City, token: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TULOU_"))}
    return kept | {"CITY": f"{HOST}:{city.port}", "TOKEN": token, "PYTHONUTF8": "1"}


def test_the_ten_lines_list_items_and_follow_events(python: Path, city: City, run: Run) -> None:
    assert len(CLIENT.splitlines()) <= 10
    run.prepare(("a draft with its materials",))
    before = run.do("SubmitCase")["case"]
    process = subprocess.Popen(
        [python, "-c", CLIENT],
        env=environment(city, run.token("partner")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    overdue = threading.Timer(SECONDS, process.kill)
    overdue.start()
    try:
        assert process.stdout is not None
        lines = iter(process.stdout)
        told = read_until(lines, f"CaseSubmitted {before['id']}")
        assert "SCJG-XK-0001 食品经营许可（新办）\n" in told
        # It waits now; what happens next, it is told.
        run.do("StartPreReview")
        run.do("AcceptCase")
        [accepted] = read_until(lines, f"CaseAccepted {before['id']}")
        position = int(accepted.split()[0])
        assert position > int(told[-1].split()[0])
    finally:
        overdue.cancel()
        process.kill()
        process.communicate()


def read_until(lines: Iterator[str], end: str) -> list[str]:
    """The lines up to one that ends so."""
    found = []
    for line in lines:
        found.append(line)
        if line.endswith(f"{end}\n"):
            return found
    pytest.fail("".join(found))


def test_the_writer_reads_what_is_wrong_with_its_request(python: Path, city: City, run: Run) -> None:
    done = subprocess.run(
        [python, "-c", WRITER],
        env=environment(city, run.token("citizen")),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert 'INVALID_ARGUMENT reason: "INVALID_FIELD"' in done.stdout
    assert 'field: "case.applicant.phone"' in done.stdout
    assert "a mobile phone number of 11 digits" in done.stdout


def test_the_sender_is_told_what_became_of_its_rows(python: Path, city: City, run: Run, tmp_path: Path) -> None:
    organ = {"XK_XKJG": "漳州市市场监督管理局", "XK_LYDW": "漳州市市场监督管理局"}
    organ |= dict.fromkeys(("XK_XKJGDM", "XK_LYDWDM"), "11350600TUL000236F")
    good = organ | {
        "XK_XDR_MC": "漳州第一茶厂",
        "XK_XDR_LB": "法人及非法人组织",
        "XK_XDR_SHXYM": sample.credit_code(1),
        "XK_FRDB": "陈志强",
        "XK_XKWS": "食品生产许可决定书",
        "XK_WSH": "漳市监许〔2026〕1号",
        "XK_XKLB": "普通",
        "XK_NR": "食品生产",
        "XK_JDRQ": "2026/05/06",
        "XK_YXQZ": "2026/05/06",
        "XK_YXQZI": "2031/05/05",
        "XK_ZT": "1",
    }
    file = tmp_path / "行政许可.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.DictWriter(stream, list(LICENCE_790.by_name), restval="")
        rows.writeheader()
        rows.writerows([good, good | {"XK_WSH": "漳市监许〔2026〕2号", "XK_JDRQ": "2026/02/30"}])
    for told in ("1 new, 0 known, 1 not taken", "0 new, 1 known, 1 not taken"):
        done = subprocess.run(
            [python, "-c", SENDER],
            env=environment(city, run.token("clerk")) | {"FILE": str(file)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{told}\n"


def test_health_and_reflection_are_open_through_the_gateway(city: City) -> None:
    with grpc.insecure_channel(f"{HOST}:{city.port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {"tulou.approval.v1.ApprovalService", "tulou.approval.v1.CatalogueService"} <= set(
            database.get_services()
        )
        service = DescriptorPool(database).FindServiceByName("tulou.approval.v1.ApprovalService")
        assert "WatchEvents" in service.methods_by_name
