"""One Delta version: what is written is what every reader sees, and nobody overwrites what he has not read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest
from deltalake import DeltaTable, QueryBuilder

from pipelines.lake.columns import duckdb_type, query_schema
from pipelines.lake.delta import (
    column_types,
    commit_metadata,
    committed,
    latest,
    lowest,
    open_table,
    row_count,
    scan,
    table_files,
    transaction_commit,
)
from pipelines.lake.errors import (
    BadName,
    ChangedColumns,
    MissingTable,
    NullPartition,
    RefusedType,
    StaleWrite,
    TornFile,
)

Put = Callable[..., int]
Read = Callable[..., list[tuple[Any, ...]]]

MANY_TYPES = """
select i as id, cast(i as integer) as whole, cast(i % 3 as tinyint) as small, 'x' || i as word,
    cast(i as double) / 4 as ratio, cast(i as decimal(12, 2)) as money, i % 2 = 0 as flag,
    date '2026-01-01' + cast(i % 3 as int) as day, timestamptz '2026-01-01 00:00:00+00' + to_seconds(i) as moment,
    ['a', 'b'] as words, {'x': i} as pair, cast('y' as blob) as bytes, case when i % 5 = 0 then null else i end as holes
from range(100) t(i)
"""
# A long text and a NaN: both make the bounds of their column inexact.
ODD_ROW = " union all select 1000, null, null, repeat('长', 40), 'nan'::double, " + ", ".join(["null"] * 8)


def test_independent_readers_see_the_same_rows(tmp_path: Path, put: Put, rows: Read) -> None:
    table = tmp_path / "t"
    put(table, MANY_TYPES)
    put(table, MANY_TYPES.replace("range(100)", "range(100, 130)"), "append", 0)
    ours = rows(table)
    assert len(ours) == 130
    plain = [(row[0], row[3], row[4], row[5], row[7], row[8]) for row in ours]
    selected = ["id", "word", "ratio", "money", "day", "moment"]
    assert polars.scan_delta(str(table)).select(selected).sort("id").collect().rows() == plain
    answer = QueryBuilder().register("t", DeltaTable(table)).execute(f"select {', '.join(selected)} from t order by id")
    assert duckdb.arrow(answer.read_all()).fetchall() == plain
    filtered = polars.scan_delta(str(table)).filter(polars.col("day") == polars.date(2026, 1, 2)).collect()
    assert filtered.height == len(rows(table, where="day = date '2026-01-02'"))


def test_a_column_has_all_three_statistics_or_none(tmp_path: Path, put: Put) -> None:
    put(tmp_path / "t", MANY_TYPES + ODD_ROW)
    for file in table_files(open_table(tmp_path / "t")):
        names = [set(file.stats[part]) for part in ("minValues", "maxValues", "nullCount")]
        assert names[0] == names[1] == names[2]
        assert file.stats["numRecords"] == 101
        assert {"word", "ratio", "flag", "words", "pair"}.isdisjoint(names[0])
        assert file.stats["nullCount"]["holes"] == 21


@pytest.mark.parametrize("partition_by", [(), ("day",)])
def test_an_empty_table_keeps_its_columns(tmp_path: Path, put: Put, rows: Read, partition_by: tuple[str, ...]) -> None:
    table = tmp_path / "t"
    put(table, f"select * from ({MANY_TYPES}) where false", partition_by=partition_by)
    assert list(tmp_path.rglob("*.parquet")) == []
    assert rows(table) == []
    read = scan(open_table(table))
    with duckdb.connect() as con:
        relation = con.sql(f"select {read.columns} from {read.source}")
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        wanted = con.sql(MANY_TYPES)
        assert types == dict(zip(wanted.columns, map(str, wanted.types), strict=True))
    assert row_count(open_table(table)) == 0


def test_types_map_there_and_back() -> None:
    with duckdb.connect() as con:
        schema = query_schema(con, MANY_TYPES, "t")
        wanted = con.sql(MANY_TYPES)
        for field, kind in zip(schema.fields, wanted.types, strict=True):
            assert duckdb.sqltype(duckdb_type(field.type)) == kind


@pytest.mark.parametrize(
    "expression", ["sum(1::bigint)", "now()::timestamp", "time '10:00'", "[1::hugeint]", "{'a': uuid()}"]
)
def test_refused_types_name_column_and_way_out(expression: str) -> None:
    with (
        duckdb.connect() as con,
        pytest.raises(RefusedType, match=r"mart_x：列 total 的类型是 .*请改为 .*\n.*cast it to"),
    ):
        query_schema(con, f"select {expression} as total", "mart_x")


def test_columns_added_later_read_as_null_in_older_files(tmp_path: Path, put: Put, rows: Read) -> None:
    table = tmp_path / "t"
    put(table, "select 1::bigint as id, 'a' as name")
    assert put(table, "select 2::bigint as id, 'b' as name, 7::bigint as rank", "append", 0, evolve=True) == 2
    assert put(table, "select 3::bigint as id", "append", 2, evolve=True) == 3
    assert rows(table) == [(1, "a", None), (2, "b", 7), (3, None, None)]
    assert rows(table, 0) == [(1, "a")]
    put(table, "select 4::bigint as id, 1 as late where false", "append", 3, evolve=True)
    assert rows(table) == [(1, "a", None, None), (2, "b", 7, None), (3, None, None, None)]
    with pytest.raises(ChangedColumns, match="name"):
        put(table, "select 5::bigint as id, 1 as name", "append", latest(table), evolve=True)


def test_replaced_partitions_may_bring_columns_and_lose_none(tmp_path: Path, put: Put, rows: Read) -> None:
    table, by_day = tmp_path / "t", {"partition_by": ("day",)}
    put(table, "select 1::bigint as id, 1 as day union all select 2, 2", **by_day)
    assert put(table, "select 3::bigint as id, 7 as more, 2 as day", "replace_partition", 0, **by_day) == 2
    assert put(table, "select 4::bigint as id, 8 as more, 3 as day", "replace_partition", 2, **by_day) == 3
    assert rows(table) == [(1, 1, None), (3, 2, 7), (4, 3, 8)]
    for query, changed in (("select 5::bigint as id, 3 as day", "more"), ("select 5 as id, 8 as more, 3 as day", "id")):
        with pytest.raises(ChangedColumns, match=changed):
            put(table, query, "replace_partition", 3, **by_day)
    nothing = "select 5::bigint as id, 8 as more, 1 as last, 3 as day where false"
    assert put(table, nothing, "replace_partition", 3, **by_day) == 4
    assert rows(table) == [(1, 1, None, None), (3, 2, 7, None), (4, 3, 8, None)]


def test_a_version_answers_for_itself_only(tmp_path: Path, put: Put, rows: Read) -> None:
    table = tmp_path / "t"
    put(table, "select 1 as id")
    put(table, "select 2 as id", "append", 0)
    put(table, "select 3 as id", "table", 1)
    assert [rows(table, version) for version in range(3)] == [[(1,)], [(1,), (2,)], [(3,)]]
    assert lowest(open_table(table, 1), "id") == 1
    with pytest.raises(MissingTable, match="v9"):
        open_table(table, 9)
    with pytest.raises(MissingTable):
        open_table(tmp_path / "nothing")


@pytest.mark.parametrize("strategy", ["table", "append", "replace_partition", "merge"])
def test_a_stale_writer_is_refused(tmp_path: Path, put: Put, rows: Read, strategy: str) -> None:
    table = tmp_path / "t"
    put(table, "select 1 as id")
    put(table, "select 2 as id", "append", 0)
    with pytest.raises(StaleWrite, match="since version 0"):
        put(table, "select 3 as id", strategy, 0)
    with pytest.raises(StaleWrite):
        put(table, "select 3 as id", strategy, None)
    assert rows(table) == [(1,), (2,)]


def test_a_transaction_recognises_its_own_replay(tmp_path: Path, put: Put) -> None:
    table = tmp_path / "t"
    assert committed(table, "admit") is None
    put(table, "select 1 as id", metadata={"run": "甲"}, transaction=("admit", 4))
    put(table, "select 2 as id where false", "append", 0, metadata={"run": "b"}, transaction=("admit", 5))
    assert (committed(table, "admit"), committed(table, "other")) == (5, None)
    assert [transaction_commit(table, "admit", number) for number in (4, 5, 6)] == [0, 1, None]
    assert commit_metadata(table, 0) == {"run": "甲"}
    assert put(table, "select 2 as id where false", "append", 1) == 1  # nothing to say, no version


def test_partitions_are_replaced_whole(tmp_path: Path, put: Put, rows: Read) -> None:
    table, days = tmp_path / "t", {"partition_by": ("day",)}
    put(table, "select i as id, date '2026-01-01' + cast(i % 2 as int) as day from range(4) t(i)", **days)
    put(table, "select 9::bigint as id, date '2026-01-02' as day", "replace_partition", 0, **days)
    assert [row[0] for row in rows(table)] == [0, 2, 9]
    assert [row[0] for row in rows(table, where="day = date '2026-01-02'")] == [9]
    assert polars.read_delta(str(table)).sort("id")["id"].to_list() == [0, 2, 9]


@pytest.mark.parametrize(
    ("value", "error"), [("null", NullPartition), ("'城 关'", BadName), ("'a/b'", BadName), ("true", BadName)]
)
def test_partition_values_are_plain(tmp_path: Path, put: Put, value: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="day"):
        put(tmp_path / "t", f"select 1 as id, {value} as day", partition_by=("day",))
    assert latest(tmp_path / "t") is None


def test_a_root_of_any_letters(tmp_path: Path, put: Put, rows: Read) -> None:
    table = tmp_path / "数据 湖 100% o'k" / "t"
    put(table, "select 1 as id, 'x' as day", partition_by=("day",))
    assert rows(table) == [(1, "x")]


def test_log_entries_are_never_expired(tmp_path: Path, put: Put, rows: Read) -> None:
    table = tmp_path / "t"
    put(table, "select 0 as id")
    for version in range(5):
        put(table, f"select {version} + 1 as id", "append", version)
    open_table(table).create_checkpoint()
    open_table(table).cleanup_metadata()
    assert (len(rows(table)), len(rows(table, 3)), commit_metadata(table, 0)) == (6, 4, {})
    assert open_table(table).metadata().configuration == {"delta.enableExpiredLogCleanup": "false"}
    assert list(column_types(open_table(table).schema()).items()) == [("id", "INTEGER")]


def test_a_damaged_file_is_named(tmp_path: Path, put: Put) -> None:
    put(tmp_path / "t", "select 1 as id")
    table = open_table(tmp_path / "t")
    file = tmp_path / "t" / table_files(table)[0].path
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(TornFile) as caught:
        scan(table)
    assert caught.value.arguments == {"file": str(file)}
