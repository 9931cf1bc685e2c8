"""Codes of a fixed length, judged by tables of pairs of characters, whole Arrow columns at a time.

Most of a code's rules are sums: of weights times values for its check characters, and of how many characters cannot
stand where they stand. So each pair of characters has a number, the numbers of one code are added up, and the sum is
looked up in a table of verdicts. Which numbers and verdicts belongs to the codecs; what DuckDB's own expressions cost
for the same stands in decision 0032.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.codecs.texts import Texts, bits, booleans

Numbers = npt.NDArray[np.int32]
Verdicts = npt.NDArray[np.int8]

MALFORMED = 0
"""The verdict on every text that has another length or a pair without a number."""


class Judge:
    """Texts of `2 * len(pairs)` ASCII characters to verdicts; with an odd length, the last key has one character.

    `pairs`: for each pair in its place, its number (0 or more). `verdicts`: by sum, a small integer, none of them 0.
    """

    def __init__(self, pairs: Sequence[Mapping[str, int]], verdicts: Verdicts) -> None:
        self.length = 2 * len(pairs) - (1 if len(next(iter(pairs[-1]))) == 1 else 0)
        self.tables = [_table(numbers, len(verdicts)) for numbers in pairs]
        # Whatever is malformed has a sum of at least this length, and is looked up as the last.
        self.verdicts = np.append(verdicts, np.int8(MALFORMED))

    def __call__(self, texts: Any) -> Any:
        """The verdicts of an Arrow array of texts, int8, null for null."""
        column = _one(texts)
        return _owned(self.numbers(column), bits(column.is_valid()) if column.null_count else None)

    def numbers(self, column: Any) -> Verdicts:
        """The same of an array with 32-bit offsets, for numpy; what stands for null is not said."""
        texts = Texts(column)
        fitting = texts.lengths == self.length
        if fitting.all():
            return self._judged(texts.signs.reshape(len(column), self.length))
        found = np.full(len(column), MALFORMED, np.int8)
        found[fitting] = self.numbers(column.filter(booleans(fitting)))
        return found

    def _judged(self, signs: npt.NDArray[np.uint8]) -> Verdicts:
        if self.length % 2:
            signs = np.pad(signs, ((0, 0), (0, 1)))
        pairs = np.ascontiguousarray(signs).view("<u2")
        total = np.zeros(len(pairs), np.int32)
        for place, table in enumerate(self.tables):
            total += table.take(pairs[:, place])
        return self.verdicts.take(total, mode="clip")


def _owned(verdicts: Verdicts, valid: npt.NDArray[np.bool_] | None = None) -> Any:
    """An Arrow array in Arrow's own memory.

    Memory of numpy is given back under Python's lock. DuckDB gives results back in a thread of its own while the thread
    that drops a connection holds that lock and waits: both would wait for ever.
    """
    return pa.Array.from_buffers(
        pa.int8(),
        len(verdicts),
        [None if valid is None else _copied(np.packbits(valid, bitorder="little")), _copied(verdicts)],
    )


def _copied(values: npt.NDArray[Any]) -> pa.Buffer:
    buffer = pa.allocate_buffer(values.nbytes)
    memoryview(buffer).cast("B")[:] = values.tobytes()
    return buffer


def _table(numbers: Mapping[str, int], malformed: int) -> Numbers:
    table = np.full(1 << 16, malformed, np.int32)
    for pair, number in numbers.items():
        first, second = pair.ljust(2, "\0").encode("ascii")
        table[first | second << 8] = number
    return table


def _one(texts: Any) -> Any:
    """One Arrow array with 32-bit offsets, whatever DuckDB was told to give."""
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return column if column.type == pa.string() else column.cast(pa.string())
