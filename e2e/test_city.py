"""make up, make stop, Ctrl-C and make demo with a whole city: what is started can be used, ended, and started again."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import httpx
import psutil

from e2e.api_cases import Run
from e2e.clients import HttpClient
from e2e.providers.cities import Cities, free_first_port, run_city, running_city, settings_of
from e2e.tokens import Tokens
from tulou_city import sample, supervise
from tulou_city.layout import HOST, City

SECONDS: Final = 180


def test_a_city_listens_on_its_ports_and_on_this_machine_alone(cities: Cities) -> None:
    city = cities()
    addresses = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for process in supervise.members(city)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {(HOST, port) for port in city.ports}


def test_a_second_up_of_a_running_city_starts_nothing(cities: Cities) -> None:
    city = cities()
    before = {process.pid for process in supervise.members(city)}
    again = run_city("up", "--detach", city=city)
    assert again.returncode == 0
    assert "runs already" in again.stdout
    # One of an import that a test before asked for may have ended meanwhile.
    assert {process.pid for process in supervise.members(city)} <= before


def test_a_taken_port_is_named_and_nothing_started() -> None:
    with tempfile.TemporaryDirectory(prefix="tulou-city-") as var, socket.socket() as taken:
        city = City(port=free_first_port(), var=Path(var), database_url="", amqp_uri="")
        approval = city.port + 10
        taken.bind((HOST, approval))
        taken.listen()
        refused = run_city("up", "--detach", city=city)
        assert refused.returncode != 0
        assert f"{approval} (approval gRPC) is taken by process {os.getpid()}" in refused.stdout
        assert supervise.members(city) == []


def test_the_demo_plays_its_day_to_the_end(cities: Cities) -> None:
    city = cities()
    played = run_city("demo", city=city)
    assert played.returncode == 0, played.stdout
    one, two = re.findall(rf"{city.url}/traces/[0-9a-f]{{32}}", played.stdout)
    assert httpx.get(one, trust_env=False).is_success
    spans = httpx.get(two.replace("/traces/", "/api/traces/"), trust_env=False).json()["spans"]
    assert {"gateway", "approval", "credit", "worker"} <= {span["service"] for span in spans}
    [code] = re.findall(rf"{city.url}/credit/verify\?code=([A-Z0-9-]+)", played.stdout)
    report = httpx.get(f"{city.url}/credit/v1/reports:verify", params={"code": code}, trust_env=False).json()
    assert report["subjectName"] == sample.COMPANY


def test_a_city_ends_on_stop_and_on_ctrl_c_and_goes_on_where_it_was() -> None:
    with running_city() as city, closing(HttpClient(city.url)) as client:
        run = Run(client, Tokens(city))
        run.prepare(("a draft with its materials",))
        number = run.do("SubmitCase")["case"]["number"]
        assert len(listening(city)) == len(city.ports)

        done = run_city("stop", city=city)
        assert done.returncode == 0, done.stdout
        assert re.search(r"Ended \d+ processes", done.stdout)
        assert supervise.members(city) == []
        assert listening(city) == []
        assert run_city("stop", city=city).stdout == "No city was running.\n"

        with foreground(city) as process:
            assert process.stdout is not None
            told = []
            for line in process.stdout:
                told.append(line)
                if line == "Ctrl-C ends the city.\n":
                    break
            # The token from before, the case from before, its files from before.
            assert run.do("GetCase")["case"]["number"] == number
            file = run.do("ListMaterials")["files"][0]
            assert len(run.do("FetchMaterial", {"fileId": file["id"]})["data"]) == int(file["size"])
            check_pasted(told)
            process.send_signal(signal.SIGINT)
            assert "The city has ended." in process.stdout.read()
        assert supervise.members(city) == []
        assert listening(city) == []


def listening(city: City) -> list[int]:
    """The ports of the city that somebody accepts connections on."""
    found = []
    for port in city.ports:
        with socket.socket() as caller:
            if caller.connect_ex((HOST, port)) == 0:
                found.append(port)
    return found


@contextmanager
def foreground(city: City) -> Iterator[subprocess.Popen[str]]:
    """make up without DETACH=1."""
    with subprocess.Popen(
        [sys.executable, "-m", "tulou_city", "up"],
        env=os.environ | settings_of(city),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # The test's own terminal is none of its business.
        start_new_session=True,
    ) as process:
        overdue = threading.Timer(SECONDS, process.kill)
        overdue.start()
        try:
            yield process
        finally:
            overdue.cancel()
            process.kill()


def check_pasted(told: list[str]) -> None:
    """The line that make up prints to be pasted works as it stands."""
    [line] = [line for line in told if line.startswith("curl ")]
    pasted = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=SECONDS)
    assert pasted.stdout.startswith("HTTP/1.1 200"), pasted.stdout + pasted.stderr
    assert '"state":"CASE_STATE_DRAFT"' in pasted.stdout.replace(" ", "")
