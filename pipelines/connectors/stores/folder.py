"""A folder of this machine, mounted or local: `file:///folder`."""

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
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
        files = []
        with os.scandir(self.path) as found:
            for entry in found:
                with suppress(FileNotFoundError):  # whoever writes here may rename what was listed
                    if entry.is_file(follow_symlinks=False):
                        files.append(_entry(entry.name, entry.stat(follow_symlinks=False)))
        return files

    def fetch(self, file: StoredFile, target: Path) -> None:
        handle = os.open(self.path / file.name, os.O_RDONLY | os.O_NOFOLLOW)
        with open(handle, "rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)

    def changed(self, marks: Mapping[str, str]) -> str | None:
        return next((name for name, mark in marks.items() if sha256(self.path / name) != mark), None)


def _entry(name: str, status: os.stat_result) -> StoredFile:
    now = time.time()
    # A copy may keep a time that another machine's clock made, even one of the future.
    changed = status.st_mtime if status.st_mtime <= now else status.st_ctime
    looks = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"
    return StoredFile(name, status.st_size, status.st_mtime, now - changed, looks)
