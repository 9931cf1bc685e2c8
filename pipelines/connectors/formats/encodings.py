"""Bytes of departments' files as text: lines of UTF-8, GBK and GB 18030, damaged ones told apart, encodings guessed.

A line that is no text of its encoding is shown with backslash escapes; no byte is ever replaced by a guess. Cutting
bytes at line breaks is safe: in none of the encodings is that byte a part of another character.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

from pipelines.connectors.formats.table import LocalFile
from pipelines.messages import CitylakeError

Known = Literal["utf-8", "gbk", "gb18030"]
"""An encoding that a file is read in, once `auto` is settled."""
ALL_KNOWN = " / ".join(get_args(Known))
"""For a message about a file that declares none of them."""

BLOCK = 1 << 22
"""Bytes decoded together."""
LONGEST_LINE = 64_000_000
"""Bytes of a line. A longer one is no line of a table."""
BOM = "\ufeff"

_PUBLISHED_SINCE = str.maketrans(
    {
        0xE7C7: 0x1E3F,
        **dict(zip(range(0xE78D, 0xE794), (0xFE10, 0xFE12, 0xFE11, 0xFE13, 0xFE14, 0xFE15, 0xFE16), strict=True)),
        **{0xE794: 0xFE17, 0xE795: 0xFE18, 0xE796: 0xFE19},
        **{0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC, 0xE831: 0x215D7, 0xE83B: 0x2298F, 0xE855: 0x241FE},
        **{0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE832: 0x9FB8, 0xE843: 0x9FB9},
        **{0xE854: 0x9FBA, 0xE864: 0x9FBB},
    }
)
"""Python decodes GB 18030 as of 2000. The editions of 2005 and 2022 gave these codes characters of their own."""
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_THREE_BYTES = re.compile(rb"[\xe0-\xef][\x80-\xbf][\x80-\xbf]")


@dataclass(frozen=True)
class Block:
    """Whole lines without their line feeds, and which of them (by place) are damaged."""

    lines: list[str]
    damaged: frozenset[int] = frozenset()


@dataclass
class Damage:
    """How much of a file was no text: lines, those with more than ASCII in them, those that were damaged."""

    lines: int = 0
    beyond_ascii: int = 0
    damaged: int = 0

    @property
    def mostly(self) -> bool:
        """Whether more lines that could tell the encoding speak against it than for it."""
        return self.damaged * 2 > self.beyond_ascii


def decoded(data: bytes, encoding: str) -> str:
    """Bytes as text. Raises UnicodeDecodeError."""
    return as_utf8(data, encoding).decode() if encoding == "gb18030" else data.decode(encoding)


def as_utf8(data: bytes, encoding: str) -> bytes:
    """Bytes as the same text in UTF-8. Raises UnicodeDecodeError."""
    text = data.decode(encoding)
    found = text.encode()
    moved = encoding == "gb18030" and b"\xee" in found  # begins all codes that were moved since
    return text.translate(_PUBLISHED_SINCE).encode() if moved else found


def shown(data: bytes, encoding: str) -> str:
    """Damaged bytes as text, each byte that is none as an escape such as \\xff."""
    text = data.decode(encoding, "backslashreplace")
    return text.translate(_PUBLISHED_SINCE) if encoding == "gb18030" else text


def byte_blocks(file: LocalFile, offset: int = 0, line_break: bytes = b"\n") -> Iterator[bytes]:
    """The bytes of a file from `offset` on, cut after line breaks. Raises CitylakeError for an endless line."""
    rest = b""
    with file.path.open("rb") as stream:
        stream.seek(offset)
        while data := stream.read(BLOCK):
            end = data.rfind(line_break) + 1
            if end:
                yield rest + data[:end]
                rest = data[end:]
            else:
                rest += data
            if len(rest) > LONGEST_LINE:
                raise file.error("format.endless_line", limit=LONGEST_LINE)
    if rest:
        yield rest


def blocks(file: LocalFile, encoding: Known, offset: int, damage: Damage, line_break: bytes = b"\n") -> Iterator[Block]:
    """The lines of a file from a byte on; `damage` learns what was met. Raises CitylakeError for an endless line."""
    for data in byte_blocks(file, offset, line_break):
        body = data.removesuffix(line_break)
        try:
            lines = decoded(body, encoding).split(line_break.decode())
            damaged: frozenset[int] = frozenset()
        except UnicodeDecodeError:
            lines, damaged = _mended(body.split(line_break), encoding)
        damage.lines += len(lines)
        damage.damaged += len(damaged)
        damage.beyond_ascii += len(damaged)
        damage.beyond_ascii += sum(not line.isascii() for place, line in enumerate(lines) if place not in damaged)
        yield Block(lines, damaged)


def _mended(lines: list[bytes], encoding: Known) -> tuple[list[str], frozenset[int]]:
    texts, damaged = [], set()
    for place, line in enumerate(lines):
        try:
            texts.append(decoded(line, encoding))
        except UnicodeDecodeError:
            texts.append(shown(line, encoding))
            damaged.add(place)
    return texts, frozenset(damaged)


def fitting(file: LocalFile) -> str | None:
    """The encoding in which the whole file is text, `utf-16` by its mark or its NULs; None if there is none."""
    with file.path.open("rb") as stream:
        start = stream.read(BLOCK)
    nuls = start[::2].count(0), start[1::2].count(0)  # each letter of ASCII has one in UTF-16, always on the same side
    if start[:2] in _MARKS or (not min(nuls) and max(nuls) * 8 > len(start)):
        return "utf-16"
    return next((known for known in ("utf-8", "gbk", "gb18030") if _fits(file, known)), None)


def check_damage(file: LocalFile, encoding: Known, damage: Damage) -> None:
    """After a file was read: raises CitylakeError if so much was damaged that its encoding must be another one."""
    if damage.damaged and damage.mostly:
        fits = fitting(file)
        if fits or damage.damaged * 2 > damage.lines:
            raise not_encoded(file, encoding, fits)


def not_encoded(file: LocalFile, encoding: Known, fits: str | None) -> CitylakeError:
    """A file in another encoding than was said, with the place where that is first seen. UTF-16, which no contract can
    say, has to be written anew."""
    if fits == "utf-16":
        return file.error("format.utf16")
    number = 1
    for data in byte_blocks(file):
        try:
            decoded(data, encoding)
        except UnicodeDecodeError as error:
            number += data.count(b"\n", 0, error.start)
            byte = error.start - data.rfind(b"\n", 0, error.start)
            return file.error("format.encoding", encoding=encoding, fits=fits or "—", line=number, byte=byte)
        number += data.count(b"\n")
    return file.error("format.encoding", encoding=encoding, fits=fits or "—", line=1, byte=1)


def _is_utf8(file: LocalFile) -> bool:
    """Whether a file that is said to be GBK is UTF-8: all of it is, and some of it is characters of three bytes. GBK
    that happens to be UTF-8 gives characters of two."""
    seen = False
    for data in byte_blocks(file):
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
        seen = seen or _THREE_BYTES.search(data) is not None
    return seen


def known_encoding(file: LocalFile, encoding: str) -> Known:
    """The encoding of a file as said, or what `auto` means for it: by its mark, else UTF-8 if more lines speak for it
    than against, else GB 18030, which GBK is a part of.

    Raises CitylakeError when UTF-8 is said to be GBK, when both are possible, and for UTF-16.
    """
    if encoding != "auto":
        if encoding != "utf-8" and _is_utf8(file):
            raise file.error("format.encoding", encoding=encoding, fits="utf-8", line=1, byte=1)
        return cast(Known, encoding)
    with file.path.open("rb") as stream:
        start = stream.read(3)
    if start == codecs.BOM_UTF8:
        return "utf-8"
    if start[:2] in _MARKS:
        raise file.error("format.utf16")
    damage = Damage()
    many = any(_THREE_BYTES.search(data) for data in byte_blocks(file))
    for _ in blocks(file, "utf-8", 0, damage):
        pass
    if damage.beyond_ascii and not damage.damaged and not many and _fits(file, "gb18030"):
        raise file.error("format.ambiguous")
    return "gb18030" if damage.mostly else "utf-8"


def _fits(file: LocalFile, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for data in byte_blocks(file):
            decoder.decode(data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
