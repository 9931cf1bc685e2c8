"""Editions: the current state of any change log, at any version, and what the snapshot offers."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tables import put_query

from pipelines.lake.delta import lowest, open_table, scan
from pipelines.lake.edition import CoreVersion, Edition, Released, current_state, write_snapshot
from pipelines.lake.errors import BadName, MissingTable

Change = tuple[str, int, int]  # operation, key, value
KEY, COLUMNS = ("id", "part"), ("id", "part", "value")

# One batch: at most one change of each key; operations need not make sense one after another.
BATCH = st.dictionaries(st.integers(0, 6), st.tuples(st.sampled_from("IUD"), st.integers(0, 99)), max_size=6).map(
    lambda changes: [(op, key, value) for key, (op, value) in changes.items()]
)


def log_query(batch: int, changes: list[Change]) -> str:
    """SQL of one batch of a core table with a key of two columns."""
    rows = ", ".join(f"({key}, 'p{key % 2}', {value}, '{op}')" for op, key, value in changes) or "(0, '', 0, '')"
    return f"""select id::bigint as id, part, value::bigint as value, op as _op, {batch}::bigint as _batch,
        case when op <> 'D' then row_number() over () end as _row, timestamptz '2026-01-01 00:00:00+00' as _known_at
        from (values {rows}) t(id, part, value, op) where op <> ''"""


def model_state(batches: list[list[Change]]) -> list[tuple[int, str, int]]:
    """The same in Python: the last word on each key, unless it was a D."""
    state: dict[int, tuple[str, int]] = {}
    for batch in batches:
        state |= {key: (op, value) for op, key, value in batch}
    return sorted((key, f"p{key % 2}", value) for key, (op, value) in state.items() if op != "D")


@pytest.mark.long
@settings(max_examples=20, deadline=None)
@given(batches=st.lists(BATCH, min_size=1, max_size=6))
def test_current_state_of_any_log_at_every_version(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Change]]
) -> None:
    location = tmp_path_factory.mktemp("core") / "t"
    put_query(location, log_query(1, batches[0]), transaction=("admit", 1))
    for number, batch in enumerate(batches[1:], 2):
        put_query(location, log_query(number, batch), "append", number - 2, transaction=("admit", number))
    for version in range(len(batches)):
        table = open_table(location, version)
        read = scan(table)
        with duckdb.connect() as con:
            con.execute(f"create view log as select {read.columns} from {read.source}")
            for first in (lowest(table, "_batch"), None):
                query = current_state("log", KEY, COLUMNS, first, '"')
                found = con.execute(f"select id, part, value from ({query}) order by all").fetchall()
                assert found == model_state(batches[: version + 1])


def core(location: Path) -> dict[str, CoreVersion]:
    return {"psb/person": CoreVersion(location, 0, 1, KEY, COLUMNS)}


def test_the_snapshot_names_every_relation(tmp_path: Path, put: Callable[..., int]) -> None:
    put(tmp_path / "core", log_query(1, [("I", 1, 5), ("I", 2, 6), ("U", 3, 7)]))
    put(tmp_path / "lib", "select 1 as id")
    released = [Released("population", "lib_population__person", tmp_path / "lib", 0)]
    edition = Edition("2026-11-23.1", date(2026, 11, 23), core(tmp_path / "core"))
    snapshot = tmp_path / "snapshot.json"
    write_snapshot(snapshot, edition, released, {"lib_population__person"})
    lines = [json.loads(line) for line in snapshot.read_text().splitlines()]
    assert [f"{line['schema']}.{line['name']}" for line in lines] == [
        "core.psb__person__log", "core.psb__person", "lib.lib_population__person", "lake.edition", "lake.build",
    ]  # fmt: skip
    assert [line["selected"] for line in lines] == [False, False, True, False, False]
    assert len({tuple(line) for line in lines}) == 1  # the same fields on every line
    with duckdb.connect() as con:
        for line in lines:
            con.execute(f"create schema if not exists {line['schema']}")
            query = line["duckdb"] or f"select {line['columns']} from {line['source']}"
            con.execute(f"create view {line['schema']}.{line['name']} as {query}")
        assert con.execute("select * from lake.edition").fetchall() == [("2026-11-23.1", date(2026, 11, 23))]
        columns = con.execute("select * from core.psb__person").description
        assert [column[0] for column in columns] == [*COLUMNS, "_op", "_batch", "_row", "_known_at"]


def test_a_source_without_key_or_table_is_refused(tmp_path: Path, put: Callable[..., int]) -> None:
    put(tmp_path / "core", log_query(1, []))
    keyless = {"psb/person": CoreVersion(tmp_path / "core", 0, 1, (), COLUMNS)}
    with pytest.raises(BadName, match="psb/person"):
        write_snapshot(tmp_path / "s", Edition("e", date(2026, 1, 1), keyless), [], set())
    with pytest.raises(MissingTable):
        write_snapshot(tmp_path / "s", Edition("e", date(2026, 1, 1), core(tmp_path / "none")), [], set())
    assert not (tmp_path / "s").exists()
