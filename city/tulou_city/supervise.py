"""The city's processes: started and restarted by supervisor, found and ended by the marker that each carries."""

import os
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psutil
from supervisor.xmlrpc import SupervisorTransport

from tulou_city.layout import MARKER, City

# A server drains for at most 20 seconds (DESIGN: graceful end); supervisor kills what takes longer.
STOP_SECONDS: Final = 25


def start(city: City) -> subprocess.Popen[bytes]:
    """Starts supervisor with every process of the Procfile; it stays when the caller ends."""
    config = city.var / "run/supervisord.conf"
    config.write_text(_config(city))
    # Never the caller's own output: who reads that to its end would wait for the end of the city.
    with (city.var / "log/supervisor.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env=city.environment("supervisor"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A Ctrl-C in the caller's terminal must reach the caller alone.
            start_new_session=True,
        )


def states(city: City) -> dict[str, dict[str, Any]] | None:
    """What supervisor says of each process (`statename`, `pid`, `spawnerr`, …), or None when none runs."""
    with suppress(OSError, xmlrpc.client.Error), _supervisor(city) as supervisor:
        return {one["name"]: one for one in supervisor.getAllProcessInfo()}
    return None


def pid(city: City) -> int | None:
    """Supervisor's own process id, or None when it does not run."""
    with suppress(OSError, xmlrpc.client.Error), _supervisor(city) as supervisor:
        return int(supervisor.getPID())
    return None


def members(city: City) -> list[psutil.Process]:
    """Every process that carries the city's marker, whoever started it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARKER) == str(city.var):
                found.append(process)
    return found


def stop(city: City) -> int:
    """Ends every process of the city, orderly where supervisor still runs, and returns how many there were."""
    running = members(city)
    supervisor = pid(city)
    with suppress(OSError, xmlrpc.client.Error), _supervisor(city) as asked:
        asked.shutdown()
        # It ends when its processes have.
        _wait_while(lambda: supervisor in {process.pid for process in members(city)}, STOP_SECONDS + 5)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in members(city):
            with suppress(psutil.NoSuchProcess):
                end(process)
        _wait_while(lambda: any(map(_is_there, running)) or bool(members(city)), 5)
    return len(running)


def _is_there(process: psutil.Process) -> bool:
    # One that is about to end has lost the mark already, and has its ports still.
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _wait_while(condition: Callable[[], bool], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while condition() and time.monotonic() < give_up:
        time.sleep(0.1)


@contextmanager
def _supervisor(city: City) -> Iterator[Any]:
    transport = SupervisorTransport(None, None, f"unix://{city.var}/run/supervisor.sock")
    with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
        yield proxy.supervisor


def _config(city: City) -> str:
    var = str(city.var).replace("%", "%%")
    programs = city.processes()
    sections = [
        f"""[supervisord]
nodaemon = true
silent = true
logfile = {var}/log/supervisor.log
logfile_maxbytes = 1MB
logfile_backups = 1
pidfile = {var}/run/supervisord.pid

[unix_http_server]
file = {var}/run/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
    ]
    # Ended from the last to the first: the gateway turns calls away while the services finish theirs, and the portal
    # still takes their last spans.
    order = {"portal": 1, "gateway": 3}
    for place in (1, 2, 3):
        names = [name for name in programs if order.get(name, 2) == place]
        if names:
            sections.append(f"[group:{place}]\nprograms = {','.join(names)}\npriority = {place}\n")
    for name, command in programs.items():
        environment = city.environment(name)
        addresses = ",".join(f'{key}="{environment[key]}"' for key in ("TULOU_GRPC_ADDRESS", "TULOU_METRICS_ADDRESS"))
        sections.append(
            f"""[program:{name}]
command = {command.replace("%", "%%")}
environment = {addresses}
autorestart = true
# Each further try waits one second longer; a city never gives a process up.
startretries = 1000000
stopwaitsecs = {STOP_SECONDS}
killasgroup = true
redirect_stderr = true
stdout_logfile = {var}/log/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""
        )
    return "\n".join(sections)
