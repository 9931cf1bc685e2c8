"""Backups that still hold a person, or may: files from before an order, in the folders of backups that are configured.

Copies of the home are found (rsync, hard links, mounted snapshots); archives and images are not opened, links to
folders are not followed, and nothing in a backup is changed. Clean is only what is known to be: the receipt says what
the order rewrote, the lake of now was searched, and a file that neither knows may have been merged with others since.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.lake.cleanup import VIEWS
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError
from pipelines.register.times import as_utc
from pipelines.release.ledger import ERASURE, Recorded
from pipelines.settings import Settings

REGISTER = "register.db"
WRITTEN_AHEAD = "-wal"
"""What SQLite has written and not put in its place yet lies beside the register, in a file of this ending."""
REMADE = {"marts", VIEWS}
"""Folders of what was made of rows: an order deletes all of it, and its receipt does not name the files."""
ZONES = {"raw", "core", "quarantine", "linkage", "matched", "released", "candidate", "hashes", "corrections", "spool"}


@dataclass
class Copies:
    """Files of backups: those that are as before an order, and those from before it of which nobody knows."""

    held: list[Path] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)


def copies(settings: Settings, order: Recorded) -> Copies:
    """What the backups hold from before an order, which is told by its receipt.

    Raises CitylakeError without any folder, and for a folder or file that is not there or cannot be read: nobody may be
    told that it holds nothing.
    """
    if not settings.backups:
        raise CitylakeError("erase.no_backups", order=order.subject)
    look, found = _Look(settings, order), Copies()
    for folder in settings.backups:
        try:
            for file in _files(folder):
                look.at(file, file.relative_to(folder), found)
        except OSError as error:
            problem = error.strerror or type(error).__name__
            raise CitylakeError("erase.backup_unread", file=error.filename or folder, problem=problem) from error
    return found


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise CitylakeError("erase.no_backup_folder", folder=folder)
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        yield from (file for name in sorted(names) if (file := Path(parent, name)).is_file())


def _raise(error: OSError) -> None:
    raise error


class _Look:
    """Telling what single files are to one order."""

    def __init__(self, settings: Settings, order: Recorded) -> None:
        self.lake, self.order = settings.lake, order.subject
        self.at_order = as_utc(order.at).timestamp()
        self.before: dict[str, set[str]] = {}
        self.since: dict[str, set[str]] = {}
        for name, (old, new) in order.body["files"].items():
            self.before.setdefault(Path(name).name, set()).add(old["sha256"])
            if new is not None:
                self.since.setdefault(Path(name).name, set()).add(new["sha256"])
        self.digests: dict[tuple[int, int], str] = {}

    def at(self, file: Path, below: Path, found: Copies) -> None:
        """Put a file where it belongs, if it is not clean. `below`: its path in the folder of backups."""
        older = file.stat().st_mtime < self.at_order
        if file.name == REGISTER:
            if not self._has_receipt(file):
                found.held.append(file)
        elif (file.name in self.before and self._digest(file) in self.before[file.name]) or (
            older and (REMADE & {*below.parts[:-1]} or file.name == REGISTER + WRITTEN_AHEAD)
        ):
            found.held.append(file)
        elif older and self._is_unknown(file, below):
            found.unknown.append(file)

    def _is_unknown(self, file: Path, below: Path) -> bool:
        """Whether a file of the lake is neither what the order left nor what the lake has now in its place."""
        zone = next((place for place, part in enumerate(below.parts[:-1]) if part in ZONES), None)
        if zone is None or self._digest(file) in self.since.get(file.name, ()):
            return False
        ours = self.lake.root.joinpath(*below.parts[zone:])
        return not ours.is_file() or self._digest(ours) != self._digest(file)

    def _digest(self, file: Path) -> str:
        """The hash of a file; backups of many days are often one file under many names, which is read once."""
        about = file.stat()
        one = (about.st_dev, about.st_ino)
        if one not in self.digests:
            self.digests[one] = sha256(file)
        return self.digests[one]

    def _has_receipt(self, register: Path) -> bool:
        """Whether a register says of the order that it is done; an empty file holds nobody. Read in a copy: SQLite
        writes beside what it opens."""
        if register.stat().st_size == 0:
            return True
        with TemporaryDirectory(dir=self.lake.scratch()) as place:
            own = Path(place, REGISTER)
            shutil.copyfile(register, own)
            ahead = register.with_name(REGISTER + WRITTEN_AHEAD)
            if ahead.is_file():
                shutil.copyfile(ahead, own.with_name(ahead.name))
            try:
                with closing(sqlite3.connect(own)) as con:
                    asked = "SELECT 1 FROM ledger WHERE kind = ? AND subject = ?"
                    return con.execute(asked, (ERASURE, self.order)).fetchone() is not None
            except sqlite3.DatabaseError:
                return False
