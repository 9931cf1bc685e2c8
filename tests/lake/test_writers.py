"""Writers as real processes on one table: no row is lost, and who comes too late is told so.

Belongs here: competition. Does not belong here: what a single commit does (test_delta).
"""

import json
import subprocess
import sys
from pathlib import Path

from small_tables import put_query, read_rows

from pipelines.lake.delta import latest

STRATEGIES = ("append", "table")
WRITERS, ROUNDS = 3, 4
WRITER = """
import json, sys
from pathlib import Path
from pipelines.lake.delta import latest
from pipelines.lake.errors import StaleWrite
from tests.lake.small_tables import put_query

folder, name, rounds, strategies = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
stale, base = dict.fromkeys(strategies, 0), {strategy: latest(folder / strategy) for strategy in strategies}
print("ready", flush=True)
sys.stdin.readline()
for number in range(rounds):
    for strategy in strategies:
        table, query = folder / strategy, f"select {name} as writer, {number} as number"
        while True:
            try:
                base[strategy] = put_query(table, query, strategy, base[strategy])
                break
            except StaleWrite:
                stale[strategy], base[strategy] = stale[strategy] + 1, latest(table)
print(json.dumps(stale))
"""


def test_no_row_is_lost_among_processes(tmp_path: Path) -> None:
    for strategy in STRATEGIES:
        put_query(tmp_path / strategy, "select 0 as writer, 0 as number where false")
    stale = compete(tmp_path)
    wanted = [(writer, number) for writer in range(WRITERS) for number in range(ROUNDS)]
    versions = range(1, len(wanted) + 1)
    for strategy in STRATEGIES:
        assert sum(refused[strategy] for refused in stale) >= WRITERS - 1  # all start from version 0; one of them wins
        assert latest(tmp_path / strategy) == versions[-1]  # every write that was not refused is a version of its own
    assert read_rows(tmp_path / "append") == wanted
    assert sorted(row for version in versions for row in read_rows(tmp_path / "table", version)) == wanted


def compete(folder: Path) -> list[dict[str, int]]:
    """Let processes write at once, each retrying when refused; returns how often each was refused, by table."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(name), str(ROUNDS), *STRATEGIES],
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
        return [json.loads(writer.communicate(timeout=300)[0]) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
