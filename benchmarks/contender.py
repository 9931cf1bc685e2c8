"""One contender at work: what it took, printed. Runs in any environment, a peer's too: the standard library only.

Comparing contenders does not belong here.
"""

import json
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Contender = Callable[[str, Path], int]
"""Does the work once, in an empty folder; the text says where the data is. Returns how many rows or bytes came out."""

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


def _used() -> float:
    """CPU seconds of this process; imports before the call do not count for any contender."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
