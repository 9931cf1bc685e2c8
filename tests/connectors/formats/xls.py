"""A workbook of Excel 97 with one sheet, made byte by byte: no library that writes them is at hand."""

import struct

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR = 512


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


_CODES = {164: "0.0%", 165: '0.0"%"', 166: "0!.0,", 167: "000000", 168: "#,##0"}
_NUMBERS = (0, 9, 164, 165, 2, 166, 167, 168)
"""The number formats of styles 0 to 7."""


def _styles() -> bytes:
    """The number formats and the styles of cells that have them."""
    texts = ((number, code.encode("latin-1")) for number, code in _CODES.items())
    formats = (_record(0x041E, struct.pack("<HHB", number, len(code), 0) + code) for number, code in texts)
    return b"".join(formats) + b"".join(_record(0xE0, struct.pack("<HH16x", 0, number)) for number in _NUMBERS)


def _several(row: int, first: int, values: list[float], style: int) -> bytes:
    """Numbers of a row in one record, each as hundredths."""
    cells = b"".join(struct.pack("<HI", style, round(value * 100) << 2 | 3) for value in values)
    return _record(0xBD, struct.pack("<HH", row, first) + cells + struct.pack("<H", first + len(values) - 1))


def _cell(row: int, column: int, value: str | float | bytes, style: int) -> bytes:
    """Text, a number, or the code of an error: alone (one byte), or as a formula's result (two, the first ignored)."""
    place = struct.pack("<HHH", row, column, style if isinstance(value, float) else 0)
    if isinstance(value, str):
        return _record(
            0x0204, place + struct.pack("<HB", len(value.encode("utf-16-le")) // 2, 1) + value.encode("utf-16-le")
        )
    if isinstance(value, float):
        return _record(0x0203, place + struct.pack("<d", value))
    if len(value) == 1:
        return _record(0x0205, place + value + b"\x01")
    result = b"\x02\x00" + value[1:] + b"\x00\x00\x00\xff\xff"
    return _record(0x0006, place + result + struct.pack("<HIH", 0, 0, 2) + b"\x1c" + value[1:])


def xls(rows: list[list[str | float | bytes]], style: int = 0, several: bool = False) -> bytes:
    """The file: a compound document whose one stream is the workbook. `style` of its numbers, which are `several` to a
    record."""
    cells = b""
    for r, row in enumerate(rows):
        numbers = [value for value in row if isinstance(value, float)] if several else []
        cells += b"".join(_cell(r, c, value, style) for c, value in enumerate(row) if value not in numbers)
        cells += _several(r, row.index(numbers[0]), numbers, style) if numbers else b""
    begin = struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 6)
    sheet_begin = struct.pack("<HHHHII", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0, 6)
    dimensions = struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows)), 0)
    name = "表".encode("utf-16-le")
    length = 20 + len(_styles()) + len(_record(0x85, struct.pack("<IBBBB", 0, 0, 0, 1, 1) + name)) + 4
    bound = _record(0x85, struct.pack("<IBBBB", length, 0, 0, 1, 1) + name)
    stream = _record(0x0809, begin) + _styles() + bound + _record(0x0A, b"")
    stream += _record(0x0809, sheet_begin) + _record(0x0200, dimensions) + cells + _record(0x0A, b"")
    stream = stream.ljust(max(4096, -(-len(stream) // _SECTOR) * _SECTOR), b"\0")
    count = len(stream) // _SECTOR
    fat = [_FAT, _END, *range(3, 2 + count), _END]
    fat += [_FREE] * (_SECTOR // 4 - len(fat))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0) + struct.pack("<I", 0)
    head += struct.pack("<I", _FREE) * 108
    entries = _entry("Root Entry", 5, 1, _END, 0) + _entry("Workbook", 2, _FREE, 2, len(stream))
    return head + struct.pack("<128I", *fat) + (entries + _entry("", 0, _FREE, 0, 0) * 2) + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = name.encode("utf-16-le")
    about = struct.pack("<HBBIII", len(text) + 2 if name else 0, kind, 1, _FREE, _FREE, child)
    return text.ljust(64, b"\0") + about + bytes(36) + struct.pack("<IQ", start, size)
