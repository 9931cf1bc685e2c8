"""Format `dbf`: dBASE and FoxPro tables, also those beside shapefiles. Values are the texts that stand in the file.

Its text has the encoding of the program that wrote it: said by the contract, by a .cpg file or by the file itself.
A record whose bytes are no text is one row with only its text, in UNREAD; none is ever guessed.
"""

import struct
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from pipelines.connectors.base import Encoding, header_names
from pipelines.connectors.formats.encodings import ALL_KNOWN, Known, decoded, shown
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Place, Table, formats, table_of_rows

_HEADER = struct.Struct("<BBBBIHH17xB2x")
_FIELD = struct.Struct("<11sc4xBBB13x")
_END, _DELETED, _HIDDEN = b"\r", b"*", b"0"
_NULLABLE = 0x02
"""Of the flags of a field: its records may have no value, which the hidden field of FoxPro says, one bit a field."""
_BEHIND = b"\x1a\0"
"""What may stand behind the last record."""
_CODE_PAGES: dict[int, Known] = {0x4D: "gbk", 0x7A: "gbk"}
_NAMES: dict[str, Known] = {
    "utf-8": "utf-8", "utf8": "utf-8", "65001": "utf-8", "gbk": "gbk", "936": "gbk", "cp936": "gbk", "gb2312": "gbk",
    "gb18030": "gb18030", "54936": "gb18030", "oem 936": "gbk", "ansi 936": "gbk",
}  # fmt: skip
_JULIAN = date(2000, 1, 1).toordinal() - 2451545


@formats.register(FormatAbout())
def dbf(file: LocalFile, *, encoding: Encoding = "auto") -> Table:
    """One table; records marked as deleted are none. `auto`: what the file's code page says, else UTF-8 or GB 18030 if
    only one of them fits. Raises CitylakeError for what is no table, breaks off, or has memo columns."""
    table = DbfTable(file, encoding)
    return table_of_rows(table.names, (row for _, row in table.rows()), table.places)


class _Field(NamedTuple):
    """`read`: how a value becomes text; None for texts, which need the encoding. `null`: the number of the bit that
    says that there is no value; None where there always is one."""

    start: int
    end: int
    read: Callable[[bytes], str] | None
    null: int | None


class DbfTable:
    """One file, open: the names of its columns, and its rows with their record numbers from 0."""

    def __init__(self, file: LocalFile, encoding: Encoding, declared: str = "") -> None:
        self.file = file
        with file.path.open("rb") as stream:
            head = stream.read(_HEADER.size)
            if len(head) < _HEADER.size:
                raise file.error("format.unreadable", format="dbf", problem="header")
            version, _, _, _, self.count, self.offset, self.length, page = _HEADER.unpack(head)
            columns = stream.read(max(self.offset - _HEADER.size, 0))
        whole = self.offset + self.count * self.length
        if version & 0x07 not in (2, 3, 4, 5, 0) or not self.length or file.path.stat().st_size < whole:
            raise file.error("format.unreadable", format="dbf", problem="breaks off")
        with file.path.open("rb") as stream:
            stream.seek(whole)
            if stream.read(self.length).strip(_BEHIND):  # whoever wrote it was stopped before it counted
                raise file.error("format.unreadable", format="dbf", problem="more records than its header counts")
        described = [columns[at : at + _FIELD.size] for at in range(0, len(columns), _FIELD.size)]
        end = next((place for place, one in enumerate(described) if one[:1] == _END), len(described))
        raw = [_FIELD.unpack(one) for one in described[:end] if len(one) == _FIELD.size]
        self.encoding = self._known(encoding, declared, page, b"".join(name for name, *_ in raw))
        self.fields: list[_Field] = []
        self.hidden = slice(0, 0)
        names = []
        start, nullable = 1, 0
        for name, kind, length, _, flags in raw:
            end = start + length
            if kind == _HIDDEN:
                self.hidden = slice(start, end)
            elif kind not in _READERS:
                column, type_ = shown(name.split(b"\0")[0], self.encoding), kind.decode("latin-1")
                raise file.error("format.type", column=column, type=type_)
            else:
                names.append(self._name(name.split(b"\0")[0]))
                self.fields.append(_Field(start, end, _READERS[kind], nullable if flags & _NULLABLE else None))
                nullable += bool(flags & _NULLABLE)
            start = end
        if start != self.length:  # a text of Clipper may be longer than its field says: what follows it is not there
            raise file.error("format.unreadable", format="dbf", problem="record length")
        self.names = header_names(names, file.origin, file.request.owner)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The number of each record and its row, with one value for each name and one for UNREAD."""
        with self.file.path.open("rb") as stream:
            stream.seek(self.offset)
            for number in range(self.count):
                record = stream.read(self.length)
                if not record.startswith(_DELETED):
                    yield number, self._row(record)

    def places(self) -> Iterator[Place]:
        """The number of each record as dBASE counts them, deleted ones too."""
        return (Place(self.file.origin, "record", number + 1) for number, _ in self.rows())

    def _row(self, record: bytes) -> list[str]:
        try:
            nulls = int.from_bytes(record[self.hidden], "little")
            return [*(self._value(record, field, nulls) for field in self.fields), ""]
        except (UnicodeDecodeError, ValueError, OverflowError):
            return [*[""] * len(self.fields), shown(record[1:], self.encoding).strip() or "—"]

    def _value(self, record: bytes, field: _Field, nulls: int) -> str:
        if field.null is not None and nulls >> field.null & 1:
            return ""
        data = record[field.start : field.end]
        return decoded(data.rstrip(b" \0"), self.encoding) if field.read is None else field.read(data)

    def _name(self, name: bytes) -> str:
        try:
            return decoded(name, self.encoding).strip()
        except UnicodeDecodeError:
            raise self.file.error("format.encoding", encoding=self.encoding, fits="—", line=1, byte=1) from None

    def _known(self, encoding: Encoding, declared: str, page: int, names: bytes) -> Known:
        if encoding != "auto":
            return encoding
        if declared:
            if declared.lower() not in _NAMES:
                raise self.file.error("format.encoding", encoding=declared, fits=ALL_KNOWN, line=1, byte=1)
            return _NAMES[declared.lower()]
        if page in _CODE_PAGES:
            return _CODE_PAGES[page]
        return self._guessed(names)

    def _guessed(self, names: bytes) -> Known:
        """UTF-8 if all bytes are, else GB 18030; refused if letters of two bytes could be either."""
        wide = False
        with self.file.path.open("rb") as stream:
            stream.seek(self.offset)
            for data in (names, *iter(lambda: stream.read(self.length), b"")):
                try:
                    wide = wide or any(ord(letter) > 0x7FF for letter in data.decode())
                except UnicodeDecodeError:
                    return "gb18030"
            stream.seek(0)
            ascii_only = stream.read().isascii() if not wide else False
        if not wide and not names.isascii() and not ascii_only:
            raise self.file.error("format.ambiguous")
        return "utf-8"


def _stripped(data: bytes) -> str:
    return data.strip(b" \0").decode("ascii")


def _logical(data: bytes) -> str:
    return "" if data in (b"?", b" ") else data.decode("ascii")


def _integer(data: bytes) -> str:
    return str(int.from_bytes(data, "little", signed=True))


def _double(data: bytes) -> str:
    return repr(struct.unpack("<d", data)[0]) if len(data) == 8 else _stripped(data)


def _currency(data: bytes) -> str:
    value = int.from_bytes(data, "little", signed=True)
    return f"{'-' if value < 0 else ''}{abs(value) // 10000}.{abs(value) % 10000:04d}"


def _moment(data: bytes) -> str:
    day, milliseconds = struct.unpack("<ii", data)
    if not day:
        return ""
    return f"{date.fromordinal(day + _JULIAN)} {timedelta(milliseconds=milliseconds)}"


_READERS: dict[bytes, Callable[[bytes], str] | None] = {
    b"C": None, b"N": _stripped, b"F": _stripped, b"D": _stripped, b"L": _logical, b"I": _integer, b"+": _integer,
    b"B": _double, b"O": _double, b"Y": _currency, b"T": _moment,
}  # fmt: skip
