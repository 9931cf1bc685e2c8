"""A folder behind SFTP. What a server cannot do (flush to its disk, rename over a file) is asked for where it can."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import paramiko

from catalog.delivery.files.outboxes.base import CHUNK, PART, Outbox
from pipelines.connectors.stores.base import StoreError
from pipelines.connectors.stores.sftp import Sftp


class SftpOutbox(Outbox):
    """Sizes are told by the server after each file."""

    def __init__(self, store: Sftp, folder: str) -> None:
        super().__init__(store, folder)
        self.session, self.base, self._there = store.session, store.path, set[str]()

    def names(self) -> list[str]:
        with self.told():
            return sorted(one.filename for one in self._listed(""))

    def sizes(self, package: str) -> dict[str, int]:
        with self.told():
            listed = self._listed(package)
        return {one.filename: int(one.st_size or 0) for one in listed if stat.S_ISREG(one.st_mode or stat.S_IFREG)}

    def put(self, name: str, source: Path) -> None:
        with self.told(), source.open("rb") as stream:
            self._make(name.rpartition("/")[0])
            self.session.putfo(stream, self._path(name))

    def put_text(self, name: str, text: str) -> None:
        part, whole = self._path(name + PART), self._path(name)
        with self.told():
            self._make("")
            self.session.putfo(BytesIO(text.encode()), part)
            try:
                self.session.posix_rename(part, whole)
            except OSError:  # an extension that not every server has
                with suppress(FileNotFoundError):
                    self.session.remove(whole)
                self.session.rename(part, whole)

    def read(self, name: str) -> Iterator[bytes]:
        with self.told(), self.session.open(self._path(name), "rb") as stream:
            stream.prefetch(stream.stat().st_size, 64)
            while piece := stream.read(CHUNK):
                yield piece

    def show(self, package: str) -> None:
        with self.told():
            self.session.rename(self._path(self.hidden(package)), self._path(package))

    def remove(self, name: str) -> None:
        with self.told():
            self._remove(self._path(name))

    def text(self, name: str) -> str | None:
        with self.told(), suppress(FileNotFoundError):  # before it is read: all of it would be asked for at once
            found = self.session.stat(self._path(name))
            if not stat.S_ISREG(found.st_mode or stat.S_IFREG) or (found.st_size or 0) > CHUNK:
                return None
        return super().text(name)

    def _remove(self, path: str) -> None:
        """A file, a link, or a folder with all in it; what a link leads to stays."""
        self._there.discard(path)
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(self.session.lstat(path).st_mode or 0):
                self.session.remove(path)
                return
            for one in self.session.listdir(path):
                self._remove(f"{path}/{one}")
            self.session.rmdir(path)

    def _path(self, name: str) -> str:
        return "/".join(part for part in (self.base, self.folder, name) if part)

    def _listed(self, package: str) -> list[paramiko.SFTPAttributes]:
        try:
            listed: list[paramiko.SFTPAttributes] = self.session.listdir_attr(self._path(package))
        except FileNotFoundError:
            return []
        return listed

    def _make(self, package: str) -> None:
        path = self.base
        for part in filter(None, (*self.folder.split("/"), package)):
            path = f"{path}/{part}"
            if path not in self._there:
                with suppress(OSError):  # it is there; if it could not be made, writing into it tells
                    self.session.mkdir(path)
                self._there.add(path)

    @contextmanager
    def told(self) -> Iterator[None]:
        with super().told():
            try:
                yield
            except paramiko.SSHException as error:
                raise StoreError(type(error).__name__) from None
