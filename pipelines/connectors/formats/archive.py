"""Archives: the members of a zip or tar that a contract asks for, unpacked under names of our own.

Nothing is written under a name from inside an archive, links and devices are never followed, and what unpacks to too
much is stopped while it is unpacked, whatever the archive says of itself.
"""

import contextlib
import errno
import fnmatch
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pipelines.connectors.formats.table import LocalFile

LARGEST = 20_000_000_000
"""Bytes that the members asked for may unpack to together."""
STEEPEST = 200
"""How many times an archive may grow beyond its first `HARMLESS` bytes: real tables stay far below."""
HARMLESS = 100_000_000
CHUNK = 1 << 20

_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
_END, _IN_ZIP64 = b"PK\x05\x06", 0xFFFF
_FARTHEST_END = 22 + 0xFFFF
"""Bytes from the end of a zip to where its end record may begin: a comment may follow it."""
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    OSError, ValueError, IndexError, OverflowError,
)  # fmt: skip
"""What the standard library raises for archives that are damaged: whatever their bytes lead it to."""
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf\x27\x1c", b"BZh", b"\xfd7zXZ")
_UNKNOWN = (b"Rar!", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b")
"""RAR, 7z, and gzip around a file that is no tar."""


class Member(NamedTuple):
    """One file inside: its name as written, whether it is a plain one, and how it is opened."""

    name: str
    plain: bool
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip, or a tar, packed or not."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except EOFError:  # packed, and it breaks off before it says what it is
        return False


def is_unknown(path: Path) -> bool:
    """Whether a file is packed in a way that is not read."""
    with path.open("rb") as stream:
        return stream.read(6).startswith(_UNKNOWN)


def unpacked(file: LocalFile, pattern: str, folder: Path, may_be_packed: bool = False) -> Iterator[LocalFile]:
    """The members whose path or name matches `pattern`, in order of their names, each unpacked below `folder`.

    `may_be_packed`: members may be zips themselves, as workbooks are. Raises CitylakeError when nothing matches, for
    encrypted members, archives in archives, paths that lead out of the archive, and when it becomes too much.
    """
    try:
        with _opened(file) as archive:
            members = sorted(_matching(file, archive.members(), pattern), key=lambda member: member.name)
            if not members:
                raise file.error("format.no_member", pattern=pattern)
            size = 0
            for number, member in enumerate(members):
                path = folder / f"member-{number}{PurePosixPath(member.name).suffix.lower()[:10]}"
                size = _unpack(file, member, path, size)
                with path.open("rb") as stream:
                    start = stream.read(6)
                if not may_be_packed and (start.startswith(_PACKED) or tarfile.is_tarfile(path)):
                    raise file.error("format.nested_archive", member=member.name)
                yield LocalFile(path, f"{file.origin}/{member.name}", file.request)
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's, not the archive's: that may name a place before its beginning
        raise file.error("format.archive_broken", problem=type(error).__name__) from None


def _matching(file: LocalFile, members: Iterator[Member], pattern: str) -> Iterator[Member]:
    for member in members:
        path = PurePosixPath(member.name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.name[:2]:
            raise file.error("format.member_path", member=member.name)
        hidden = path.parts[:1] == ("__MACOSX",) or path.name.startswith(".")
        if hidden or not (fnmatch.fnmatchcase(str(path), pattern) or fnmatch.fnmatchcase(path.name, pattern)):
            continue
        if not member.plain:
            raise file.error("format.member_path", member=member.name)
        yield member


def _unpack(file: LocalFile, member: Member, path: Path, size: int) -> int:
    """Write one member; the bytes unpacked so far. Raises CitylakeError for too many, and for an encrypted one."""
    limit = _limit(file)
    try:
        stream = member.open()
    except RuntimeError:  # the zip module's answer to a member that needs a password
        raise file.error("format.encrypted", member=member.name) from None
    with stream, path.open("xb") as out:
        while data := stream.read(CHUNK):
            size += len(data)
            if size > limit:
                raise file.error("format.too_large", limit=limit)
            out.write(data)
    return size


def _limit(file: LocalFile) -> int:
    """Bytes that this archive may unpack to."""
    return min(LARGEST, max(HARMLESS, file.path.stat().st_size * STEEPEST))


class _Zip:
    """A zip, its names read as what they are: UTF-8 where it says so or can be, else GB 18030 as Windows writes."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)
        self._require_all(path)

    def __enter__(self) -> "_Zip":
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()

    def members(self) -> Iterator[Member]:
        for info in self.archive.infolist():
            if not info.is_dir():
                self._check(info)
                mode = info.external_attr >> 16
                is_link = info.create_system == 3 and (mode & 0o170000) == 0o120000
                yield Member(_name(info), not is_link, lambda info=info: self.archive.open(info))  # type: ignore[misc]

    def _require_all(self, path: Path) -> None:
        """Raises BadZipFile if the directory's end tells another number of members than the directory has: where one
        of its lengths is damaged, zipfile reads the members behind it as part of the one before, and misses them."""
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _FARTHEST_END))
            tail = stream.read()
        at = tail.rfind(_END)
        said = int.from_bytes(tail[at + 10 : at + 12], "little")
        if said not in (_IN_ZIP64, len(self.archive.infolist()) & 0xFFFF):
            raise zipfile.BadZipFile

    def _check(self, info: zipfile.ZipInfo) -> None:
        """Raises BadZipFile if the directory calls a member otherwise than the member itself does: nothing else tells
        that a name is damaged, and one that no longer matches would be missed."""
        with contextlib.suppress(RuntimeError):  # what cannot be read may lie there unread; that it can comes later
            self.archive.open(info).close()


class _Tar:
    """A tar, packed or not. Members are read one after the other, each by its place."""

    def __init__(self, file: LocalFile) -> None:
        self.file = file
        self.archive = tarfile.open(file.path, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115

    def __enter__(self) -> "_Tar":
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()

    def members(self) -> Iterator[Member]:
        for info in self.archive:
            if not info.isdir():
                name = info.name.encode("utf-8", "surrogateescape")
                yield Member(_text(name), info.isreg(), lambda info=info: self._stream(info))  # type: ignore[misc]
            self._require_fitting(info.offset_data)
        self._finish()

    def _finish(self) -> None:
        """Read on to the end, where a packed tar says what all of it must sum up to."""
        stream = self.archive.fileobj
        assert stream is not None  # open for reading
        while stream.read(CHUNK):
            self._require_fitting(stream.tell())

    def _require_fitting(self, size: int) -> None:
        """Raises CitylakeError when more was unpacked than may be, of members that nobody asked for too."""
        if size > (limit := _limit(self.file)):
            raise self.file.error("format.too_large", limit=limit)

    def _stream(self, info: tarfile.TarInfo) -> IO[bytes]:
        stream = self.archive.extractfile(info)
        if stream is None:
            raise tarfile.ReadError(info.name)
        return stream


def _opened(file: LocalFile) -> _Zip | _Tar:
    if zipfile.is_zipfile(file.path):
        return _Zip(file.path)
    if tarfile.is_tarfile(file.path):
        return _Tar(file)
    if is_unknown(file.path):
        raise file.error("format.archive_kind")
    raise file.error("format.no_archive")


def _name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    return _text(info.orig_filename.encode("cp437"))


def _text(name: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return name.decode("cp437")
