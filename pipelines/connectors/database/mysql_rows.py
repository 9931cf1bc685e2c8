"""Rows of a MySQL result as columns of bytes, decoded many at a time: the text protocol, as the server sends it.

In it every value is a text that the server wrote, so nothing is converted and nothing can be lost; drivers decode it
one value at a time in Python, which costs a multiple. Connecting and asking is the driver's work, not done here.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BLOCK = 1 << 20
"""Bytes of rows decoded together, at least."""
LONGEST = 0xFFFFFF
"""The length of a packet that is continued in the next one."""
_HEADER = 4
_NULL = 0xFB
_WIDE = {0xFC: 2, 0xFD: 3, 0xFE: 8}
"""First bytes of a length -> how many bytes of it follow."""
_SPARE = b"\0" * 9
_LARGEST = 1 << 31

Places = npt.NDArray[np.int64]


class Refused(Exception):
    """The server ended the rows with an error; `packet` is what it said."""

    def __init__(self, packet: bytes) -> None:
        self.packet = packet
        super().__init__("error packet")


class Broken(Exception):
    """The connection ended, or what came are no rows of this many columns."""


def blocks(read: Callable[[int], bytes], width: int) -> Iterator[list[pa.Array]]:
    """The columns of every block of rows, as BinaryArrays with NULLs. `read(n)` returns at most n bytes, none when the
    connection has ended. Raises Refused, Broken."""
    buffer, starts, at = bytearray(), list[int](), 0
    while True:
        block = read(BLOCK)
        if not block:
            raise Broken("connection lost while rows were read")
        buffer += block
        while (end := _end(buffer, at)) is not None:
            if not (length := end - at - _HEADER):
                raise Broken("an empty packet among the rows")
            first = buffer[at + _HEADER]
            if first == 0xFF:
                raise Refused(bytes(buffer[at + _HEADER : end]))
            if first == 0xFE and length < 9:
                if starts:
                    yield _columns(bytes(buffer[:at]), starts, width)
                return
            starts.append(at + _HEADER)
            at = end
        if at >= BLOCK:
            yield _columns(bytes(buffer[:at]), starts, width)
            del buffer[:at]
            starts, at = [], 0


def _end(buffer: bytearray, at: int) -> int | None:
    """Where the packet ends that begins at a place, None if it is not all there. One in several parts is joined."""
    junctions = []
    while True:
        if len(buffer) - at < _HEADER:
            return None
        length = int.from_bytes(buffer[at : at + 3], "little")
        at += _HEADER + length
        if at > len(buffer):
            return None
        if length < LONGEST:
            break
        junctions.append(at)
    for junction in reversed(junctions):
        del buffer[junction : junction + _HEADER]
    return at - _HEADER * len(junctions)


def _columns(rows: bytes, starts: list[int], width: int) -> list[pa.Array]:
    """The columns of whole rows. Every cell is found for all rows at once; then each column is copied out by Arrow."""
    if len(rows) >= _LARGEST:
        raise Broken(f"a row of {len(rows)} bytes")
    count = len(starts)
    data = np.frombuffer(rows + _SPARE, np.uint8)
    place: Places = np.array(starts, np.int64)
    ends: Places = np.append(place[1:] - _HEADER, len(rows))
    bounds = np.empty((count, width, 2), np.int32)
    nulls = []
    for column in range(width):
        if np.any(place >= ends):
            raise Broken("a row ends before its last column")
        first = data[place]
        begin, size = _lengths(data, place, first)
        place = begin + size
        if np.any(place > ends) or np.any(place < begin):
            raise Broken("a value is longer than its row")
        bounds[:, column, 0], bounds[:, column, 1] = begin, place
        nulls.append(first == _NULL)
    if np.any(place != ends):
        raise Broken("a row goes on after its last column")
    # All bounds in a row are an array in which every second piece is a cell; the others are lengths and headers.
    pieces = pa.BinaryArray.from_buffers(
        pa.binary(), 2 * count * width - 1, [None, pa.py_buffer(bounds), pa.py_buffer(rows)]
    )
    row = np.arange(count, dtype=np.int64) * (2 * width)
    return [pieces.take(pa.array(row + 2 * column, mask=null)) for column, null in enumerate(nulls)]


def _lengths(data: npt.NDArray[np.uint8], place: Places, first: npt.NDArray[np.uint8]) -> tuple[Places, Places]:
    """Where the values at some places begin, and how long they are."""
    begin, size = place + 1, first.astype(np.int64)
    wide = np.flatnonzero(first >= _NULL)
    if len(wide):
        size[wide] = 0
        for mark, more in _WIDE.items():
            where = wide[first[wide] == mark]
            for byte in range(more):
                size[where] += data[np.minimum(place[where] + 1 + byte, len(data) - 1)].astype(np.int64) << (8 * byte)
            begin[where] += more
    return begin, size
