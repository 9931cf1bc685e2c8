"""A folder of this machine, mounted or local. No link in it is followed: whoever may write there could lead us to any
file of this machine by one. Nor is anything opened that is no plain file: a pipe would keep us waiting for ever."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL
from pathlib import Path
from typing import BinaryIO, Literal

from catalog.delivery.files.outboxes.base import CHUNK, PART, Outbox
from pipelines.connectors.stores.folder import Folder

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_DIRECTORY


class FolderOutbox(Outbox):
    """Everything is on the disk before it appears."""

    def __init__(self, store: Folder, folder: str) -> None:
        super().__init__(store, folder)
        self.base = store.path

    def names(self) -> list[str]:
        with self.told(), self._opened() as at:
            return sorted(os.listdir(at)) if at is not None else []

    def sizes(self, package: str) -> dict[str, int]:
        with self.told(), self._opened(package) as at:
            if at is None:
                return {}
            found = {name: os.stat(name, dir_fd=at, follow_symlinks=False) for name in os.listdir(at)}
            return {name: one.st_size for name, one in found.items() if stat.S_ISREG(one.st_mode)}

    def put(self, name: str, source: Path) -> None:
        package, _, own = name.rpartition("/")
        with self.told(), self._made(package) as at, source.open("rb") as stream, _written(own, at) as copy:
            shutil.copyfileobj(stream, copy, CHUNK)

    def put_text(self, name: str, text: str) -> None:
        with self.told(), self._made() as at:
            with _written(name + PART, at) as copy:
                copy.write(text.encode())
            os.replace(name + PART, name, src_dir_fd=at, dst_dir_fd=at)
            os.fsync(at)

    def read(self, name: str) -> Iterator[bytes]:
        package, _, own = name.rpartition("/")
        with self.told(), self._opened(package) as at:
            if at is None:
                raise FileNotFoundError
            with _plain(own, _READ, at, "rb") as stream:
                while piece := stream.read(CHUNK):
                    yield piece

    def show(self, package: str) -> None:
        hidden = self.hidden(package)
        with self.told(), self._made(hidden) as inside, self._made() as at:
            os.fsync(inside)
            os.rename(hidden, package, src_dir_fd=at, dst_dir_fd=at)
            os.fsync(at)

    def remove(self, name: str) -> None:
        package, _, own = name.rpartition("/")
        with self.told(), self._opened(package) as at:
            if at is None:
                return
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(os.stat(own, dir_fd=at, follow_symlinks=False).st_mode):
                    shutil.rmtree(own, dir_fd=at)
                else:
                    os.unlink(own, dir_fd=at)

    @contextmanager
    def _opened(self, package: str = "", make: bool = False) -> Iterator[int | None]:
        """A handle of the folder or of a package in it, None if it is not there."""
        at = os.open(self.base, _FOLDER)
        try:
            for part in filter(None, (*self.folder.split("/"), package)):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=at)
                try:
                    deeper = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
                except FileNotFoundError:
                    yield None
                    return
                os.close(at)
                at = deeper
            yield at
        finally:
            os.close(at)

    @contextmanager
    def _made(self, package: str = "") -> Iterator[int]:
        """The same, made if it is not there."""
        with self._opened(package, make=True) as at:
            if at is None:
                raise FileNotFoundError
            yield at


def _plain(name: str, flags: int, at: int, mode: Literal["rb", "wb"]) -> BinaryIO:
    """A file, opened. Raises OSError if it is none."""
    handle = os.open(name, flags, 0o644, dir_fd=at)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(EINVAL, "no plain file")
    return open(handle, mode)


@contextmanager
def _written(name: str, at: int) -> Iterator[BinaryIO]:
    """A file to write, on the disk at the end."""
    with _plain(name, _WRITE, at, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
