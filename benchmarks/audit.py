"""What an audit row adds to an answer: each row in a transaction of its own against group commit, and what the disk and
the server take for the least that is durable.

`python -m benchmarks.audit [postgresql]`; with the last on a PostgreSQL server, else on SQLite. Threads
ask without a pause, which is worse than people do. The machine is shared: compare within one run only. Each way takes
its turn in every round, so that one that is measured in a bad moment is not told as slower.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.rows import register as server
from catalog.policy import audit
from pipelines.register import Register

ROWS = 100
"""Of each thread in a round."""
ROUNDS = 3
THREADS = (1, 4, 16)
BODY = {
    "road": "delta_sharing",
    "columns": ["person_ref", "name", "division_code"],
    "rows": 4096,
    "purpose": "低保核对",
}
ABOUT = {"recipient": "cab-family-desk", "product": "sharing/person_of_division", "version": 7, "grant": 3}
PAGE = bytes(8192)
"""What a database writes at least."""

Way = Callable[[], None]


def alone(register: Register) -> Way:
    """A transaction of its own for the row."""

    def write() -> None:
        with register.begin() as connection:
            audit.append(connection, "table.query", "allowed", BODY, **ABOUT)  # type: ignore[arg-type]

    return write


def together(register: Register) -> Way:
    """As the catalogue does it."""
    return lambda: audit.record(register, "table.query", "allowed", BODY, **ABOUT)  # type: ignore[arg-type]


def bare(register: Register) -> Way:
    """A row of one column into a table without index, and a commit, by the driver."""
    connection: Any = register.apart()
    connection.execute("CREATE TABLE bare (body TEXT)")
    connection.commit()

    def write() -> None:
        connection.execute("INSERT INTO bare VALUES ('x')")
        connection.commit()

    return write


def synced(file: Path) -> Way:
    """A page at the end of a file, down to the disk."""
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write() -> None:
        os.write(target, PAGE)
        os.fdatasync(target)

    return write


def waits(way: Way, threads: int) -> tuple[list[float], float]:
    """How long each row took in milliseconds, and the seconds of all."""
    found: list[float] = []

    def work() -> None:
        for _ in range(ROWS):
            started = time.perf_counter()
            way()
            found.append((time.perf_counter() - started) * 1000)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found, time.perf_counter() - started


def main() -> None:
    """Print a table."""
    found, took = defaultdict[tuple[str, int], list[float]](list), defaultdict[tuple[str, int], float](float)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), *sys.argv[1:]) as address:
        register = Register(address or f"sqlite:///{Path(folder) / 'register.db'}")
        register.upgrade()
        ways = [
            ("a page to the disk", synced(Path(folder) / "file"), 1),
            ("a bare insert and commit", bare(register), 1),
        ]
        ways += [("a transaction each", alone(register), threads) for threads in THREADS]
        ways += [("as the catalogue does", together(register), threads) for threads in THREADS]
        for _ in range(ROUNDS):
            for name, way, threads in ways:
                each, seconds = waits(way, threads)
                found[name, threads] += each
                took[name, threads] += seconds
        assert audit.first_break(register) is None
        register.close()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, {ROUNDS} rounds of {ROWS} rows a thread")
    print("| way | threads | median ms | p99 ms | max ms | rows/s |\n|---|---|---|---|---|---|")
    for (name, threads), each in found.items():
        p99 = statistics.quantiles(each, n=100)[98]
        row = f"{statistics.median(each):.2f} | {p99:.1f} | {max(each):.1f} | {len(each) / took[name, threads]:.0f}"
        print(f"| {name} | {threads} | {row} |", flush=True)


if __name__ == "__main__":
    main()
