"""Connections of the engine go by UTC wherever the machine stands, their cursors too."""

import os
import subprocess
import sys
from pathlib import Path

ASKED = """
import sys
from pathlib import Path
from pipelines.engine import connect
con = connect(Path(sys.argv[1]))
for one in (con, con.cursor()):
    print(*one.execute("SELECT CAST(TIMESTAMPTZ '2026-01-01 00:00:00+00' AS VARCHAR)").fetchone())
"""


def test_a_cursor_goes_by_utc_too(tmp_path: Path) -> None:
    there = {**os.environ, "TZ": "Asia/Shanghai"}
    asked = [sys.executable, "-c", ASKED, str(tmp_path)]
    said = subprocess.run(asked, env=there, check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == ["2026-01-01 00:00:00+00"] * 2
