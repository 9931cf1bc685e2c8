"""The canonical content hash is what its definition says, computed here without an engine; the order does not count."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.codecs.sql import identifier
from pipelines.lake.content import content_hash, difference

TYPES = {
    "name": "VARCHAR",
    "Count": "BIGINT",
    "known": "BOOLEAN",
    "day": "DATE",
    "amount": "DECIMAL(12,2)",
    "at": "TIMESTAMP WITH TIME ZONE",
    "bytes": "BLOB",
}
SCHEMA = pa.schema(
    [("name", pa.string()), ("Count", pa.int64()), ("known", pa.bool_()), ("day", pa.date32()),
     ("amount", pa.decimal128(12, 2)), ("at", pa.timestamp("us", "UTC")), ("bytes", pa.binary())]
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROW = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    st.none() | st.decimals(-1000, 1000, places=2),
    st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    st.none() | st.binary(max_size=4),
)
ROWS = st.lists(ROW, max_size=8)
Rows = Sequence[tuple[Any, ...]]


def told(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return str((value - EPOCH) // timedelta(microseconds=1))
    if isinstance(value, Decimal):
        return f"{value + 0:.2f}"
    if isinstance(value, bytes):
        return value.hex().upper()
    return str(value)


def defined(rows: Rows) -> str:
    """The hash as its definition says it."""
    names = sorted(TYPES)
    places = [list(TYPES).index(name) for name in names]
    texts = [["-" if row[at] is None else told(row[at]) for at in places] for row in rows]
    cells = [
        "".join(
            text if row[at] is None else f"{len(text.encode())}:{text}" for at, text in zip(places, line, strict=True)
        )
        for row, line in zip(rows, texts, strict=True)
    ]
    head = json.dumps([[name, TYPES[name]] for name in names], ensure_ascii=False)
    return hashlib.sha256(
        (head + "".join(sorted(hashlib.sha256(c.encode()).hexdigest() for c in cells))).encode()
    ).hexdigest()


def put(con: duckdb.DuckDBPyConnection, name: str, rows: Rows) -> str:
    columns = ", ".join(f"{identifier(column)} {kind}" for column, kind in TYPES.items())
    con.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")
    con.register("given", pa.Table.from_pylist([dict(zip(TYPES, row, strict=True)) for row in rows], SCHEMA))
    con.execute(f"INSERT INTO {name} SELECT * FROM given")
    return name


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_hash_is_the_defined_one_in_any_order(rows: list[tuple[Any, ...]], chance: Any) -> None:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'Asia/Shanghai'")
        shuffled = [*rows]
        chance.shuffle(shuffled)
        assert content_hash(con, put(con, "t", shuffled), TYPES) == defined(rows)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
def test_contents_differ_as_their_rows_do(one: Rows, other: Rows) -> None:
    with duckdb.connect() as con:
        first, second = put(con, "one", one), put(con, "other", other)
        found = difference(con, first, second, TYPES)
        left, right = [*one], [*other]
        for row in one:
            if row in right:
                left.remove(row)
                right.remove(row)
        assert (found.only_one, found.only_other) == (len(left), len(right))
        assert bool(found.columns) == bool(left or right)
        same = content_hash(con, first, TYPES) == content_hash(con, second, TYPES)
        assert same == (not left and not right)


def test_where_one_cell_ends_and_the_next_begins_counts() -> None:
    with duckdb.connect() as con:
        types = {"a": "VARCHAR", "b": "VARCHAR"}
        rows = [
            "('ab', 'c')",
            "('a', 'bc')",
            "('abc', NULL)",
            "('abc', '')",
            "(NULL, 'abc')",
            "('-', '-')",
            "(NULL, NULL)",
        ]
        hashes = {content_hash(con, f"(VALUES {row}) v(a, b)", types) for row in rows}
        twice = content_hash(con, f"(VALUES {rows[0]}, {rows[0]}) v(a, b)", types)
        assert len(hashes | {twice}) == len(rows) + 1
