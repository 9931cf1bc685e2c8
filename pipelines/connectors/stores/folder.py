"""A folder of this machine, mounted or local: `file:///folder`."""

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from pipelines.connectors.stores.base import Store, StoredFile
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError


class Folder(Store):
    """Links are no files: whoever may drop files could name any file of this machine by one."""

    certain = True

    def __init__(self, address: str, connection: str, owner: str) -> None:
        super().__init__(address, connection, owner)
        self.path = Path(unquote(self.parts.path))
        if not self.path.is_dir():
            raise CitylakeError("pull.no_folder", connection=connection)

    def entries(self) -> list[StoredFile]:
        """Raises CitylakeError for a name that is no text."""
        with os.scandir(self.path) as found:
            files = [entry for entry in found if entry.is_file(follow_symlinks=False)]
        return [self._entry(entry.name, entry.stat(follow_symlinks=False)) for entry in files]

    def _entry(self, name: str, status: os.stat_result) -> StoredFile:
        raw, now = os.fsencode(name), time.time()
        if raw.decode(errors="replace") != name:
            raise CitylakeError("pull.file_name", folder=self.path.name, file=raw.decode("gb18030", "replace"))
        # A copy may keep a time that another machine's clock made, even one of the future.
        changed = status.st_mtime if status.st_mtime <= now else status.st_ctime
        looks = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
        return StoredFile(name, status.st_size, status.st_mtime, now - changed, looks)

    def fetch(self, file: StoredFile, target: Path) -> None:
        handle = os.open(self.path / file.name, os.O_RDONLY | os.O_NOFOLLOW)
        with open(handle, "rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)

    def changed(self, marks: Mapping[str, str]) -> str | None:
        return next((name for name, mark in marks.items() if sha256(self.path / name) != mark), None)
