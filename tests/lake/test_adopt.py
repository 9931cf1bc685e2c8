"""A table another engine wrote becomes one of ours: same rows, exact statistics, columns that may be NULL."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import polars
import pytest
from deltalake import DeltaTable, Field, Schema, write_deltalake
from deltalake.schema import PrimitiveType
from small_tables import read_rows

from pipelines.lake.adopt import adopt
from pipelines.lake.candidate import fingerprint, promote
from pipelines.lake.delta import latest, open_table, table_files
from pipelines.lake.errors import RefusedType

FOREIGN = """
select i as id, date '2026-01-01' + cast(i % 3 as int) as day, 'x' || i as word, repeat('长', 40) as long_text,
    timestamptz '2026-01-01 00:00:00.123456+00' + to_seconds(i) as moment, cast(i / 4 as double) as ratio,
    cast(i as decimal(12, 2)) as money, case when i % 2 = 0 then null else i end as holes, null::bigint as nothing,
    [i] as items
from range({rows}) t(i)
"""
BOUNDED = {"id", "word", "moment", "money", "holes"}  # with "day" where it is no partition column


def foreign(location: Path, rows: str, **options: object) -> None:
    """Append rows as deltalake writes them, which is how another engine might."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        write_deltalake(location, con.sql(FOREIGN.format(rows=rows)).to_arrow_table(), mode="append", **options)


@pytest.mark.parametrize("partition_by", [[], ["day"]])
def test_rows_stay_and_statistics_are_exact(tmp_path: Path, partition_by: list[str]) -> None:
    table = tmp_path / "t"
    foreign(table, "0", partition_by=partition_by)
    foreign(table, "100")
    foreign(table, "100, 103")
    before = read_rows(table)
    assert adopt(table) == 0
    assert read_rows(table) == before
    assert len(before) == 103
    assert latest(table) == 0
    assert sum(file.stats["numRecords"] for file in table_files(open_table(table))) == 103
    wanted = BOUNDED if partition_by else BOUNDED | {"day"}
    for file in table_files(open_table(table)):
        names = [set(file.stats[part]) for part in ("minValues", "maxValues", "nullCount")]
        assert names[0] == names[1] == names[2]
        assert names[0] | {"holes"} == wanted  # a file may hold nothing but NULL in it
    newest = max(file.stats["maxValues"]["moment"] for file in table_files(open_table(table)))
    assert newest == "2026-01-01T00:01:42.123456Z"
    found = polars.scan_delta(str(table)).filter(
        polars.col("moment") >= polars.lit(newest).str.to_datetime(time_zone="UTC")
    )
    assert found.select("id").collect().rows() == [(102,)]


def test_an_adopted_table_is_promoted_and_keeps_what_was_ours(tmp_path: Path, put: Callable[..., int]) -> None:
    table = tmp_path / "t"
    put(table, "select 1::bigint as id, 'a' as word")
    (ours,) = table_files(open_table(table))
    schema = Schema([Field("id", PrimitiveType("long"), nullable=False), Field("word", PrimitiveType("string"))])
    with duckdb.connect() as con:
        write_deltalake(table, con.sql("select 2::bigint as id, 'b' as word").to_arrow_table(), mode="append")
    adopt(table)
    assert ours in table_files(open_table(table))
    arguments = {"allow_schema_change": False, "metadata": {}, "transaction": ("release", 1)}
    version = promote(table, 0, tmp_path / "r", **arguments)
    assert fingerprint(tmp_path / "r", version) == fingerprint(table, 0)
    strict = tmp_path / "strict"
    DeltaTable.create(strict, schema)
    adopt(strict)
    assert [field.nullable for field in open_table(strict).schema().fields] == [True, True]


def test_a_type_we_cannot_hold_is_refused(tmp_path: Path) -> None:
    DeltaTable.create(tmp_path / "t", Schema([Field("at", PrimitiveType("timestamp_ntz"))]))
    with pytest.raises(RefusedType, match="t：列 at"):
        adopt(tmp_path / "t")
