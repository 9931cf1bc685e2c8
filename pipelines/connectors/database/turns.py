"""Turns at a server that stands only so many sessions: who has none waits, here and in other processes of the account.

Belongs here: taking and giving back a turn. How many there are is said in city.yaml; that one pull is one session is
for the ways in to keep.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.connectors.database import patience
from pipelines.messages import CitylakeError

LOOK_SECONDS = 0.2
"""Between two attempts."""


@contextmanager
def turn(connection: str, sessions: int | None, owner: str) -> Iterator[None]:
    """Hold one of `sessions` turns of a connection. The kernel gives it back when the process ends in whatever way.

    Raises CitylakeError if none is free after `patience.LOCK` seconds.
    """
    if sessions is None:
        yield
        return
    deadline = time.monotonic() + patience.LOCK
    while (file := _taken(connection, sessions)) is None:
        if time.monotonic() >= deadline:
            raise CitylakeError("pull.busy", connection=connection, sessions=sessions, owner=owner)
        time.sleep(LOOK_SECONDS)
    with file:
        yield


def _taken(connection: str, sessions: int) -> IO[str] | None:
    """The locked file of a free turn."""
    for number in range(sessions):
        file = open(_folder() / f"{connection}.{number}", "w", encoding="utf-8")  # noqa: SIM115  # closing it gives back
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
        else:
            return file
    return None


def _folder() -> Path:
    """Where the turns of this account lie: the same for all homes, for a server knows no homes."""
    folder = Path(tempfile.gettempdir()) / f"citylake-turns-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if folder.is_symlink() or about.st_uid != os.getuid():
        raise CitylakeError("pull.turns", folder=folder)
    return folder
