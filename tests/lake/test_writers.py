"""Writers as real processes on one table: no row is lost, and who comes too late is told so.

Belongs here: competition. Does not belong here: what a single commit does (test_delta).
"""

import subprocess
import sys
from pathlib import Path

import pytest
from small_tables import put_query, read_rows

from pipelines.lake.delta import latest

WRITER = """
import sys
from pathlib import Path
from pipelines.lake.delta import latest
from pipelines.lake.errors import StaleWrite
from tests.lake.small_tables import put_query

table, name, strategy, rounds = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
stale, base = 0, latest(table)
print("ready", flush=True)
sys.stdin.readline()
for number in range(rounds):
    while True:
        try:
            base = put_query(table, f"select {name} as writer, {number} as number", strategy, base)
            break
        except StaleWrite:
            stale, base = stale + 1, latest(table)
print(stale)
"""
WRITERS, ROUNDS = 3, 5


@pytest.mark.parametrize("strategy", ["append", "table"])
def test_no_row_is_lost_among_processes(tmp_path: Path, strategy: str) -> None:
    table = tmp_path / "t"
    put_query(table, "select 0 as writer, 0 as number where false")
    stale = compete(table, strategy)
    assert sum(stale) >= WRITERS - 1  # all start from version 0; one of them wins
    versions = range(1, WRITERS * ROUNDS + 1)
    assert latest(table) == versions[-1]  # every write that was not refused is a version of its own
    wanted = [(writer, number) for writer in range(WRITERS) for number in range(ROUNDS)]
    if strategy == "append":
        assert read_rows(table) == wanted
    else:
        assert sorted(row for version in versions for row in read_rows(table, version)) == wanted


def compete(table: Path, strategy: str) -> list[int]:
    """Let processes write at once, each retrying when refused; returns how often each was refused."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(table), str(name), strategy, str(ROUNDS)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in range(WRITERS)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        return [int(writer.communicate(timeout=60)[0]) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
