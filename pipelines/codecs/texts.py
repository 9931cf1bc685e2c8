"""Columns of texts looked at as bytes: which of them have one of some shapes, found without reading each.

Hardly a text has a shape that cleaning looks for, and a regular expression pays 60 ns and more to say no. But a text of
such a shape has a telling sign, prefix or length, and a processor compares sixteen bytes of a whole column at once. So
bytes are compared first, and RE2, the same that DuckDB has, is asked only about texts that this does not clear. What
the shapes are belongs to the cleaning steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rows = npt.NDArray[np.int64]
"""Places in a column, ascending, each once."""

ANY_LENGTH = range(1 << 62)
_BLOCK = 1 << 18
"""Bytes that are compared while they are in the processor's cache."""
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Shape:
    """Texts that an RE2 `pattern` matches as a whole, and by what bytes to tell most others.

    Each of them has one of `signs` (pairs of characters, the first and the last of a range; None: any signs) or begins
    with one of `prefixes`, or is empty. Its number of bytes is one of `lengths`.
    """

    pattern: str
    signs: str | None
    prefixes: tuple[str, ...] = ()
    lengths: range = ANY_LENGTH


class Texts:
    """An Arrow array of texts (`pa.string()`)."""

    def __init__(self, column: Any) -> None:
        self.column = column
        _, ends, data = column.buffers()
        self._ends = np.frombuffer(ends, np.int32, len(column) + 1, column.offset * 4)
        self._bytes = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
        self.lengths = np.diff(self._ends)

    @property
    def signs(self) -> npt.NDArray[np.uint8]:
        """The bytes of all texts."""
        return self._bytes[self._ends[0] : self._ends[-1]]

    def shaped(self, shapes: Sequence[Shape]) -> Rows:
        """Where a text has one of some shapes."""
        rows = _together(self._candidates(shape) for shape in shapes)
        pattern = f"^(?s:{'|'.join(shape.pattern for shape in shapes)})$"
        return self._those(rows, lambda texts: pc.match_substring_regex(texts, pattern))

    def longer(self, characters: int) -> Rows:
        """Where a text has more characters than that; no character has less than one byte."""
        rows = np.flatnonzero(self.lengths > characters)
        return self._those(rows, lambda texts: pc.greater(pc.utf8_length(texts), characters))

    def unlike(self, pattern: str, signs: str, leads: Sequence[bytes], shortest: int) -> Rows:
        """Where a text does not match an RE2 pattern as a whole. One matches that has neither one of some signs (see
        `Shape`) nor a character that begins with one of some pairs of bytes, and at least so many bytes."""
        short = np.flatnonzero(self.lengths < shortest)
        rows = _together([self.containing(signs), *map(self._with, leads), short])
        return self._those(rows, lambda texts: pc.invert(pc.match_substring_regex(texts, f"^(?:{pattern})$")))

    def eight(self, place: int) -> npt.NDArray[np.uint64]:
        """Eight bytes of each text from a place on, the first of them the lowest; any, where a text ends before."""
        padded = np.pad(self.signs, (0, place + 8))
        words = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,))
        found: npt.NDArray[np.uint64] = words[self._ends[:-1] - self._ends[0] + place]
        return found

    def days(self) -> npt.NDArray[np.uint64]:
        """The digits of texts written YYYY-MM-DD, eight bytes as one number; any, where a text is written otherwise."""
        start, end = self.eight(0), self.eight(2)
        year, month = start & np.uint64(0xFFFFFFFF), start >> np.uint64(40) & np.uint64(0xFFFF)
        found: npt.NDArray[np.uint64] = year | month << np.uint64(32) | end >> np.uint64(48) << np.uint64(48)
        return found

    def from_end(self, place: int) -> npt.NDArray[np.uint8]:
        """The byte at a place of each text counted from its end, 1 the last; any, where a text is shorter."""
        padded = self.signs if len(self.signs) else np.zeros(1, np.uint8)
        found: npt.NDArray[np.uint8] = padded.take(self._ends[1:] - self._ends[0] - place, mode="wrap")
        return found

    @cached_property
    def _present(self) -> npt.NDArray[np.bool_]:
        """Where there is a text."""
        return bits(self.column.is_valid()) if self.column.null_count else np.ones(len(self.column), bool)

    def _those(self, rows: Rows, condition: Any) -> Rows:
        """Which of some rows satisfy a condition."""
        if not len(rows):
            return rows
        return rows[bits(condition(self.column.take(places(rows))).fill_null(False))]

    def _candidates(self, shape: Shape) -> Rows:
        """Where a text may have a shape."""
        if shape.lengths != ANY_LENGTH:
            fitting = (self.lengths >= shape.lengths.start) & (self.lengths < shape.lengths.stop)
            if not fitting.all():
                fitting &= self._present
                rows = np.flatnonzero(fitting)
                return rows[Texts(self.column.take(places(rows)))._marked(shape)] if len(rows) else rows
        return self._marked(shape)

    def _marked(self, shape: Shape) -> Rows:
        if shape.signs is None:
            return np.arange(len(self.column))
        empty = np.flatnonzero((self.lengths == 0) & self._present)
        return _together([self.containing(shape.signs), self._beginning(shape.prefixes), empty])

    def containing(self, signs: str) -> Rows:
        """Where a text may have one of some signs (see `Shape`): one whose first byte is that of one of them."""
        runs, found = _runs(signs), []
        for start, block in self._blocks():
            if any((block - first).min() <= width for first, width in runs):
                hit = np.zeros(len(block), bool)
                for first, width in runs:
                    hit |= block - first <= width
                found.append(self._rows(start + np.flatnonzero(hit)))
        return _together(found)

    def outside(self, first: str, last: str) -> Rows:
        """Where a text has a byte that is none of those from one ASCII character to another."""
        low, width = np.uint8(ord(first)), ord(last) - ord(first)
        found = []
        for start, block in self._blocks():
            if (block - low).max() > width:
                found.append(self._rows(start + np.flatnonzero(block - low > width)))
        return _together(found)

    def _blocks(self) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """All bytes some at a time, each time with the place of the first."""
        end = int(self._ends[-1])
        return (
            (start, self._bytes[start : min(start + _BLOCK, end)]) for start in range(int(self._ends[0]), end, _BLOCK)
        )

    def _rows(self, places: Rows) -> Rows:
        """The texts that bytes in some places belong to."""
        return np.searchsorted(self._ends, places, side="right") - 1

    def _with(self, pair: bytes) -> Rows:
        """Where a text has a pair of bytes."""
        hit = np.flatnonzero((self.signs[:-1] == pair[0]) & (self.signs[1:] == pair[1]))
        return np.unique(np.searchsorted(self._ends, self._ends[0] + hit, side="right") - 1)

    def _beginning(self, prefixes: tuple[str, ...]) -> Rows:
        """Where a text may begin with a prefix: one whose first eight bytes are its."""
        if not prefixes or not len(self._bytes):
            return _NONE
        first = self.eight(0)
        hit = np.zeros(len(first), bool)
        for prefix in {prefix.encode()[:8] for prefix in prefixes}:
            mask = (1 << 8 * len(prefix)) - 1
            hit |= first & np.uint64(mask) == int.from_bytes(prefix, "little")
        return np.flatnonzero(hit)


def places(rows: Rows) -> Any:
    """For Arrow; `pa.array` would import pandas for what is numpy's, as `to_numpy` does, which takes 0.3 s."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))])


def booleans(answers: npt.NDArray[np.bool_]) -> Any:
    """True and false for Arrow, for the same reason."""
    return pa.Array.from_buffers(
        pa.bool_(), len(answers), [None, pa.py_buffer(np.packbits(answers, bitorder="little"))]
    )


def bits(answers: Any) -> npt.NDArray[np.bool_]:
    """An Arrow array of true and false for numpy."""
    packed = np.frombuffer(answers.buffers()[1], np.uint8) if len(answers) else np.zeros(0, np.uint8)
    return np.unpackbits(packed, count=answers.offset + len(answers), bitorder="little")[answers.offset :].view(bool)


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, as Python says too; to decode them costs seven times as much. Up to 2 GB."""
    ends = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def count_of(data: bytes, sign: bytes) -> int:
    """How often a byte stands in some: where that is often, for a quarter of what `bytes.count` takes."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == sign[0]))


def each(signs: str) -> str:
    """Some signs as ranges of one."""
    return "".join(sign * 2 for sign in signs)


@cache
def _runs(signs: str) -> tuple[tuple[np.uint8, int], ...]:
    """The bytes that a character of some ranges begins with: the first of a run, and how many follow it.

    No other byte of a character is one of these.
    """
    leads = sorted({lead for pair in zip(signs[::2], signs[1::2], strict=True) for lead in _leads(*pair)})
    starts = [lead for lead in leads if lead - 1 not in leads]
    ends = [lead for lead in leads if lead + 1 not in leads]
    return tuple((np.uint8(start), end - start) for start, end in zip(starts, ends, strict=True))


def _leads(first: str, last: str) -> range:
    return range(first.encode()[0], last.encode()[0] + 1)


def _together(places: Iterator[Rows] | Sequence[Rows]) -> Rows:
    some = [rows for rows in places if len(rows)]
    return np.unique(np.concatenate(some)) if some else _NONE
