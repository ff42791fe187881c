"""Keys, ports and processes: what is started is restarted, reported and ended without exception."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import psutil
import pytest

from tulou_city import prepare, supervise, up
from tulou_city.health import Part
from tulou_city.layout import MARKER, City
from tulou_city.tokens import token

SLEEPER = f"{sys.executable} -c 'import time; time.sleep(600)'"
PATIENCE_SECONDS = 60
Procfile = Callable[..., None]
Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def city() -> Iterator[City]:
    # pytest's own folders are too deep for a unix socket.
    with tempfile.TemporaryDirectory(prefix="tulou-") as folder:
        found = City(port=free_port(), var=Path(folder), database_url="", amqp_uri="")
        prepare.make_folders_and_keys(found)
        yield found
        supervise.stop(found)


@pytest.fixture
def procfile(monkeypatch: pytest.MonkeyPatch) -> Procfile:
    return lambda **commands: monkeypatch.setattr(City, "processes", lambda _: commands)


@pytest.fixture
def start(city: City) -> Iterator[Start]:
    supervisors = []

    def started() -> subprocess.Popen[bytes]:
        supervisors.append(supervise.start(city))
        wait(lambda: {one["statename"] for one in (supervise.states(city) or {}).values()} == {"RUNNING"})
        return supervisors[-1]

    yield started
    supervise.stop(city)
    for supervisor in supervisors:
        supervisor.wait(10)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def pid_of(city: City, name: str) -> int:
    states = supervise.states(city)
    assert states is not None
    return int(states[name]["pid"])


def test_secrets_are_readable_by_their_owner_only(city: City) -> None:
    for secret in ("issuer.pem", "keyring.json"):
        assert stat.S_IMODE((city.var / "secrets" / secret).stat().st_mode) == 0o600


def test_a_second_start_keeps_the_keys(city: City) -> None:
    before = (city.var / "secrets/keyring.json").read_bytes(), (city.var / "secrets/issuer.pem").read_bytes()
    prepare.make_folders_and_keys(city)
    assert before == ((city.var / "secrets/keyring.json").read_bytes(), (city.var / "secrets/issuer.pem").read_bytes())


def test_a_token_verifies_with_the_published_key_and_carries_who_it_is_for(city: City) -> None:
    made = token(city, role="clerk", sub="wang", org="WJW", region="350602")
    [key] = jwt.PyJWKSet.from_dict(json.loads((city.var / "secrets/jwks.json").read_text())).keys
    claims = jwt.decode(made, key, algorithms=["RS256"], audience="tulou", issuer="https://tulou.localhost")
    assert (claims["sub"], claims["roles"], claims["org"], claims["region"]) == ("wang", ["clerk"], "WJW", "350602")


def test_applicants_belong_to_no_department_and_carry_their_verified_number(city: City) -> None:
    claims = jwt.decode(token(city, role="citizen", identity="91350600M000100Y43"), options={"verify_signature": False})
    assert (claims["org"], claims["identity"]) == ("", "91350600M000100Y43")


def test_a_token_before_the_first_start_says_what_to_do() -> None:
    with pytest.raises(SystemExit, match="start the city once"):
        token(City(port=1, var=Path("/nowhere"), database_url="", amqp_uri=""), role="citizen")


def test_a_taken_port_is_named_with_its_purpose_and_its_holder(city: City) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", city.port + 2))
        listener.listen()
        with pytest.raises(SystemExit) as refused:
            prepare.check_ports(city)
    assert f"{city.port + 2} (Envoy admin) is taken by process {os.getpid()}" in str(refused.value)
    assert f"make up PORT={city.port + 1000}" in str(refused.value)


def test_a_killed_process_is_started_again(city: City, procfile: Procfile, start: Start) -> None:
    procfile(one=SLEEPER, two=SLEEPER)
    start()
    killed, other = pid_of(city, "one"), pid_of(city, "two")
    os.kill(killed, signal.SIGKILL)
    wait(lambda: pid_of(city, "one") not in (0, killed))
    assert pid_of(city, "two") == other


def test_stop_ends_every_process_and_says_how_many(city: City, procfile: Procfile, start: Start) -> None:
    procfile(one=SLEEPER, two=SLEEPER)
    supervisor = start()
    assert len(supervise.members(city)) == 3
    assert supervise.stop(city) == 3
    assert supervise.members(city) == []
    assert supervise.states(city) is None
    assert supervisor.wait(10) == 0
    assert supervise.stop(city) == 0


def test_stop_ends_what_a_killed_supervisor_left_behind(city: City, procfile: Procfile, start: Start) -> None:
    procfile(one=SLEEPER)
    supervisor = start()
    supervisor.kill()
    supervisor.wait()
    assert len(supervise.members(city)) == 1
    supervise.stop(city)
    assert supervise.members(city) == []


def test_stop_ends_what_went_its_own_way_and_hears_no_signal(city: City, procfile: Procfile, start: Start) -> None:
    script = city.var / "stray.py"
    script.write_text(
        "import os, signal, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"    open('{city.var}/deaf', 'w').close()\n"
        "time.sleep(600)\n"
    )
    procfile(parent=f"{sys.executable} {script}")
    start()
    wait((city.var / "deaf").exists)
    assert len(supervise.members(city)) == 3
    supervise.stop(city)
    assert supervise.members(city) == []


def test_one_city_does_not_end_another(city: City) -> None:
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ | {MARKER: f"{city.var}-other"}
    )
    supervise.stop(city)
    assert psutil.Process(sleeper.pid).is_running()
    sleeper.kill()
    sleeper.wait()


def test_a_process_that_fails_is_reported_with_the_end_of_its_log(
    city: City, procfile: Procfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    procfile(good=SLEEPER, bad=f"{sys.executable} -c 'raise SystemExit(\"no such table: cases\")'")
    monkeypatch.setattr(up, "parts", lambda _: [Part("bad (gRPC)", "", "bad", lambda: False)])
    supervisor = supervise.start(city)
    with pytest.raises(SystemExit) as failed:
        up._wait_until_healthy(city, supervisor)
    assert "bad did not become healthy" in str(failed.value)
    assert "no such table: cases" in str(failed.value)
    supervise.stop(city)
    supervisor.wait(10)


def test_a_process_that_never_answers_is_reported_too(
    city: City, procfile: Procfile, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    procfile(deaf=f"{sys.executable} -uc 'import time; print(\"starting\"); time.sleep(600)'")
    monkeypatch.setattr(up, "parts", lambda _: [Part("deaf (gRPC)", "", "deaf", lambda: False)])
    supervisor = start()
    monkeypatch.setattr(up, "HEALTHY_SECONDS", 0)
    with pytest.raises(SystemExit, match="deaf did not become healthy"):
        up._wait_until_healthy(city, supervisor)
