"""The files in folders of backups, those inside archives among them: what each is called, and its bytes.

Archives are known by their first bytes and read as streams, a member at a time, so that one of any size takes no
memory; one inside another is copied first if it is a zip. Does not belong here: what a file is to an order (`copies`).
"""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from pipelines.messages import CitylakeError

DEEPEST = 4
"""Archives in archives that are opened."""
HEAD = 512
ENCRYPTED = 1
"""The flag of a member of a zip."""
PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
CLOSED = (
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"\x04\x22\x4d\x18",  # lz4
    b"hsqs",  # squashfs
    b"QFI\xfb",  # qcow2
    b"KDMV",  # vmdk
    b"vhdxfile",
    b"PGDMP",
    b"Salted__",
    b"age-encryption.org",
    b"-----BEGIN PGP",
    b"LUKS\xba\xbe",
)
"""How files begin that hold others, or databases, and that nothing here opens."""
IMAGES = {".img", ".iso", ".raw", ".dd", ".vhd", ".dmg", ".gpg", ".pgp", ".enc"}
"""Endings of such files that do not begin in a way of their own."""
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class Item:
    """A file of a backup.

    `path`: how messages call it, `below`: its path in the folder of backups, the names of archives among it.
    `modified`: when it was written as far as it says so. `closed`: it may hold files, and nothing here opens it.
    `file`: where it lies, unless it is in an archive; then `stream` gives its bytes, once.
    """

    path: Path
    below: PurePath
    modified: float | None
    stream: IO[bytes] | None = field(default=None, repr=False)
    file: Path | None = None
    closed: bool = False

    def sha256(self) -> str:
        """The hash of its bytes."""
        with self._bytes() as stream:
            return hashlib.file_digest(cast("Any", stream), "sha256").hexdigest()

    def copy(self, target: Path) -> Path:
        """Its bytes in a file of ours."""
        with self._bytes() as stream, target.open("wb") as out:
            shutil.copyfileobj(stream, out)
        return target

    def _bytes(self) -> IO[bytes]:
        if self.file is not None:
            return self.file.open("rb")
        assert self.stream is not None
        return self.stream


def items(folder: Path, scratch: Path, whole: Callable[[PurePath], bool]) -> Iterator[Iterator[Item]]:
    """By file of a folder of backups: itself, or what is in it if it is an archive. `whole`: which paths in it are
    files of their own, whatever is in them.

    Raises CitylakeError for a folder that is not there, and for a file that cannot be read.
    """
    if not folder.is_dir():
        raise CitylakeError("erase.no_backup_folder", folder=folder)
    for file in _files(folder):
        yield _of_file(file, file.relative_to(folder), scratch, whole)


def _files(folder: Path) -> Iterator[Path]:
    try:
        for parent, folders, names in os.walk(folder, onerror=_raise):
            folders.sort()
            yield from (file for name in sorted(names) if (file := Path(parent, name)).is_file())
    except OSError as error:
        raise _unread(Path(error.filename or folder), error) from error


def _raise(error: OSError) -> None:
    raise error


def _unread(file: Path, error: Exception) -> CitylakeError:
    told = error.strerror if isinstance(error, OSError) else str(error)
    return CitylakeError("erase.backup_unread", file=file, problem=told or type(error).__name__)


def _of_file(file: Path, below: PurePath, scratch: Path, whole: Callable[[PurePath], bool]) -> Iterator[Item]:
    try:
        item = Item(file, below, file.stat().st_mtime, file=file)
        if whole(below):
            yield item
            return
        with file.open("rb") as stream:
            yield from _opened(item, stream, scratch, whole, DEEPEST)
    except (OSError, *DAMAGED) as error:
        raise _unread(file, error) from error


def _opened(item: Item, stream: Any, scratch: Path, whole: Callable[[PurePath], bool], deep: int) -> Iterator[Item]:
    """An item, or what is in it. `stream`: its bytes; `deep`: how many archives may still be opened."""
    head = stream.peek(HEAD)[:HEAD]
    unpack = next((made for mark, made in PACKED.items() if head.startswith(mark)), None)
    holds = unpack is not None or head.startswith(ZIPS) or _is_tar(head)
    if whole(item.below) and item.file is None:
        yield item
    elif head.startswith(CLOSED) or item.path.suffix.lower() in IMAGES or (holds and not deep):
        yield Item(item.path, item.below, item.modified, closed=True)
    elif unpack is not None:
        name = item.path.stem if item.path.suffix.lower() in {".gz", ".bz2", ".xz"} else item.path.name
        inner = Item(item.path / name, item.below / name, item.modified, unpack(stream))
        yield from _opened(inner, inner.stream, scratch, whole, deep - 1)
    elif head.startswith(ZIPS):
        yield from _of_zip(item, scratch, whole, deep - 1)
    elif _is_tar(head):
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None:
                    name = member.name.lstrip("/")
                    one = Item(item.path / name, item.below / name, member.mtime, content)
                    yield from _opened(one, content, scratch, whole, deep - 1)
    else:
        yield item


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _of_zip(item: Item, scratch: Path, whole: Callable[[PurePath], bool], deep: int) -> Iterator[Item]:
    """What is in a zip, whose directory stands at its end."""
    with (
        TemporaryDirectory(dir=scratch) as place,
        zipfile.ZipFile(item.file or item.copy(Path(place, "zip"))) as archive,
    ):
        for member in archive.infolist():
            name = member.filename.lstrip("/")
            path, below = item.path / name, item.below / name
            if member.flag_bits & ENCRYPTED:
                yield Item(path, below, None, closed=True)
            elif not member.is_dir():
                with archive.open(member) as content:
                    yield from _opened(Item(path, below, None, content), content, scratch, whole, deep)
