"""Running contenders, each in a process of its own, and telling what they took. What they do does not belong here.

The machine is shared: compare within one run only.
"""

import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
Contender = Callable[[str, Path], int]
"""Does the work once, in an empty folder; the text says where the data is. Returns how many rows or bytes came out."""

UNLIMITED = f"{{callers: {{organisation: {{perMinute: 1000000, rowsPerDay: {10**12}, bytesPerDay: {10**15}}}}}}}"
"""Limits of a catalogue whose callers are measured and not held back."""
_PEAK = re.compile(r"VmHWM:\s*([0-9]+) kB")
"""Where Linux tells the peak memory of a process: getrusage() would tell its parent's, if that was higher."""


def one(contender: Contender, where: str) -> None:
    """Run one contender here and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        started, before = time.monotonic(), _used()
        result = contender(where, Path(folder))
        seconds = time.monotonic() - started
    peak = int(_PEAK.findall(Path("/proc/self/status").read_text("utf-8"))[0]) / 1024
    print(json.dumps({"result": result, "wall": seconds, "cpu": _used() - before, "peak_mb": peak}))


def table(
    module: str,
    contenders: Mapping[str, Contender] | Iterable[str],
    where: str,
    server: psutil.Process | None = None,
    runs: int = 2,
) -> dict[str, float]:
    """Run every contender so many times, and print the best of each. `server`: whose CPU seconds count too. Returns the
    CPU seconds of each contender, those of the server included."""
    total: dict[str, float] = {}
    print(f"DuckDB {duckdb.__version__}, {os.cpu_count()} cores")
    print("| contender | result | CPU s | CPU s server | wall s | peak MB |\n|---|---|---|---|---|---|", flush=True)
    for name in contenders:
        found = [_measured(module, name, where, server) for _ in range(runs)]
        best = min(found, key=lambda run: run["cpu"] + run["server"])
        total[name] = best["cpu"] + best["server"]
        row = (f"{best[key]:.1f}" for key in ("cpu", "server", "wall", "peak_mb"))
        print(f"| {name} | {best['result']:.0f} | {' | '.join(row)} |", flush=True)
    return total


def _measured(module: str, name: str, where: str, server: psutil.Process | None) -> dict[str, float]:
    before = server_used(server)
    command = [sys.executable, "-m", module, "--one", name]
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


def _used() -> float:
    """CPU seconds of this process; imports before the call do not count for any contender."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def server_used(server: psutil.Process | None) -> float:
    """CPU seconds of a server and all its backends that have ended."""
    if server is None:
        return 0.0
    times = server.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
