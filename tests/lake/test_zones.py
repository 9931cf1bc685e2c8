"""Paths of the zones, the names allowed in them, and the run lock."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.lake.errors import BadName, RunLocked
from pipelines.lake.lock import run_lock
from pipelines.lake.zones import Lake, library_of, schema_of

HOLD = """
import sys
from pathlib import Path
from pipelines.lake.lock import run_lock
with run_lock(Path(sys.argv[1]), "日更"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_paths_follow_the_house(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    found = [
        lake.raw("psb", "household_person"), lake.core("psb", "household_person"), lake.quarantine("psb", "x"),
        lake.candidate("2026-11-23.1", "gov_service", "mart_gov_service__case_day"),
        lake.released("population", "lib_population__person"), lake.product("open", "population__age"), lake.scratch(),
    ]  # fmt: skip
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "raw/psb/household_person", "core/psb/household_person", "quarantine/psb/x",
        "candidate/2026-11-23.1/gov_service/mart_gov_service__case_day",
        "released/population/lib_population__person", "released/products/open/population__age", "scratch",
    ]  # fmt: skip
    assert (library_of("mart_gov_service__case_day"), schema_of("mart_gov_service__case_day")) == (
        "gov_service",
        "mart",
    )


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "人口", "a b", "a__b", "_a", "a'", "a\n"])
def test_names_that_are_no_path_are_refused(tmp_path: Path, name: str) -> None:
    for zone in (Lake(tmp_path).core, Lake(tmp_path).raw, Lake(tmp_path).quarantine):
        with pytest.raises(BadName):
            zone("psb", name)
    with pytest.raises(BadName):
        library_of(name)
    with pytest.raises(BadName):
        Lake(tmp_path).candidate("../x", "population", "lib_population__person")
    with pytest.raises(BadName):
        Lake(tmp_path).released("products", "lib_population__person")


def test_roots_duckdb_would_take_for_patterns_are_refused(tmp_path: Path) -> None:
    for root in (tmp_path / "a*", tmp_path / "[a]", Path("relative")):
        with pytest.raises(BadName):
            Lake(root)


def test_private_zones_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Lake(tmp_path / "lake").prepare()
    finally:
        os.umask(before)
    for zone in ("raw", "quarantine", "core", "candidate", "scratch"):
        assert stat.S_IMODE((tmp_path / "lake" / zone).stat().st_mode) == 0o700


def test_a_second_run_is_refused_by_name_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    told = re.compile(rf"进程 {holder.pid}，始于 \d{{4}}-.*，日更")
    with pytest.raises(RunLocked, match=told), run_lock(tmp_path, "second"):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with (
        run_lock(tmp_path, "third"),
        pytest.raises(RunLocked, match=f"pid {os.getpid()}"),
        run_lock(tmp_path, "fourth"),
    ):
        pass
