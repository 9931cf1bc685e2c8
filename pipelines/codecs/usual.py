"""Days, times and numbers as texts written as nearly all are: told by their bytes, and then read by a cast alone, of
DuckDB's or of Arrow's.

How else they may be written is told in `cleaning`, which reads these to the same values, for three to four times as
much. Belongs here: what is usual. Does not belong here: columns and rules.
"""

from collections.abc import Callable
from functools import cache
from itertools import product
from string import digits
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.codecs.local_time import still_since
from pipelines.codecs.pairs import MALFORMED, Judge
from pipelines.codecs.texts import Texts

Mask = npt.NDArray[np.bool_]

LONGEST = 15
"""Characters of a number that a DOUBLE keeps every digit of."""
_LAST_YEAR = 2036
"""The last of which it is sure that the clocks of a zone stand still in it, if they do."""


def unusual(column: Any, kind: str, zone: str) -> Mask:
    """Which texts of an Arrow array (`pa.string()`) are written in another way; what stands for a NULL is not said.
    `kind`: the logical type of what they say, one of `READ`; `zone`: that of local times."""
    return _no_steady_time(column, zone) if kind == "timestamp" else _UNUSUAL[kind](column)


def read(text: str, kind: str, zone: str) -> str:
    """A usual text of a kind as SQL of its value, NULL where there is none: a 30th of February."""
    return READ[kind](text, zone)


READ: dict[str, Callable[[str, str], str]] = {
    "date": lambda text, _: f"try_cast({text} AS DATE)",
    "timestamp": lambda text, zone: (
        f"make_timestamptz(epoch_us(try_cast({text} AS TIMESTAMP)) - ({still_since(zone)[1]}))"
    ),
    "integer": lambda text, _: f"try_cast({text} AS BIGINT)",
    "number": lambda text, _: f"try_cast({text} AS DOUBLE) + 0.0",  # not -0
}
"""How texts are read, by logical type."""

ARROW = {"date": pa.date32(), "timestamp": pa.timestamp("us"), "integer": pa.int64(), "number": pa.float64()}
"""What Arrow casts them to, by logical type: local times, and numbers among which -0 may be. Each must have a value."""


@cache
def _form(form: str) -> Judge:
    """Judges texts of one form, of which `d` stands for a digit. Years have to be later than 99."""
    signs = [digits if sign == "d" else sign for sign in form]
    pairs = [{"".join(pair): 0 for pair in product(*signs[start : start + 2])} for start in range(0, len(signs), 2)]
    del pairs[0]["00"]
    return Judge(pairs, np.array([MALFORMED + 1], np.int8))


def _not_of_form(form: str) -> Callable[[Any], Mask]:
    return lambda column: _form(form).numbers(column) == MALFORMED


def _no_steady_time(column: Any, zone: str) -> Mask:
    """Also of years in which clocks may move, and 24 o'clock."""
    texts = Texts(column)
    year, hour = texts.eight(0).byteswap() >> np.uint64(32), texts.eight(11) & np.uint64(0xFFFF)
    first, last = (int.from_bytes(str(one).encode()) for one in (int(still_since(zone)[0][:4]) + 1, _LAST_YEAR))
    moved: Mask = (year < first) | (year > last) | (hour == int.from_bytes(b"24", "little"))
    return moved | _UNUSUAL["timestamp"](column)


def _no_plain_number(column: Any) -> Mask:
    texts = Texts(column)
    found: Mask = texts.lengths > LONGEST
    found[texts.outside("-", "9")] = True
    return found


def _no_plain_integer(column: Any) -> Mask:
    texts = Texts(column)
    found: Mask = texts.lengths > LONGEST
    found[texts.outside("-", "9")] = True
    found[texts.containing("./")] = True
    return found


_UNUSUAL: dict[str, Callable[[Any], Mask]] = {
    "date": _not_of_form("dddd-dd-dd"),
    "timestamp": _not_of_form("dddd-dd-dd dd:dd:dd"),
    "integer": _no_plain_integer,
    "number": _no_plain_number,
}
