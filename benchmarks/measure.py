"""Running contenders, each in a process of its own, and comparing what they took. What they do does not belong here.

The machine is shared: compare within one run only.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import psutil

from benchmarks.contender import Contender

REPOSITORY = Path(__file__).resolve().parent.parent
UNLIMITED = f"{{callers: {{organisation: {{perMinute: 1000000, rowsPerDay: {10**12}, bytesPerDay: {10**15}}}}}}}"
"""Limits of a catalogue whose callers are measured and not held back."""


def table(
    module: str,
    contenders: Mapping[str, Contender] | Iterable[str],
    where: str,
    server: psutil.Process | None = None,
    runs: int = 2,
    peers: Mapping[str, Sequence[str | Path]] | None = None,
) -> dict[str, float]:
    """Run every contender so many times, and print the best of each. `server`: whose CPU seconds count too; `peers`:
    contenders that run in environments of their own, by a command each. Returns the CPU seconds of each contender,
    those of the server included."""
    total: dict[str, float] = {}
    print(f"DuckDB {duckdb.__version__}, {os.cpu_count()} cores")
    print("| contender | result | CPU s | CPU s server | wall s | peak MB |\n|---|---|---|---|---|---|", flush=True)
    commands = {name: (sys.executable, "-m", module, "--one", name) for name in contenders}
    for name, command in (commands | dict(peers or {})).items():
        found = [_measured(command, where, server) for _ in range(runs)]
        best = min(found, key=lambda run: run["cpu"] + run["server"])
        total[name] = best["cpu"] + best["server"]
        row = (f"{best[key]:.1f}" for key in ("cpu", "server", "wall", "peak_mb"))
        print(f"| {name} | {best['result']:.0f} | {' | '.join(row)} |", flush=True)
    return total


def _measured(command: Sequence[str | Path], where: str, server: psutil.Process | None) -> dict[str, float]:
    before = server_used(server)
    done = subprocess.run(command, input=where, text=True, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY)
    return {**json.loads(done.stdout), "server": server_used(server) - before}


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(command: Sequence[str], asked: str, environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """A service in a process of its own, from when it answers at an address until the end of the block."""
    with subprocess.Popen(command, env=os.environ | environment, cwd=REPOSITORY) as process:
        try:
            for _ in range(300):
                try:
                    httpx.get(asked, timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def server_used(server: psutil.Process | None) -> float:
    """CPU seconds of a server and all its backends that have ended."""
    if server is None:
        return 0.0
    times = server.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
