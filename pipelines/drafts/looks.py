"""What the columns of a sample look like: types, standards, code lists, personal values. Counts only, never a value.

Judged by the same codecs as admission and the same search as releases. What follows from it is decided in `fields`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from pipelines.codecs import cleaning, gb32100
from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import UNREAD
from pipelines.contracts.forms.words import LogicalType
from pipelines.contracts.resolved import CodeList
from pipelines.engine import connect
from pipelines.privacy.scanner import Kind, scan

ROWS = 1000
"""Rows of a sample that are looked at."""
MOSTLY = 0.9
"""The share of filled values that makes a column what these are."""
FEW = 60
"""Different values that a column of codes may have, unless they are divisions."""
DIVISIONS = "divisions"
_ZONE = "Asia/Shanghai"


@dataclass(frozen=True)
class Look:
    """One column of a sample. `filled` and `distinct`: values that say something; `fits`: rows by what they can be
    read as (a logical type, `uscc`); `personal`: rows by kind of personal value; `codes`: lists of which nearly all
    values are codes or names, the shortest first."""

    filled: int = 0
    distinct: int = 0
    longest: int = 0
    fits: Mapping[str, int] = field(default_factory=dict)
    personal: Mapping[Kind, int] = field(default_factory=dict)
    codes: tuple[str, ...] = ()

    def mostly(self, what: str) -> bool:
        """Whether nearly all values can be read so."""
        return bool(self.filled) and self.fits.get(what, 0) >= MOSTLY * self.filled

    def holds(self, kind: Kind) -> bool:
        """Whether nearly all values are such a personal value."""
        return bool(self.filled) and self.personal.get(kind, 0) >= MOSTLY * self.filled

    @property
    def type(self) -> LogicalType:
        """The type by the values alone. A number with a leading 0 is a code, and long ones are numbers of things."""
        kinds: tuple[LogicalType, ...] = ("date", "timestamp")
        if found := next((kind for kind in kinds if self.mostly(kind)), None):
            return found
        if self.fits.get("padded") or self.longest > 15:
            return "string"
        return "integer" if self.mostly("integer") else "number" if self.mostly("number") else "string"


@dataclass(frozen=True)
class Sample:
    """The looks of the columns of a sample, and how many rows it has; `unread`: rows that could not be taken apart."""

    rows: int
    unread: int
    columns: Mapping[str, Look]

    def unique(self) -> list[str]:
        """Columns that were filled and different in every row."""
        return [name for name, look in self.columns.items() if self.rows > 1 and look.distinct == self.rows]


def look(path: Path, names: Sequence[str], lists: Mapping[str, CodeList], scratch: Path) -> Sample:
    """Look at the first rows of a file that a connector wrote."""
    with connect(scratch) as con:
        whole = f"(SELECT * FROM read_parquet({literal(str(path))}) LIMIT {ROWS})"
        there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {whole}").fetchall()}
        good = f"WHERE {identifier(UNREAD)} IS NULL" if UNREAD in there else ""
        texts = ", ".join(f"nullif(trim({identifier(name)}::VARCHAR), '') AS {identifier(name)}" for name in names)
        (all_rows,) = con.execute(f"SELECT count(*) FROM {whole}").fetchall()[0]
        con.execute(f"CREATE TABLE sample AS SELECT {texts} FROM {whole} {good}")
        (rows,) = con.execute("SELECT count(*) FROM sample").fetchall()[0]
        personal: dict[str, dict[Kind, int]] = {}
        for found in scan(con, "sample"):
            personal.setdefault(found.column, {})[found.kind] = found.rows
        return Sample(rows, all_rows - rows, {name: _look(con, name, lists, personal.get(name, {})) for name in names})


def _look(
    con: duckdb.DuckDBPyConnection, name: str, lists: Mapping[str, CodeList], personal: Mapping[Kind, int]
) -> Look:
    text = identifier(name)
    tests = {
        "date": f"{cleaning.date_of(text)} IS NOT NULL",
        "timestamp": f"{cleaning.time_of(text, _ZONE)} IS NOT NULL AND length({text}) > 10",
        "integer": f"{cleaning.integer_of(text)} IS NOT NULL",
        "number": f"{cleaning.number_of(text)} IS NOT NULL",
        "padded": f"regexp_full_match({text}, '0[0-9]+')",
        "uscc": f"{gb32100.FUNCTION}({text}) = {gb32100.RIGHT}",
    }
    counts = ", ".join(f"count(*) FILTER (WHERE {test})" for test in tests.values())
    asked = f"SELECT count({text}), count(DISTINCT {text}), coalesce(max(length({text})), 0), {counts} FROM sample"
    filled, distinct, longest, *fits = con.execute(asked).fetchall()[0]
    codes = _codes(con, text, filled, distinct, lists)
    return Look(filled, distinct, longest, dict(zip(tests, fits, strict=True)), personal, codes)


def _codes(
    con: duckdb.DuckDBPyConnection, text: str, filled: int, distinct: int, lists: Mapping[str, CodeList]
) -> tuple[str, ...]:
    """The lists in which nearly all values stand. Few values that are digits fit many lists: those are only said."""
    if not filled:
        return ()
    values = dict(con.execute(f"SELECT {text}, count(*) FROM sample WHERE {text} IS NOT NULL GROUP BY 1").fetchall())
    found = [
        one
        for one in lists.values()
        if (distinct <= FEW or one.name == DIVISIONS)
        and sum(rows for value, rows in values.items() if value in one.rows or value in one.spellings)
        >= MOSTLY * filled
    ]
    return tuple(one.name for one in sorted(found, key=lambda one: (len(one.rows), one.name)))
