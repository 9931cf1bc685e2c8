"""A workbook is opened in a process of its own first: its reader makes room for every cell up to the farthest one, and
one stray cell at the end of a sheet, or one damaged byte, ends the process that asked for so much memory.
"""

import subprocess
import sys

from pipelines.connectors.formats.table import LocalFile

ROOM = 4_000_000_000
"""Bytes of address space that a workbook may take."""
PATIENCE = 600.0
"""Seconds that reading it may take."""

_READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from python_calamine import CalamineError, CalamineWorkbook
try:
    with open(sys.argv[1], "rb") as stream:
        book = CalamineWorkbook.from_filelike(stream)
    for name in book.sheet_names:
        for _ in book.get_sheet_by_name(name).iter_rows():
            pass
except CalamineError:
    pass  # said better where it is read in earnest
"""


def check_readable(file: LocalFile) -> None:
    """Raises CitylakeError for a workbook whose reading ends the process, or takes too much of anything."""
    command = [sys.executable, "-I", "-c", _READ, str(file.path), str(ROOM)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise file.error("format.unreadable", format="workbook", problem="TimeoutExpired") from None
    if done.returncode:
        raise file.error("format.unreadable", format="workbook", problem=f"exit {done.returncode}")
