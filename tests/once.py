"""What takes long to make and is made once a session, by whichever process needs it first, and then copied.

Belongs here: the turn of the processes, and copies of a demo city. Does not belong here: what is made.
"""

import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` that all processes of the session share; `make` fills it, or it is not there."""
    together = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    kept = together / name
    with (together / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            make(together / f"new {name}")
            (together / f"new {name}").rename(kept)
    return kept


def copy_city(kept: Path, folder: Path) -> None:
    """A folder of a stopped demo city, and what lies beside it, in another. The servers of a copy take free ports of
    their own: with those of the first one copy would get another's, whose server is down for a moment, and be read by
    its runs."""
    subprocess.run(["cp", "-a", *map(str, kept.iterdir()), str(folder)], check=True)
    for notes in (folder / "city").glob("*.json"):
        said = json.loads(notes.read_text("utf-8"))
        if "port" in said:
            notes.write_text(json.dumps(said | {"port": 0}), "utf-8")
