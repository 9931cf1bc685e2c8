"""Reading from a position on: which rows to ask for, and where a pull ended. The same for every engine.

A position is the greatest value of the cursor among what came, or the greatest tuple of a composite cursor. What an
engine's columns are and how its statements run does not belong here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

import duckdb
import sqlalchemy as sa

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import Request
from pipelines.engine import connect
from pipelines.messages import CitylakeError

_YEAR_ONE = "0001"


class Kind(Enum):
    """What orders a cursor column. A TEXT is a time written so that texts sort as times do."""

    TIME = "TIMESTAMP"
    ZONED = "TIMESTAMP WITH TIME ZONE"
    DATE = "DATE"
    NUMBER = "HUGEINT"
    TEXT = "VARCHAR"


@dataclass(frozen=True)
class Column:
    """A cursor column at the source.

    `text`: it as text, without the blanks that fill up a char(n). `bare`: that text with an x behind it, without its
    digits. `nothing`: that it says nothing although it is not NULL. `value`: a Python value to compare it with.
    """

    kind: Kind
    column: sa.ColumnElement[Any]
    text: sa.ColumnElement[Any]
    bare: sa.ColumnElement[Any]
    nothing: sa.ColumnElement[bool] | None = None
    value: Callable[[Any], sa.ColumnElement[Any]] = sa.literal


def named(name: str) -> sa.ColumnClause[Any]:
    """A column by exactly this name."""
    return sa.column(sa.quoted_name(name, True))


def without_digits(text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """`Column.bare` in words that every database has. The x: to Oracle an empty text is NULL."""
    bare: sa.ColumnElement[Any] = text.concat("x")
    for digit in "0123456789":
        bare = sa.func.replace(bare, digit, "")
    return bare


@dataclass(frozen=True)
class _TextTime:
    """One way of writing a time that sorts as times do: for strptime, for LIKE, and what in it is no digit."""

    form: str
    shape: str
    marks: str
    unit: timedelta = timedelta(seconds=1)

    def asked(self, column: Column) -> sa.ColumnElement[bool]:
        """The condition, at the source, that a text is written so; the day may still not exist."""
        return sa.and_(column.text.like(self.shape), column.bare == f"{self.marks}x")

    def came(self, column: str) -> str:
        """The condition, for DuckDB, that a text is written so and names a moment that exists."""
        written = f"{column} LIKE '{self.shape}' AND translate({column}, '0123456789', '') = '{self.marks}'"
        return f"{written} AND try_strptime({column}, '{self.form}') IS NOT NULL"

    def render(self, moment: datetime) -> str:
        """A moment written so. Not by strftime, which leaves out leading zeros of years."""
        text = moment.isoformat(" ", "microseconds" if "%f" in self.form else "seconds")
        return text[: len(self.shape)] if self.marks else "".join(filter(str.isdigit, text))


_TEXT_TIMES = (
    _TextTime("%Y-%m-%d %H:%M:%S", "____-__-__ __:__:__", "-- ::"),
    _TextTime("%Y%m%d%H%M%S", "_" * 14, ""),
    _TextTime("%Y-%m-%d %H:%M:%S.%f", "____-__-__ __:__:__.______", "-- ::."),
    _TextTime("%Y-%m-%d", "____-__-__", "--", timedelta(days=1)),
)


class Reading:
    """One pull by a cursor. `columns`: the cursor's columns, in the order of `request.cursor.columns`."""

    def __init__(self, request: Request, columns: Sequence[Column]) -> None:
        assert request.cursor is not None
        self.request, self.cursor, self.columns = request, request.cursor, columns
        self.known = self._known()

    def condition(self) -> sa.ColumnElement[bool] | None:
        """The rows to ask for: those from the position on, less the overlap, and those whose cursor says nothing.
        None: all.

        The latter come each time: admission refuses them, and nobody else would ever see them. For texts this reads
        the whole table at the source, which an index cannot spare it; the rows stay there.
        """
        if self.known is None:
            return None
        first = self.columns[0]
        if len(self.columns) == 1 or self.cursor.overlap:
            start = _less(self.known[0], first.kind, self.cursor.overlap)
            wanted = first.column >= first.value(start)
        else:
            pairs = zip(self.columns, self.known, strict=True)
            wanted = _after(self.columns, [_less(value, column.kind, 0) for column, value in pairs])
        return sa.or_(wanted, *(nothing for column in self.columns for nothing in self._says_nothing(column)))

    def position(self) -> dict[str, Any]:
        """Where the pull ended: the greatest value that came, or the last position when none did. None of the future
        counts: a wrong year would stop the source for ever."""
        with connect(self.request.scratch) as con:
            greatest = self._greatest(con) or self.known
        if greatest is None:
            return {}
        return {"value": greatest[0] if len(self.columns) == 1 else list(greatest)}

    def _known(self) -> tuple[str, ...] | None:
        """Where the last pull ended; None also if that is no value of the columns any more, because a type has changed
        or time began less than an overlap before it. Then all is read again, which core compares."""
        found = self.request.position.get("value")
        values = tuple(found) if isinstance(found, list) else (found,)
        if len(values) != len(self.columns) or not all(isinstance(value, str) for value in values):
            return None
        try:
            for number, (column, value) in enumerate(zip(self.columns, values, strict=True)):
                _less(value, column.kind, 0 if number else self.cursor.overlap)
        except (ValueError, OverflowError):
            return None
        return values

    def _says_nothing(self, column: Column) -> list[sa.ColumnElement[bool]]:
        said: list[sa.ColumnElement[bool]] = [column.column.is_(None)]
        if column.nothing is not None:
            said.append(column.nothing)
        if column.kind is Kind.TEXT:
            assert self.known is not None
            way = _text_time(self.known[list(self.columns).index(column)])
            said += [sa.not_(way.asked(column)), column.column < _YEAR_ONE]  # 0000-00-00 looks like a time
        return said

    def _greatest(self, con: duckdb.DuckDBPyConnection) -> tuple[str, ...] | None:
        """The greatest tuple in raw of which every part is a value and none lies in the future."""
        raw = f"read_parquet({literal(str(self.request.target))})"
        values = [self._value(con, raw, number) for number in range(len(self.columns))]
        names = [f"v{number}" for number in range(len(values))]
        listed = ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
        usable = " AND ".join(f"{name} IS NOT NULL" for name in names)
        shown = ", ".join(f"{name}::VARCHAR" for name in names)
        order = ", ".join(f"{name} DESC" for name in names)
        query = f"SELECT {shown} FROM (SELECT {listed} FROM {raw}) WHERE {usable} ORDER BY {order} LIMIT 1"
        return con.execute(query).fetchone()

    def _value(self, con: duckdb.DuckDBPyConnection, raw: str, number: int) -> str:
        """SQL of one part of the tuple in raw, NULL where it is no value or of the future."""
        kind, column = self.columns[number].kind, identifier(self.cursor.columns[number])
        tomorrow = datetime.now(UTC).replace(tzinfo=None, microsecond=0) + timedelta(days=1)
        if kind is Kind.NUMBER:
            # Never above the number itself: a position that is too low brings rows twice, one too high loses some.
            whole = f"try_cast(split_part({column}::VARCHAR, '.', 1) AS HUGEINT)"
            return f"{whole} - (CASE WHEN {column}::VARCHAR LIKE '-%.%' THEN 1 ELSE 0 END)"
        if kind is Kind.TEXT:
            way = self._way(con, raw, number)
            return f"CASE WHEN {way.came(column)} AND {column} <= {literal(way.render(tomorrow))} THEN {column} END"
        value = f"try_cast({column} AS {kind.value})"
        return f"CASE WHEN {value} <= TIMESTAMP {literal(tomorrow.isoformat(' '))} THEN {value} END"

    def _way(self, con: duckdb.DuckDBPyConnection, raw: str, number: int) -> _TextTime:
        """A column keeps to the way it was written in when it was first read; other texts come each time."""
        if self.known:
            return _text_time(self.known[number])
        column = identifier(self.cursor.columns[number])
        counts = ", ".join(f"count(*) FILTER (WHERE {way.came(column)})" for way in _TEXT_TIMES)
        found = con.execute(f"SELECT {counts} FROM {raw}").fetchone() or ()
        return max(zip(found, _TEXT_TIMES, strict=True), key=lambda one: one[0])[1]


def limit(request: Request) -> str:
    """The end of a statement that asks for no more rows than a look needs."""
    return "" if request.most is None else f" LIMIT {request.most}"


def require_kind(request: Request, column: str, kind: Kind | None, type_: str) -> Kind:
    """The kind of a cursor column. Raises CitylakeError if its type has no order to go on from."""
    if kind is None:
        raise CitylakeError("pull.cursor_type", column=column, type=type_, owner=request.owner)
    return kind


def _after(columns: Sequence[Column], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """That a tuple is above another one, in a form that an index on the first column answers."""
    first, value = columns[0], columns[0].value(values[0])
    if len(columns) == 1:
        return first.column > value
    return sa.and_(first.column >= value, sa.or_(first.column > value, _after(columns[1:], values[1:])))


def _less(value: str, kind: Kind, overlap: int) -> Any:
    """A position an overlap earlier, as Python's value. Raises ValueError or OverflowError."""
    if kind is Kind.DATE:
        return date.fromisoformat(value) - timedelta(days=overlap)
    if kind is Kind.NUMBER:
        return int(value) - overlap
    if kind is Kind.TEXT:
        way = _text_time(value)
        return way.render(datetime.strptime(value, way.form) - overlap * way.unit)
    moment = datetime.fromisoformat(value)
    if (moment.tzinfo is None) is (kind is Kind.ZONED):
        raise ValueError("a position with a zone for a column without one, or the other way round")
    return moment - timedelta(seconds=overlap)


def _text_time(value: str) -> _TextTime:
    """The way a position is written. Raises ValueError if it is none."""
    marks = value.translate({ord(digit): None for digit in "0123456789"})
    for way in _TEXT_TIMES:
        if marks == way.marks and len(value) == len(way.shape):
            return way
    raise ValueError("not a time as text")
