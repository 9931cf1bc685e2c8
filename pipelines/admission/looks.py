"""What rules ask, asked of whole columns in Arrow's memory: which rows of a block may break one.

The answer may be too strict, never too kind; a rule without a form here is asked by SQL alone. Rules of one column of
texts that repeat need no form, for SQL judges each of the different texts (`screen`). Values are taken for what they
were delivered as: whoever asks marks rows besides whose texts need cleaning and whose values cannot be read.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from functools import cache, reduce
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.codecs import gb11643, usual
from pipelines.codecs.local_time import END, still_since
from pipelines.codecs.patterns import fixed
from pipelines.codecs.sql import literal
from pipelines.codecs.texts import Texts, bits, places
from pipelines.contracts.rules import Context, Rule
from pipelines.contracts.rules.rows import CHINESE_NAME, bound

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]

ROWS = 61_440
"""How many rows are looked at together, unless texts are long: half a row group of DuckDB. For more the memory is taken
anew from the system each time, which costs as much as a look."""
_BYTES = 1 << 26
"""How much of them."""
DAY = 86_400_000_000
"""Microseconds of a day."""


class Held(Enum):
    """How the values of a column lie in a raw file."""

    TEXT = auto()
    """A text for a text."""
    REPEATING = auto()
    """The same by a dictionary."""
    WRITTEN = auto()
    """A text for something else."""
    DAY = auto()
    """A text for a day, YYYY-MM-DD; rows in which one is written otherwise are marked besides."""
    DATE = auto()
    CLOCK = auto()
    """A local time."""
    INSTANT = auto()
    WHOLE = auto()
    NUMBER = auto()
    FLAG = auto()


NOT_HAN, NOT_HAN_LEADS = "\0\u3fff\ua000\U0010ffff", (b"\xe4\xb7",)
"""Signs of texts that may have something else than ideographs of the basic block: beside extension A, whose characters
begin as theirs do, lie hexagrams."""

TIMES = (Held.CLOCK, Held.INSTANT)
STORED = (Held.DATE, *TIMES, Held.WHOLE, Held.NUMBER, Held.FLAG)
_DTYPES = {Held.DATE: np.int32, Held.CLOCK: np.int64, Held.INSTANT: np.int64, Held.NUMBER: np.float64}


def block_rows(footer: Any) -> int:
    """How many rows of a raw file are looked at together, by its metadata."""
    groups = map(footer.row_group, range(footer.num_row_groups))
    widest = max((group.total_byte_size // group.num_rows for group in groups if group.num_rows), default=0)
    return max(1, min(ROWS, _BYTES // max(1, int(widest))))


class Block:
    """Some rows of a raw file. `columns`: name in the contract -> Arrow array; `ahead`: microseconds from UTC to
    local time."""

    def __init__(self, columns: Mapping[str, Any], held: Mapping[str, Held], ahead: int) -> None:
        self._columns, self._held, self._ahead = columns, held, ahead
        self._missing: dict[str, Mask] = {}

    def column(self, name: str) -> Any:
        """A column as it lies in the file."""
        return self._columns[name]

    def present(self, name: str) -> Mask:
        """Where a column has a value."""
        return ~self.missing(name)

    def missing(self, name: str) -> Mask:
        """Where it has none."""
        if name not in self._missing:
            column = self._columns[name]
            self._missing[name] = ~bits(column.is_valid()) if column.null_count else np.zeros(len(column), bool)
        return self._missing[name]

    def values(self, name: str) -> Numbers:
        """Days since 1970, microseconds of local time since 1970, or numbers; what stands for a NULL is not said."""
        column, held = self._columns[name], self._held[name]
        kind = np.dtype(_DTYPES.get(held) or f"i{column.type.bit_width // 8}")
        found = np.frombuffer(column.buffers()[1], kind, len(column), column.offset * kind.itemsize)
        return found + self._ahead if held is Held.INSTANT else found


Form = Callable[[Block], Mask]
"""From a block to those of its rows that may break a rule."""


@dataclass(frozen=True)
class Forms:
    """Makes the forms of rules. `held`: the columns of which is known how they lie; `right`: functions of numbers and
    codes, each with a column in which rows with another answer than `right` are marked besides."""

    con: duckdb.DuckDBPyConnection
    context: Context
    held: Mapping[str, Held]
    right: frozenset[tuple[str, str]]

    def of(self, rule: Rule) -> Form | None:
        """The form of a rule, None if it has none for columns that lie as its do."""
        make = _FORMS.get(rule.verb)
        return make(self, **rule.arguments) if make and self.held.keys() >= set(rule.columns) else None

    def readable(self, name: str) -> Form:
        """The form of what is asked of every value that is stored as what it is."""
        held = self.held[name]
        if held is Held.DATE:
            first, last = (_days(day) for day in (date.min, date.max))
            return lambda block: block.present(name) & _outside(block.values(name), first, last)
        if held in TIMES:  # in other years a day or an instant takes a calendar, so SQL is asked
            first, last = self.steady
            return lambda block: block.present(name) & _outside(block.values(name), first, last)
        if held is Held.NUMBER:
            return lambda block: block.present(name) & ~np.isfinite(block.values(name))
        return lambda block: np.zeros(len(block.column(name)), bool)

    def open_end(self, name: str, days: Iterable[date]) -> Form:
        """The form of days that stand for none."""
        ends = np.array([_days(day) for day in days], np.int32)
        return lambda block: block.present(name) & np.isin(block.values(name), ends)

    def unusual(self, name: str, kind: str) -> Form:
        """The form of texts that are not written as values of a logical type usually are."""
        zone = self.context.timezone

        def strange(block: Block) -> Mask:
            column = block.column(name)
            if not isinstance(column, pa.DictionaryArray):
                return usual.unusual(column, kind, zone) & block.present(name)
            found = usual.unusual(column.dictionary, kind, zone)
            if not found.any():
                return np.zeros(len(column), bool)
            return found.take(codes(column), mode="clip") & block.present(name)

        return strange

    @property
    def steady(self) -> tuple[int, int]:
        """The first and the last microsecond of local time in which the clocks do not move."""
        since, _ = still_since(self.context.timezone)
        ((first, end),) = self.con.execute(f"SELECT epoch_us(TIMESTAMP {literal(since)}), epoch_us({END})").fetchall()
        return first, end - 1

    def bound(self, value: Any, held: Held) -> Any:
        """A bound as `Block.values` are; None if it cannot be one of them."""
        if held is Held.WHOLE:
            return value if type(value) is int else None
        if held is Held.NUMBER:
            return self._number(f"cast({literal(value)} AS DOUBLE)") if type(value) in (int, float) else None
        told = bound(self.context, value)
        if held is Held.DATE and isinstance(value, str):
            return self._number(f"cast({told} AS DATE) - DATE '1970-01-01'")
        if held in TIMES and isinstance(value, str):
            return self._number(f"epoch_us(cast({told} AS TIMESTAMPTZ))") + still_since(self.context.timezone)[1]
        return None

    def _number(self, expression: str) -> Any:
        return (self.con.execute(f"SELECT {expression}").fetchone() or (None,))[0]


def _required(_: Forms, *, column: str) -> Form | None:
    return lambda block: block.missing(column)


def _between(forms: Forms, *, column: str, minimum: Any = None, maximum: Any = None) -> Form | None:
    held = forms.held[column]
    low, high = (None if one is None else forms.bound(one, held) for one in (minimum, maximum))
    if (low is None) != (minimum is None) or (high is None) != (maximum is None):
        return None
    return lambda block: block.present(column) & _outside(block.values(column), low, high)


def _ordered(forms: Forms, *, earlier: str, later: str) -> Form | None:
    held = forms.held[earlier], forms.held[later]
    moments = (Held.DATE, *TIMES)
    if held[0] is held[1] and held[0] in (*moments, Held.WHOLE, Held.NUMBER):
        return lambda block: _both(block, earlier, later) & (block.values(earlier) > block.values(later))
    if held[0] in TIMES and held[1] in TIMES:
        return lambda block: _both(block, earlier, later) & (block.values(earlier) > block.values(later))
    if held[0] is Held.DATE and held[1] in TIMES:
        return lambda block: _both(block, earlier, later) & (_midnight(block, earlier) > block.values(later))
    if held[0] in TIMES and held[1] is Held.DATE:
        return lambda block: _both(block, earlier, later) & (block.values(earlier) >= _midnight(block, later, 1))
    return None


def _age_at_least(forms: Forms, *, birth: str, at: str, years: int) -> Form | None:
    if forms.held[birth] is not Held.DATE or forms.held[at] not in (Held.DATE, *TIMES):
        return None
    days = years * 365 + years // 4 + 1 if years else 0  # no fewer than those years may have

    def young(block: Block) -> Mask:
        day = _midnight(block, at) if forms.held[at] is Held.DATE else block.values(at)
        return _both(block, birth, at) & (_midnight(block, birth, days) > day)

    return young


def _requires(forms: Forms, *, column: str, when: str, values: list[str]) -> Form | None:
    if forms.held[when] not in (Held.TEXT, Held.REPEATING):
        return None
    asked = pa.array(values, pa.string())
    return lambda block: block.missing(column) & _each(block.column(when), lambda texts: pc.is_in(texts, asked))


def _present_with(_: Forms, *, column: str, other: str) -> Form | None:
    return lambda block: block.missing(column) & block.present(other)


def _one_of_present(_: Forms, *, columns: list[str]) -> Form | None:
    return lambda block: _all(block.missing(name) for name in columns)


def _differs(forms: Forms, *, column: str, other: str) -> Form | None:
    held = forms.held[column], forms.held[other]
    if held[0] is held[1] and held[0] in (Held.DATE, Held.WHOLE, Held.NUMBER):
        return lambda block: _both(block, column, other) & (block.values(column) == block.values(other))
    if not {*held} <= {Held.TEXT, Held.REPEATING}:
        return None

    if held == (Held.TEXT, Held.TEXT):
        return lambda block: bits(pc.equal(block.column(column), block.column(other)).fill_null(False))

    def same(block: Block) -> Mask:
        found = _both(block, column, other)
        rows = np.flatnonzero(found)
        if len(rows):
            mine, theirs = (plain(block.column(name).take(places(rows))) for name in (column, other))
            found[rows] = bits(pc.equal(mine, theirs))
        return found

    return same


def _birth_date_matches_id(forms: Forms, *, id: str, birth: str) -> Form | None:
    right = (gb11643.FUNCTION, id) in forms.right and forms.held[id] is Held.TEXT
    if right and forms.held[birth] is Held.DAY:
        return lambda block: (
            _both(block, id, birth) & (Texts(block.column(birth)).days() != Texts(block.column(id)).eight(6))
        )
    if not right or forms.held[birth] is not Held.DATE:
        return None
    days, first = _written_days()

    def differing(block: Block) -> Mask:
        told = Texts(block.column(id)).eight(6)
        place = block.values(birth) - first
        outside = _outside(place, 0, len(days) - 1)
        differs: Mask = outside | (days.take(place, mode="clip") != told)
        return differs & _both(block, id, birth)

    return differing


def _sex_matches_id(forms: Forms, *, id: str, sex: str) -> Form | None:
    right = (gb11643.FUNCTION, id) in forms.right and forms.held[id] is Held.TEXT
    if not right or forms.held[sex] is not Held.REPEATING:
        return None
    parity = {"1": 1, "2": 0}

    def differing(block: Block) -> Mask:
        odd = Texts(block.column(id)).from_end(2) & 1  # of 18 digits the last but one
        said = block.column(sex)
        asked = np.array([parity.get(text, 2) for text in (*said.dictionary.to_pylist(), None)], np.uint8)
        differs: Mask = asked.take(codes(said), mode="clip") ^ odd == 1
        return differs & _both(block, id, sex)

    return differing


def _matches(forms: Forms, *, column: str, pattern: str) -> Form | None:
    judge = fixed(pattern) if forms.held[column] is Held.TEXT else None
    if judge is None:
        return None
    return lambda block: block.present(column) & (judge.numbers(block.column(column)) == 0)


def _chinese_name(forms: Forms, *, column: str) -> Form | None:
    if forms.held[column] is not Held.TEXT:
        return None

    def strange(block: Block) -> Mask:
        found = np.zeros(len(block.column(column)), bool)
        found[Texts(block.column(column)).unlike(CHINESE_NAME, NOT_HAN, NOT_HAN_LEADS, 6)] = True
        return found

    return strange


_FORMS: dict[str, Callable[..., Form | None]] = {
    "required": _required,
    "between": _between,
    "ordered": _ordered,
    "age_at_least": _age_at_least,
    "requires": _requires,
    "present_with": _present_with,
    "one_of_present": _one_of_present,
    "differs": _differs,
    "birth_date_matches_id": _birth_date_matches_id,
    "sex_matches_id": _sex_matches_id,
    "matches": _matches,
    "chinese_name": _chinese_name,
}


def codes(column: Any) -> npt.NDArray[np.int32]:
    """The places in the dictionary of a column that has one; what stands for a NULL is not said."""
    indices = column.indices
    return np.frombuffer(indices.buffers()[1], np.int32, len(indices), indices.offset * 4)


def _each(column: Any, condition: Callable[[Any], Any]) -> Mask:
    """Where a text satisfies a condition; one that repeats is asked once."""
    if not isinstance(column, pa.DictionaryArray):
        return bits(condition(column).fill_null(False))
    answers = bits(condition(column.dictionary))
    if not answers.any():
        return np.zeros(len(column), bool)
    found = answers.take(codes(column), mode="clip")
    return found & bits(column.is_valid()) if column.null_count else found


def plain(texts: Any) -> Any:
    """A column without its dictionary, if it has one."""
    return texts.dictionary_decode() if isinstance(texts, pa.DictionaryArray) else texts


def _both(block: Block, one: str, other: str) -> Mask:
    return ~(block.missing(one) | block.missing(other))


def _all(masks: Iterable[Mask]) -> Mask:
    return reduce(operator.and_, masks)


def _outside(values: Numbers, low: Any, high: Any) -> Mask:
    """Which numbers are below or above a bound, if there is one."""
    outside = np.zeros(len(values), bool)
    if low is not None:
        outside |= values < low
    if high is not None:
        outside |= values > high
    return outside


def _midnight(block: Block, day: str, later: int = 0) -> Numbers:
    """When some days after those of a column begin, in microseconds of local time since 1970."""
    return (block.values(day).astype(np.int64) + later) * DAY


def _days(day: date) -> int:
    return (day - date(1970, 1, 1)).days


@cache
def _written_days() -> tuple[npt.NDArray[np.uint64], int]:
    """The days of some centuries as YYYYMMDD, eight bytes as one number each, and which the first of them is."""
    first, end = _days(date(1850, 1, 1)), _days(date(2100, 1, 1))
    texts = np.datetime_as_string(np.arange(first, end).astype("M8[D]"))
    signs = texts.view(np.uint32).reshape(len(texts), -1)[:, [0, 1, 2, 3, 5, 6, 8, 9]]
    return np.ascontiguousarray(signs, np.uint8).view("<u8")[:, 0], first
