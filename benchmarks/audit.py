"""What an audit row adds to an answer: each row in a transaction of its own against group commit.

`python -m benchmarks.audit [postgresql]`; with the last on a PostgreSQL server, else on SQLite. Threads
ask without a pause, which is worse than people do. The machine is shared: compare within one run only.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rows import register as server
from catalog.policy import audit
from pipelines.register import Register

ROWS = 200
"""Of each thread."""
THREADS = (1, 4, 16)
BODY = {
    "road": "delta_sharing",
    "columns": ["person_ref", "name", "division_code"],
    "rows": 4096,
    "purpose": "低保核对",
}
ABOUT = {"recipient": "cab-family-desk", "product": "sharing/person_of_division", "version": 7, "grant": 3}

Way = Callable[[Register], None]


def alone(register: Register) -> None:
    """A transaction of its own for the row."""
    with register.begin() as connection:
        audit.append(connection, "table.query", "allowed", BODY, **ABOUT)  # type: ignore[arg-type]


def together(register: Register) -> None:
    """As the catalogue does it."""
    audit.record(register, "table.query", "allowed", BODY, **ABOUT)  # type: ignore[arg-type]


def waits(way: Way, register: Register, threads: int) -> tuple[list[float], float]:
    """How long each row took in milliseconds, and rows a second."""
    found: list[float] = []

    def work() -> None:
        for _ in range(ROWS):
            started = time.perf_counter()
            way(register)
            found.append((time.perf_counter() - started) * 1000)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found, len(found) / (time.perf_counter() - started)


def main() -> None:
    """Print a table."""
    print(f"{os.cpu_count()} cores, {ROWS} rows a thread\n| way | threads | median ms | p99 ms | max ms | rows/s |")
    print("|---|---|---|---|---|---|")
    for name, way in (("a transaction each", alone), ("as the catalogue does", together)):
        for threads in THREADS:
            with tempfile.TemporaryDirectory() as folder, server(Path(folder), *sys.argv[1:]) as address:
                register = Register(address or f"sqlite:///{Path(folder) / 'register.db'}")
                register.upgrade()
                found, rate = waits(way, register, threads)
                assert audit.first_break(register) is None
                register.close()
            p99 = statistics.quantiles(found, n=100)[98]
            row = f"{statistics.median(found):.2f} | {p99:.1f} | {max(found):.1f} | {rate:.0f}"
            print(f"| {name} | {threads} | {row} |", flush=True)


if __name__ == "__main__":
    main()
