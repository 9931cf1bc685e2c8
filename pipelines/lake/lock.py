"""One run at a time per home: a file lock that a killed run gives back by itself.

Belongs here: the lock. Does not belong here: what a run does, or what it cleans up at start.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pipelines.lake.errors import RunLocked

LOOK_SECONDS = 0.5
"""Between two attempts of a patient run."""


@contextmanager
def run_lock(home: Path, purpose: str, patience: float = 0) -> Iterator[None]:
    """Hold the run lock of `home`. Raises RunLocked, naming its holder, start time (UTC), purpose, when another run
    holds it still after `patience` seconds.

    The kernel releases it when the process ends in whatever way; the file itself stays. A second lock in the same
    process is refused too.
    """
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "run.lock", "a+", encoding="utf-8") as file:
        deadline = time.monotonic() + patience
        while not _taken(file):
            if time.monotonic() >= deadline:
                raise RunLocked("lake.run_locked", **_holder(home / "run.lock"))
            time.sleep(LOOK_SECONDS)
        file.truncate(0)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"pid": os.getpid(), "started": started, "purpose": purpose}, ensure_ascii=False))
        file.flush()
        yield


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> dict[str, str]:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # its holder has the lock but has not written yet
        holder = {}
    return {"file": str(path), **{name: str(holder.get(name, "?")) for name in ("pid", "started", "purpose")}}
