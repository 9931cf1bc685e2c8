"""A day of the demo city by the command line, as a user runs it: the first day, the next, and one without any change.

`python -m benchmarks.day [PERSONS]`. Promised on two cores: a full day of the demo city (60,000 persons) in under three
minutes, a day without change in under 45 seconds. The first day fills the city as well. Nothing changed means that no
source did and that it is the same date: on a new date the models that read it are built again.

CPU seconds and peak memory (proportional set size, so that shared pages count once) are those of all processes that a
command starts, and of the city's servers: Linux only. The machine may be shared: then CPU seconds over two cores bound
the wall time of a quiet one from below.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from simulator import DemoCity

REPOSITORY = Path(__file__).resolve().parent.parent
PERSONS = 60_000
LOOK_SECONDS = 0.25
"""Between two looks at the memory."""
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Measured:
    """What one command took: seconds, seconds of all processors, MB at the peak; `last` is its last line, as JSON."""

    wall: float
    cpu: float
    peak: float
    last: Mapping[str, object]


def adopt_orphans() -> None:
    """Servers that a command leaves behind become children of this process, so that their cost can be told."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def spent() -> float:
    """CPU seconds of every process below this one, ended or not."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # ended meanwhile: it is counted when its parent has seen it
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory() -> float:
    """MB that every process below this one holds now."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended meanwhile
    return total / 2**20


def measured(arguments: list[str], home: Path) -> Measured:
    """Run one command of citylake to its end. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "citylake", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CITYLAKE_")}
    environment = {**inherited, "CITYLAKE_HOME": str(home)}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as progress:
        before, started, peak = spent(), time.monotonic(), 0.0
        child = subprocess.Popen(command, stdout=output, stderr=progress, env=environment, cwd=REPOSITORY)
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != child.pid:  # adopted servers that ended are seen off too
            if ended[0] == 0:
                peak = max(peak, memory())
                time.sleep(LOOK_SECONDS)
        child.returncode = os.waitstatus_to_exitcode(ended[1])
        wall = time.monotonic() - started
        output.seek(0)
        progress.seek(0)
        lines = output.read().splitlines()
        if child.returncode or not lines:
            raise subprocess.CalledProcessError(child.returncode, command, "\n".join(lines), progress.read())
    return Measured(wall, spent() - before, peak, json.loads(lines[-1]))


def main(persons: int) -> None:
    """Every day once, one after the other, in one home."""
    adopt_orphans()
    days = {
        "first day": ["demo", "up", "--once", "--no-browser", "--scale", str(persons)],
        "tick": ["demo", "tick"],
        "next day": ["run"],
        "no-change day": ["run"],
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        print(f"{persons} persons, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print("| day | received | releases | wall s | CPU s | peak MB |\n|---|---|---|---|---|---|")
        try:
            for name, arguments in days.items():
                took = measured(arguments, home)
                counts = " | ".join(str(took.last.get(count, "")) for count in ("received", "releases"))
                print(f"| {name} | {counts} | {took.wall:.1f} | {took.cpu:.1f} | {took.peak:.0f} |", flush=True)
        except subprocess.CalledProcessError as failed:
            sys.exit(f"{failed}\n{failed.stderr}")
        finally:
            if (home / "city").is_dir():
                DemoCity.open(home / "city").stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PERSONS)
