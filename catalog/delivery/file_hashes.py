"""SHA-256 of files that are given as they are, each read once for it: released files and those of views never change.

Files that are made to be downloaded have theirs beside them (`downloads`).
"""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from catalog.delivery.folders import Folders
from pipelines.lake.parquet import sha256

MOST = 4096
_Mark = tuple[str, int, int]


class FileHashes:
    """What was read last is remembered as long as size and time of the file are the same. A file is read by one at a
    time, in a place for expensive work. Safe in many threads."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._known: OrderedDict[_Mark, str] = OrderedDict()
        self._lock = Lock()

    def get(self, file: Path, rows: int) -> str:
        """In hexadecimal; `rows`: how many the file has. Raises OSError, Busy."""
        about = file.stat()
        mark = (str(file), about.st_size, about.st_mtime_ns)
        if (found := self._found(mark)) is not None:
            return found
        with self._folders.alone(file):
            if (found := self._found(mark)) is not None:
                return found
            with self._folders.work.place(rows):
                made = sha256(file)
            with self._lock:
                self._known[mark] = made
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
        return made

    def _found(self, mark: _Mark) -> str | None:
        with self._lock:
            if (found := self._known.get(mark)) is not None:
                self._known.move_to_end(mark)
            return found
