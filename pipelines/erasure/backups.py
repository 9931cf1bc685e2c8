"""The files in folders of backups, those inside archives among them: what each is called, and its bytes.

Archives are known by their first bytes and read as streams, a member at a time, so that one of any size takes no
memory; one inside another is copied first if it is a zip. Does not belong here: what a file is to an order (`copies`).
"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import IO, Any, Self, cast

from pipelines.messages import CitylakeError

DEEPEST = 4
"""Archives in archives that are opened."""
HEAD = 512
CHUNK = 1 << 20
ENCRYPTED = 1
"""The flag of a member of a zip."""
PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"BZh": lambda packed: io.BufferedReader(_Streams(packed, bz2.BZ2Decompressor, b"")),
    b"\xfd7zXZ\x00": lambda packed: io.BufferedReader(
        _Streams(packed, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), b"\0")
    ),
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
    b"--\n-- PostgreSQL database dump",
    b"BORG_SEG",
    b"070701",  # cpio
    b"070707",
    b"Salted__",
    b"age-encryption.org",
    b"-----BEGIN PGP",
    b"LUKS\xba\xbe",
)
"""How files begin that hold others, or databases, and that nothing here opens."""
IMAGES = {".img", ".iso", ".raw", ".dd", ".vhd", ".dmg", ".gpg", ".pgp", ".enc"}
"""Endings of such files that do not begin in a way of their own."""
CONTINUED = b"M"
"""The type of a member that began in another archive: of several volumes, each tells of a part only."""
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class Item:
    """A file of a backup.

    `path`: how messages call it, `below`: its path in the folder of backups, the names of archives among it.
    `modified`: when it was written as far as it says so. `closed`: it may hold files, and nothing here opens it.
    `head`: its first bytes, unless it is of the home whatever it holds.
    `file`: where it lies, unless it is in an archive; then `stream` gives its bytes, once.
    """

    path: Path
    below: PurePath
    modified: float | None
    stream: IO[bytes] | None = field(default=None, repr=False)
    file: Path | None = None
    closed: bool = False
    head: bytes = field(default=b"", repr=False)

    def sha256(self) -> str:
        """The hash of its bytes."""
        with self._bytes() as stream:
            return hashlib.file_digest(cast("Any", stream), "sha256").hexdigest()

    def copy(self, target: Path) -> Path:
        """Its bytes in a file of ours."""
        with self._bytes() as stream, target.open("wb") as out:
            shutil.copyfileobj(stream, out)
        return target

    @contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        try:
            source = self.file.open("rb") if self.file is not None else self.stream
            assert source is not None
            with source:
                yield source
        except (OSError, *DAMAGED) as error:
            raise _unread(self.path, error) from error


def items(
    folder: Path, scratch: Path, whole: Callable[[PurePath], bool], folders: Collection[Path]
) -> Iterator[Iterator[Item]]:
    """By file of a folder of backups: itself, or what is in it if it is an archive. `whole`: which paths in it are
    files of their own, whatever is in them. `folders`: all that are looked at; links to others, and those that lead
    nowhere, are closed.

    Raises CitylakeError for a folder that is not there, and for a file that cannot be read.
    """
    if not folder.is_dir():
        raise CitylakeError("erase.no_backup_folder", folder=folder)
    known = [one.resolve() for one in folders]
    for file in _files(folder):
        below = file.relative_to(folder)
        if file.is_file():
            yield _of_file(file, below, scratch, whole)
        elif not any(Path(os.path.realpath(file)).is_relative_to(one) for one in known):
            yield iter([Item(file, below, None, closed=True)])


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder, and the links to folders or to nothing."""
    try:
        for parent, folders, names in os.walk(folder, onerror=_raise):
            folders.sort()
            found = (Path(parent, name) for name in sorted([*folders, *names]))
            yield from (one for one in found if one.is_symlink() or one.is_file())
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
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                if member.type == CONTINUED:
                    raise CitylakeError("erase.backup_volume", file=item.path, member=member.name)
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None:
                    name = member.name.lstrip("/")
                    one = Item(item.path / name, item.below / name, member.mtime, content)
                    yield from _opened(one, content, scratch, whole, deep - 1)
    else:
        yield replace(item, head=head)


class _Member(tarfile.TarInfo):
    """A member of an archive that is read to its end: `tarfile` takes what it cannot read behind the first member, an
    end that is not there and the end of the first of two archives for the end of all."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            rest, behind = 0, cast("Any", archive.fileobj)
            while chunk := behind.read(CHUNK):
                rest += len(chunk)
                if chunk.strip(b"\0"):
                    raise tarfile.ReadError("data behind the end of the archive") from None
            if rest < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("the archive has no end") from None
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


class _Streams(io.RawIOBase):
    """What is packed in a file, in one stream or several, to its end: `BZ2File` and `LZMAFile` take what is no stream
    and stands behind one for the end. `padding`: the bytes that may stand between and behind streams."""

    def __init__(self, packed: IO[bytes], stream: Callable[[], Any], padding: bytes) -> None:
        self._packed, self._stream, self._padding = packed, stream, padding
        self._now = stream()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = b""
        while not data:
            if self._now.eof:
                if not (packed := self._behind()):
                    return 0
                self._now = self._stream()
            else:
                packed = self._packed.read(CHUNK) if self._now.needs_input else b""
                if self._now.needs_input and not packed:
                    raise EOFError("the file ends in a stream")
            data = self._now.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _behind(self) -> bytes:
        """What begins behind a stream, without the padding."""
        behind: bytes = self._now.unused_data.lstrip(self._padding)
        while not behind and (packed := self._packed.read(CHUNK)):
            behind = packed.lstrip(self._padding)
        return behind


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _of_zip(item: Item, scratch: Path, whole: Callable[[PurePath], bool], deep: int) -> Iterator[Item]:
    """What is in a zip, whose directory stands at its end. Members have the time of the zip: their own is local time of
    nobody knows where."""
    with (
        TemporaryDirectory(dir=scratch) as place,
        zipfile.ZipFile(item.file or item.copy(Path(place, "zip"))) as archive,
    ):
        members = archive.infolist()
        if min((member.header_offset for member in members), default=archive.start_dir):
            raise zipfile.BadZipFile("data before the first member")
        for member in members:
            name = member.filename.lstrip("/")
            path, below = item.path / name, item.below / name
            if member.flag_bits & ENCRYPTED:
                yield Item(path, below, None, closed=True)
            elif not member.is_dir():
                with archive.open(member) as content:
                    yield from _opened(Item(path, below, item.modified, content), content, scratch, whole, deep)
