"""Heads that leave the house: each signed head becomes a file of its own in a folder outside the system.

The folder is a share of another office, written once and best not changeable from here. Belongs here: writing there,
and noticing that what lies there is not what is signed here. Making heads belongs to `register.heads`, time stamps to
`stamps`.
"""

import json
import os
from pathlib import Path

import sqlalchemy as sa

from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.heads import Head, listed


def leave(register: Register, folder: Path, home: Path, of: sa.Table) -> int:
    """Write every head of a chain that is not there yet; how many these were.

    What is there is compared, never written again: a head that differs was signed anew since it left. Raises
    CitylakeError for that, for a folder that cannot be written, and for one in the home, from which nothing has left.
    """
    if folder.resolve().is_relative_to(home.resolve()):
        raise CitylakeError("away.in_the_home", folder=folder)
    written = 0
    try:
        there = {file.name for file in folder.iterdir()}
        known = {name_of(of, head): head for head in listed(register, of)}
        for name, head in known.items():
            if name in there:
                _same(folder / name, head)
            else:
                _write(folder / name, head)
                written += 1
    except OSError as error:
        raise CitylakeError("away.folder", folder=folder, problem=error.strerror) from error
    lost = sorted(name for name in there - known.keys() if name.startswith(f"{of.name}-") and name.endswith(".jsonl"))
    if lost:
        raise CitylakeError("away.differs", file=folder / lost[0])
    return written


def name_of(of: sa.Table, head: Head) -> str:
    """The file of a head: all of a chain, one after the other, are what `check.py --heads` reads."""
    return f"{of.name}-{head.sequence:08}.jsonl"


def _same(file: Path, head: Head) -> None:
    """Raises CitylakeError unless a file holds this head; a time stamp may have come since it left."""
    try:
        left = json.loads(file.read_text("utf-8"))
        said = left["statement"], left["signature"]
    except (ValueError, KeyError, TypeError) as error:
        raise CitylakeError("away.differs", file=file) from error
    if said != (head.statement, head.signature):
        raise CitylakeError("away.differs", file=file)


def _write(file: Path, head: Head) -> None:
    """The whole head or no file of its name, even if the machine stops."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as out:
        out.write(f"{head.line()}\n")
        out.flush()
        os.fsync(out.fileno())
    os.replace(partial, file)
