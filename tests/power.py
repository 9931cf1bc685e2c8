"""Power that does not fail: quick tests do not wait until the disk has what is written, half their time was that wait.

Belongs here: what waits for the disk, how it is told not to, and how it is watched. What a killed process leaves is the
same with it and without it. Does not belong here: tests. The slow suite keeps the waits, whose order its killed
processes go through.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.register import store
from simulator import server

configure_durably = store._configure_sqlite
"""How the register's connections are configured where power may fail."""


def _see(file: Any) -> None:
    """Not flushed; a file that is not open is an error as ever."""
    os.fstat(file if isinstance(file, int) else file.fileno())


def _configure(connection: Any, record: object) -> None:
    configure_durably(connection, record)
    connection.execute("PRAGMA synchronous = OFF")


def without_waits() -> Iterator[None]:
    """Files, the register in SQLite, and every PostgreSQL that is made from now on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _see)
        patch.setattr(store, "_configure_sqlite", _configure)
        patch.setattr(server, "_CONFIGURATION", f"{server._CONFIGURATION}fsync = off\nfull_page_writes = off\n")
        yield


def flushed(patch: pytest.MonkeyPatch) -> list[Path]:
    """The files and folders that are flushed to the disk from now on, in order."""
    found: list[Path] = []

    def flush(handle: int) -> None:
        found.append(Path(f"/proc/self/fd/{handle}").readlink())

    patch.setattr(os, "fsync", flush)
    return found
